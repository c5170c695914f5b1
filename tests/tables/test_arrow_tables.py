"""Parquet and Feather files, data frames and Arrow tables: the same table comes back."""

import datetime
import decimal

import numpy as np
import pytest

import narrows
from narrows.archive import open_archive, verify
from narrows.data.tables.arrow_table import source_of_arrow
from narrows.errors import CorruptFileError, DataError

pa = pytest.importorskip("pyarrow")
pandas = pytest.importorskip("pandas")
N = 40
RNG = np.random.default_rng(0)
COLUMNS = {
    "int8": pa.array(RNG.integers(-9, 9, N), pa.int8(), mask=RNG.random(N) < 0.2),
    "uint64": pa.array(RNG.integers(0, 2**63, N).astype("u8") * 2 + 1),
    "steps": pa.array(np.arange(N) * 1000 - 5),
    "float": pa.array([0.5, -0.0, float("nan"), float("inf"), None, 1e300, 5e-324, 2.5] * (N // 8)),
    "decimals": pa.array(np.round(RNG.normal(size=N) * 100, 2)),
    "single": pa.array(RNG.normal(size=N).astype("f4")),
    "flag": pa.array([True, False, None, True] * (N // 4)),
    "date": pa.array([datetime.date(2024, 1, 1 + i % 28) for i in range(N)]),
    "moment": pa.array(np.arange(N) * 10**9 + 7, pa.timestamp("ns", "Europe/Berlin")),
    "time": pa.array(np.arange(N, dtype="i4") * 60, pa.time32("s")),
    "money": pa.array([decimal.Decimal(i) / 4 for i in range(N)], pa.decimal128(10, 2)),
    "word": pa.array(["red", None, "", "blue"] * (N // 4)),
    "category": pa.array(["b", "a", None, "b"] * (N // 4)).dictionary_encode(),
    "name": pa.array([f"n{i * 7919}" for i in range(N)], pa.large_string()),
    "bytes": pa.array([b"\xff\0" + bytes([i]) for i in range(N)]),
    "nothing": pa.nulls(N),
}

SOME = ["word", "int8", "float"]


@pytest.fixture(scope="module")
def table():
    return pa.table(COLUMNS).replace_schema_metadata({"made": "by hand"})


@pytest.fixture(scope="module")
def archive(table, tmp_path_factory):
    """The path of an archive of some of the columns."""
    path = tmp_path_factory.mktemp("arrow") / "x.narrows"
    narrows.compress(table.select(SOME), path)
    return path


def same(one, other):
    """Return whether tables are the same to the bit, NaNs and negative zeros too."""
    bits = [
        [
            c.combine_chunks().fill_null(0).to_numpy(zero_copy_only=False).tobytes()
            for c in t.columns
            if pa.types.is_floating(c.type)
        ]
        for t in (one, other)
    ]
    rest = [t.select([f.name for f in t.schema if not pa.types.is_floating(f.type)]) for t in (one, other)]
    return one.schema.equals(other.schema, check_metadata=True) and bits[0] == bits[1] and rest[0].equals(rest[1])


def test_every_type_comes_back(table):
    source = source_of_arrow(table, "x")
    groups = list(source.groups(7))
    assert same(source.form.arrow(groups, range(len(COLUMNS))), table)
    assert source.form.arrow(groups, [13, 0]).equals(table.select(["name", "int8"]))
    values = [source.form.values(groups[0], column)[5] for column in range(len(COLUMNS))]
    assert dict(zip(COLUMNS, values, strict=True)) == {name: column[5].as_py() for name, column in COLUMNS.items()}


def test_an_arrow_table_is_archived(table, archive):
    some = table.select(SOME)
    with open_archive(archive) as opened:
        assert same(opened.to_arrow(), some)
        assert opened.to_arrow(["word", "int8"], (3, 5)).equals(table.select(["word", "int8"]).slice(3, 2))
        assert opened[1] == {name: column[1].as_py() for name, column in COLUMNS.items() if name in SOME}
    assert verify(archive).is_intact


def test_files_of_both_formats_come_back(table, archive, tmp_path):
    from pyarrow import feather, parquet

    assert same(feather.read_table(narrows.restore(archive, out=tmp_path / "x.feather")), table.select(SOME))
    some = table.select(["int8", "category", "float"])
    parquet.write_table(some, tmp_path / "some.parquet")
    narrows.compress(tmp_path / "some.parquet", tmp_path / "y.narrows")
    again = parquet.read_table(narrows.restore(tmp_path / "y.narrows", out=tmp_path / "again.parquet"))
    assert same(again, parquet.read_table(tmp_path / "some.parquet"))
    text = narrows.restore(tmp_path / "y.narrows", out=tmp_path / "some.csv", records=(0, 2)).read_text()
    assert text.splitlines()[0] == '"int8","category","float"'
    assert len(text.splitlines()) == 3


def test_data_frames_come_back(tmp_path):
    frame = pandas.DataFrame(
        {
            "level": pandas.Categorical(["low", "high", None, "low"], categories=["low", "mid", "high"], ordered=True),
            "whole": pandas.array([1, None, 3, 4], dtype="Int64"),
            "when": pandas.date_range("2024-01-01", periods=4, freq="D"),
            "text": ["a", None, "ccc", "d"],
            "number": [0.1, np.nan, 0.3, 4.0],
        },
        index=pandas.Index(["w", "x", "y", "z"], name="row"),
    )
    narrows.compress(frame, tmp_path / "x.narrows")
    with open_archive(tmp_path / "x.narrows") as opened:
        pandas.testing.assert_frame_equal(opened.to_pandas(), frame)


@pytest.mark.slow  # polars takes seconds to import
def test_frames_of_polars_come_back(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2, None], "s": ["x", None, "z"], "f": [1.1, None, float("nan")]})
    narrows.compress(frame, tmp_path / "x.narrows")
    with open_archive(tmp_path / "x.narrows") as opened:
        assert polars.from_arrow(opened.to_arrow()).equals(frame)


def test_columns_of_other_types_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="'lists' has the type list"):
        narrows.compress(pa.table({"lists": [[1], [2]]}), tmp_path / "x.narrows")
    with pytest.raises(DataError, match="both"):
        narrows.compress(pa.table({"a": []}), tmp_path / "x.narrows")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        narrows.compress(tmp_path / "x.parquet", tmp_path / "x.narrows")


def test_bytes_that_are_no_text_come_back(tmp_path):
    frame = pandas.DataFrame({"a": [b"\xff\x00", b"", None, b"\xff\x00"] * 20})
    narrows.compress(frame, tmp_path / "x.narrows")
    with open_archive(tmp_path / "x.narrows") as archive:
        pandas.testing.assert_frame_equal(archive.to_pandas(), frame)


@pytest.mark.parametrize(("values", "why"), [([1, "x"], "Could not convert 'x'"), ([1j, 2j], "numpy type")])
def test_columns_that_arrow_has_no_type_for_are_refused_by_name(values, why, tmp_path):
    with pytest.raises(DataError, match=f"{why}.*column odd.*leave it out") as raised:
        narrows.compress(pandas.DataFrame({"a": [1, 2], "odd": values}), tmp_path / "x.narrows")
    assert "('" not in str(raised.value)


def test_bounds_hold_in_columns_of_every_type(table, tmp_path):
    names = ["int8", "uint64", "steps", "decimals", "date", "moment", "time", "money"]
    bounds = {"int8": 2, "uint64": 5, "steps": 700, "decimals": 0.5, "date": 86400, "moment": 3, "time": 90, "money": 1}
    text = ",".join(f"{name}={bound}" for name, bound in bounds.items())
    some = table.select(names)
    narrows.compress(some, tmp_path / "x.narrows", max_error=text)
    with open_archive(tmp_path / "x.narrows") as opened:
        back = opened.to_arrow()
    back.validate(full=True)
    assert back.schema.equals(some.schema)
    for name, bound in bounds.items():
        for one, other in zip(some[name].to_pandas(), back[name].to_pandas(), strict=True):
            assert pandas.isna(one) == pandas.isna(other)
            assert pandas.isna(one) or _distance(one, other) <= bound + 1e-9, name
    assert [name for name in names if back[name].equals(some[name])] == ["uint64"]


def _distance(one, other):
    if isinstance(one, datetime.time):
        one, other = (datetime.datetime.combine(datetime.date(2024, 1, 1), time) for time in (one, other))
    far = abs(one - other)
    return far.total_seconds() if isinstance(far, datetime.timedelta) else float(far)
