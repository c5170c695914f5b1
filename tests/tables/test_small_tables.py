"""Tables of few rows are hardly larger than their text, and are all that others are."""

import json
import lzma
import random

import pytest

import narrows
from narrows.archive import inspect, open_archive, recover, verify
from narrows.archive.packing import PACKED, pack, unpack
from narrows.archive.plain_table import PlainTable
from narrows.codec.fields.leb128 import pack_number
from narrows.data.tables.csv_table import text_of
from narrows.errors import CorruptArchiveError


@pytest.mark.parametrize("n", [1, 3, 10, 100])
def test_the_archive_takes_at_most_a_few_bytes_more_than_the_text(n, tmp_path):
    rng, path = random.Random(n), tmp_path / "x.csv"
    rows = [f"{rng.randrange(90)},{rng.choice('abc')},{rng.random():.4f},2024-01-{i % 28 + 1:02}" for i in range(n)]
    path.write_text("number,letter,share,when\n" + "\n".join(rows))
    made = narrows.compress(path, tmp_path / "x.narrows")
    assert made.n_bytes == (tmp_path / "x.narrows").stat().st_size < path.stat().st_size + (40 if n < 10 else 0)
    assert narrows.restore(tmp_path / "x.narrows", out=tmp_path / "y.csv").read_bytes() == path.read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The path of an archive as a text, in which an option and a column are given."""
    path = tmp_path_factory.mktemp("few") / "x.csv"
    path.write_bytes(b"1;Peru;2024-01-01;x\r\n2;Chile;2024-01-02;y\r\nthree;Peru;NA;z")
    from narrows.archive.table_writer import compress_table
    from narrows.data.tables.opening import open_csv

    compress_table(open_csv(path, header=False, kinds={"0": "integer", "3": "skip"}), path.with_suffix(".narrows"))
    return path.with_suffix(".narrows")


def test_rows_columns_and_facts_are_those_of_the_table(small, narrows_call):
    with open_archive(small) as archive:
        assert isinstance(archive.table, PlainTable)
        assert archive[0]["0"] == 1
        assert [row["0"] for row in archive[1:]] == [2, "three"]
    columns = json.loads(narrows_call("info", small, "--json"))["columns"]
    assert next((one["kind"], one["low"], one["high"]) for one in columns) == ("integer", "1", "2")
    assert "left out     3" in narrows_call("info", small)
    assert narrows_call("restore", small, "-o", "-", "--only", "1:", "--quiet") == "2;Chile;2024-01-02\nthree;Peru;NA"


def test_the_parts_of_a_packed_archive_add_up(small):
    found = inspect(small)
    parts = (found.header_bytes, found.model_bytes, found.records_bytes, found.index_bytes, found.other_bytes)
    assert sum(parts) == found.n_bytes == small.stat().st_size
    assert min(parts) >= 0


def test_damage_of_a_packed_archive_is_found(small, tmp_path):
    data = small.read_bytes()
    assert data.startswith(PACKED)
    assert pack(unpack(data)) == data
    path = tmp_path / "x.narrows"
    for place in range(12, len(data)):
        path.write_bytes(data[:place] + bytes((data[place] ^ 64,)) + data[place + 1 :])
        with pytest.raises(CorruptArchiveError):
            open_archive(path)
    path.write_bytes(unpack(data))
    assert verify(path).is_intact
    recover(small, tmp_path / "y.narrows")
    assert verify(tmp_path / "y.narrows").is_intact


def test_wide_tables_of_few_rows_are_smaller_as_a_text_and_nothing_is_learned(tmp_path, monkeypatch):
    rng, path = random.Random(0), tmp_path / "x.csv"
    names = [f"c{i}" for i in range(200)]
    rows = [[f"{rng.gauss(i, 1):.2f}" if i % 2 else rng.choice("abcd") for i in range(200)] for _ in range(40)]
    path.write_text("\n".join(map(",".join, [names, *rows])) + "\n")
    monkeypatch.setattr("narrows.archive.plain_table.MOST_TEXT", 1 << 15)
    monkeypatch.setattr("narrows.archive.table_writer.learn_table", lambda *_: pytest.fail("columns are learned"))
    made = narrows.compress(path, tmp_path / "x.narrows")
    assert made.groups == 1
    assert made.group_rows >= 40
    assert made.n_bytes < len(lzma.compress(path.read_bytes(), preset=9))
    with open_archive(tmp_path / "x.narrows") as archive:
        assert list(archive[7].values()) == [float(cell) if i % 2 else cell for i, cell in enumerate(rows[7])]


def test_a_long_text_is_read_only_if_the_metadata_say_so(monkeypatch):
    monkeypatch.setattr("narrows.archive.plain_table._MOST_BYTES", 10)
    made = PlainTable.of(b"a,b\n1,x\n2,y\n", {}, {})
    assert made.metadata == {"long_rows": True}
    assert PlainTable.read(made.blob, {}, is_long=True).text == made.text
    with pytest.raises(CorruptArchiveError):
        PlainTable.read(made.blob, {})


def test_a_table_within_bounds_is_stored_in_columns(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{i}.25,x\n" for i in range(9)))
    narrows.compress(path, tmp_path / "x.narrows", max_error="a=1")
    with open_archive(tmp_path / "x.narrows") as archive:
        assert not isinstance(archive.table, PlainTable)
        assert (tmp_path / "x.narrows").read_bytes().startswith(PACKED)
        assert abs(archive[8]["a"] - 8.25) <= 1


def test_archives_of_columns_said_to_have_what_they_have_not_are_still_read():
    """Earlier versions wrote them: `kinds` was not checked, and a boolean could have any words."""
    text = b"a,b\n" + b"".join(b"%s,%d\n" % (word, i) for i, word in enumerate((b"some", b"words", b"no", b"numbers")))
    for kind in ("decimal", "date", "boolean"):
        options = {"kinds": {"a": kind, "b": "integer"}}
        found = PlainTable.read(PlainTable.of(text, options, {}).blob, options)
        assert text_of(found.form, [found.group]) == text
    with pytest.raises(CorruptArchiveError, match="how it is read, is damaged"):
        PlainTable.read(found.blob, {"kinds": {"a": ["text"]}})


def test_a_forged_text_of_very_many_columns_is_refused_soon():
    text = b"," * 199_999 + b"\n"
    blob = pack_number(len(text)) + b"\0" + text
    with pytest.raises(CorruptArchiveError, match=r"at most 65,536 columns\. Got 200,000"):
        PlainTable.read(blob, {"header": False})
