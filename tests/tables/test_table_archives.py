"""Archives of tables: the same file comes back, every row is readable, and damage is found."""

import dataclasses
import datetime
import gzip
import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narrows
from narrows.archive import TableArchive, inspect, open_archive, recover, verify
from narrows.archive.column_bytes import column_bytes
from narrows.archive.layout import parse_header, size_of_header
from narrows.archive.table_training import train_table
from narrows.data.tables.opening import open_csv
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    UnknownNameError,
    WrongModelError,
)


def test_a_file_comes_back_byte_for_byte(orders, archive, tmp_path):
    assert narrows.restore(archive, out=tmp_path / "back.csv").read_bytes() == orders.read_bytes()
    described = inspect(archive)
    assert (described.n_records, described.n_chunks, described.restored_bytes) == (160, 5, orders.stat().st_size)
    assert described.n_bytes < orders.stat().st_size
    assert not described.needs_model


def test_rows_have_names_and_values(archive):
    with open_archive(archive) as opened:
        assert isinstance(opened, TableArchive)
        assert (len(opened), opened.shape, opened.columns[:3]) == (160, (160, 7), ("id", "when", "country"))
        assert opened[7] == {
            "id": 7,
            "when": datetime.date(2024, 3, 8),
            "country": "Chile",
            "amount": 6,
            "price": 2.59,
            "note": 'late, but "fine"',
            "paid": True,
        }
        assert opened[11]["price"] is None
        assert [row["id"] for row in opened[-2:]] == [158, 159]
        assert [row["id"] for row in opened.read([100, 3])] == [100, 3]
        assert sum(1 for _ in opened) == 160
        with pytest.raises(IndexError, match="160"):
            opened[160]


def test_columns_and_rows_become_frames(archive):
    pandas = pytest.importorskip("pandas")
    with open_archive(archive) as opened:
        frame = opened.to_pandas(columns=["price", "country"], rows=(30, 40))
        assert list(frame.columns) == ["price", "country"]
        assert frame["price"].isna().tolist() == [i % 11 == 0 for i in range(30, 40)]
        assert list(frame["country"]) == [opened[i]["country"] for i in range(30, 40)]
        whole = opened.to_pandas()
        assert pandas.api.types.is_datetime64_any_dtype(pandas.to_datetime(whole["when"]))
        assert opened.to_arrow(rows=[]).num_rows == 0
        with pytest.raises(UnknownNameError, match="prise"):
            opened.to_pandas(columns=["prise"])


def test_only_some_rows_are_restored(orders, archive, narrows_call, tmp_path):
    lines = orders.read_bytes().splitlines(keepends=True)
    narrows_call("restore", archive, "-o", tmp_path / "some.csv", "--only", "62:66,9")
    assert (tmp_path / "some.csv").read_bytes() == b"".join([lines[0], *lines[63:67], lines[10]])


def test_only_the_groups_of_rows_are_read(archive, tmp_path):
    data = bytearray(archive.read_bytes())
    with open_archive(archive) as opened:
        place = int(opened._index.offsets[2]) + 60
    data[place] ^= 1
    path = tmp_path / "damaged.narrows"
    path.write_bytes(data)
    with open_archive(path) as opened:
        assert opened[5]["id"] == 5
        with pytest.raises(CorruptArchiveError, match=r"rows|records 64"):
            opened[70]
    report = verify(path)
    assert report.lost == ((64, 96),)
    recover(path, tmp_path / "rest.narrows")
    with open_archive(tmp_path / "rest.narrows") as opened:
        assert [row["id"] for row in opened] == [*range(64), *range(96, 160)]
    assert verify(tmp_path / "rest.narrows").is_intact


def test_a_reader_must_know_tables(orders, archive):
    data = archive.read_bytes()
    header = data[: size_of_header(data[:20], len(data))]
    assert int.from_bytes(header[12:16], "little") == 1 << 12
    assert parse_header(header)["table"] == {"columns": 7, "form": "csv", "bytes": orders.stat().st_size}


def test_a_kind_of_columns_that_is_not_known_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.table_chunks.COLUMNS", 16)
    with open_archive(archive) as opened, pytest.raises(ArchiveError, match=r"kind 15.*Upgrade"):
        opened[0]


def test_the_command_takes_one_step(small, narrows_call, tmp_path):
    made = json.loads(narrows_call("compress", small, "-o", tmp_path / "x.narrows", "--json"))
    assert (made["rows"], made["columns"], made["exceptions"], made["model_embedded"]) == (30, 3, 0, True)
    assert made["kinds"] == {"id": "integer", "country": "category", "price": "decimal"}
    assert narrows_call("restore", tmp_path / "x.narrows", "-o", "-") == small.read_text()
    columns = json.loads(narrows_call("info", tmp_path / "x.narrows", "--json"))["columns"]
    n_bytes = columns[2].pop("bytes")
    assert columns[2] == {"name": "price", "kind": "decimal", "nulls": 3, "distinct": 28, "low": "0.36", "high": "9.99"}
    assert n_bytes > 0


def test_info_lists_the_columns(archive, narrows_call):
    shown = narrows_call("info", archive)
    assert [line.split()[:2] for line in shown.splitlines() if "decimal" in line] == [["price", "decimal"]]
    assert "byte for byte" in shown
    assert "160 rows" in narrows_call("verify", archive)
    assert "160 rows of 7 columns" in narrows_call("list", archive)


def test_bytes_of_columns_add_up(archive, narrows_call, tmp_path):
    """Values add up to the groups, and dictionaries to those of the model."""
    with open_archive(archive) as opened:
        n_bytes = inspect(archive).records_bytes
        sizes = column_bytes(opened, n_bytes, is_inside=True)
        texts = opened.table.coder.texts[5].to_bytes()
        assert (sizes.n_measured, sizes.n_groups, sizes.rows.sum()) == (4, 5, n_bytes)
        assert sizes.dictionaries.sum() == len(opened.table.dictionaries) + len(texts)
        noted = dict(zip(opened.columns, sizes.bytes, strict=True))
        assert noted["note"] == max(sizes.bytes)
        assert noted["id"] + noted["amount"] < noted["price"]  # a counter, and remainders
        damaged = bytearray(archive.read_bytes())
        damaged[int(opened._index.offsets[0]) + 60] ^= 1
    assert "estimated from 4 groups" in narrows_call("info", archive)
    (tmp_path / "x.narrows").write_bytes(damaged)
    assert "a group of rows is damaged" in narrows_call("info", tmp_path / "x.narrows")


def test_kinds_of_columns_can_be_given(small, narrows_call, tmp_path):
    call = ("compress", small, "-o", tmp_path / "x.narrows", "--columns")
    made = json.loads(narrows_call(*call, "price:category,id:text", "--json"))
    assert (made["kinds"]["price"], made["kinds"]["id"]) == ("category", "text")
    assert narrows_call("restore", tmp_path / "x.narrows", "-o", "-") == small.read_text()
    assert "Allowed: integer" in narrows_call(*call, "id:number", "--force", code=2)
    assert "Did you mean 'id'" in narrows_call(*call, "ids:text", "--force", code=2)


def test_packed_files_and_tables_of_any_name_are_read(small, narrows_call, tmp_path):
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(small.read_bytes()))
    narrows_call("compress", packed, "-o", tmp_path / "x.narrows")
    assert narrows_call("restore", tmp_path / "x.narrows", "-o", "-") == small.read_text()
    other = tmp_path / "orders.data"
    other.write_bytes(small.read_bytes().replace(b",", b"|"))
    narrows_call("compress", other, "-o", tmp_path / "y.narrows", "--as", "table", "--no-header", "--limit", "10")
    lines = other.read_text().splitlines(keepends=True)
    assert narrows_call("restore", tmp_path / "y.narrows", "-o", "-") == "".join(lines[:10])


def test_a_table_is_not_restored_to_an_array(archive, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"\.csv"):
        narrows.restore(archive, out=tmp_path / "x.npy")


def test_numbers_at_dates_are_still_series(tmp_path):
    path = tmp_path / "series.csv"
    path.write_text("when,level\n" + "".join(f"2024-01-{i + 1:02},{i / 4}\n" for i in range(20)))
    narrows.compress(path, tmp_path / "x.narrows")
    with open_archive(tmp_path / "x.narrows") as opened:
        assert opened.series is not None
        assert np.asarray(opened.read()).shape == (20,)
    path.write_text("when,level\n2024-01-02,1\n2024-01-01,2\n")  # they go back: no series
    narrows.compress(path, tmp_path / "y.narrows")
    with open_archive(tmp_path / "y.narrows") as opened:
        assert opened[1] == {"when": datetime.date(2024, 1, 1), "level": 2}


def test_a_model_of_one_table_stores_others(small, narrows_call, tmp_path):
    model, lines = tmp_path / "orders.safetensors", small.read_text().splitlines()
    assert "30 rows of 3 columns" in narrows_call("train", small, "-o", model, "--recipe", "columns")
    assert "country  category" in narrows_call("info", model)
    rows = [line.split(",") for line in (*lines[:9], "00999,Nepal,1.5", "two,Peru,3.25")]
    other = tmp_path / "other.csv"
    other.write_text("".join(f"{price};{number};{country}\n" for number, country, price in rows))
    made = json.loads(narrows_call("compress", other, "-m", model, "-o", tmp_path / "x.narrows", "--json"))
    assert (made["rows"], made["exceptions"], made["model_embedded"]) == (10, 3, False)  # 1.5 has one digit
    assert narrows_call("restore", tmp_path / "x.narrows", "-o", "-") == other.read_text()  # the model lies beside it
    with open_archive(tmp_path / "x.narrows", model=model) as opened:
        assert opened[-1] == {"price": 3.25, "id": "two", "country": "Peru"}
        assert opened[-2]["country"] == "Nepal"
    model.rename(tmp_path / "elsewhere")
    assert "does not contain its model" in narrows_call("restore", tmp_path / "x.narrows", "-o", "-", code=1)
    other.write_text("id,land\n1,Peru\n")
    call = ("compress", other, "-m", tmp_path / "elsewhere", "-o", tmp_path / "y.narrows")
    assert "missing: 'country', 'price'; more: 'land'" in narrows_call(*call, code=1)
    assert "--psnr has no meaning" in narrows_call(*call, "--psnr", "30", code=2)
    before = (tmp_path / "x.narrows").read_bytes()
    call = ("compress", other, "-o", tmp_path / "x.narrows", "--append")
    assert "an archive of their own with the same -m" in narrows_call(*call, "-m", tmp_path / "elsewhere", code=2)
    assert "all rows together" in narrows_call(*call, "--lossless", code=2)
    assert (tmp_path / "x.narrows").read_bytes() == before


def test_an_archive_names_its_model(small, tmp_path):
    for name, lines in (("one", 30), ("two", 20)):
        part = tmp_path / f"{name}.csv"
        part.write_text("".join(small.read_text().splitlines(keepends=True)[:lines]))
        train_table(open_csv(part), tmp_path / f"{name}.safetensors")
    narrows.compress(small, tmp_path / "x.narrows", model=tmp_path / "one.safetensors")
    with pytest.raises(WrongModelError, match="was written with the model"):
        open_archive(tmp_path / "x.narrows", model=tmp_path / "two.safetensors")


@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bounds_of_columns_hold_in_the_text(data, tmp_path):
    cents = data.draw(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=12))
    percent = data.draw(st.sampled_from([0, 0.5, 3, 40]))
    rows = [
        f"{cent // 100}.{cent % 100:02},{'ab'[i % 2]},2024-01-{i + 1:02}T00:{cent % 60:02}:00"
        for i, cent in enumerate(cents)
    ]
    path = tmp_path / "x.csv"
    path.write_text("a,b,t\nNA,a,\n" + "\n".join(rows) + "\n")
    narrows.compress(path, tmp_path / "x.narrows", max_error=f"a={percent}%,t=90", force=True)
    back = narrows.restore(tmp_path / "x.narrows", out=tmp_path / "y.csv", force=True).read_text().splitlines()
    assert back[1] == "NA,a,"
    before, after = ([line.split(",") for line in lines] for lines in (rows, back[2:]))
    numbers = [[Decimal(row[0]) for row in part] for part in (before, after)]
    most = Decimal(percent) / 100 * (max(numbers[0]) - min(numbers[0]))
    assert all(abs(one - other) <= most for one, other in zip(*numbers, strict=True))
    times = [[datetime.datetime.fromisoformat(row[2]) for row in part] for part in (before, after)]
    assert all(abs((one - other).total_seconds()) <= 90 for one, other in zip(*times, strict=True))
    assert [row[1] for row in before] == [row[1] for row in after]


def test_bounds_are_for_columns_of_numbers(small, narrows_call, tmp_path):
    call = ("compress", small, "-o", tmp_path / "x.narrows", "--max-error")
    assert "column 'country' is a column of the kind category" in narrows_call(*call, "country=1", code=2)
    assert "Choose one of" in narrows_call(*call, "prize=1", code=2)
    assert "price=1%,carat=0.01" in narrows_call(*call, "price=-1", code=2)
    assert "within price=1" in narrows_call(*call, "price=1")


@pytest.mark.parametrize("n", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_damaged_and_forged_archives_restore_what_is_right_or_fail_by_name(n):
    place = Path(__file__).parents[1] / "archive" / "fuzz_tables.py"
    spec = importlib.util.spec_from_file_location("fuzz_tables", place)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    counts = fuzz.run(n)
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError"}


def test_a_model_whose_rules_do_not_fit_its_columns_is_damaged(archive):
    with open_archive(archive) as opened:
        table, group = opened.table, next(iter(opened.groups(range(32))))
    data = table.encode([one.column for one in group.columns])
    assert len(table.decode(data, len(group))) == len(table.form.rules)
    forged = dataclasses.replace(table, form=table.form.with_rules(table.form.rules[::-1]))
    with pytest.raises(CorruptArchiveError, match="other values than its description"):
        forged.decode(data, len(group))
