"""Tables in files of text: the same bytes come back, whatever they are."""

import csv
import datetime
import io
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narrows
from narrows.data.tables import kernels, rows
from narrows.data.tables.cells import Cells
from narrows.data.tables.choice import open_table, steps_of_series
from narrows.data.tables.opening import open_csv, parse_kinds
from narrows.errors import CorruptFileError, DataError, InvalidParameterError, UnknownNameError


@contextmanager
def by_numpy():
    """Compute without the compiled kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        patch.setattr(rows, "compiled", None)
        yield


def opened(folder, data, **options):
    path = folder / "table.csv"
    path.write_bytes(data)
    return open_csv(path, "table.csv", **options)


def written(source, size=4):
    form = source.form
    text = b"".join(form.text(group).tobytes() for group in source.groups(size))
    dialect = form.dialect
    return dialect.head + (text.removesuffix(dialect.newline) if dialect.open_end else text) + dialect.tail


def kinds(source):
    return {name: rule.kind for name, rule in zip(source.form.names, source.form.rules, strict=True)}


CELLS = {
    "whole": st.integers(-(10**12), 10**12).map(str),
    "decimal": st.decimals(-1000, 1000, places=2).map(str),
    "odd number": st.sampled_from(
        ["-0", "007", "+5", "1.", ".5", "1e5", "1.50", "NaN", "inf", "9" * 25, "1_000", " 1"]
    ),
    "float": st.floats(allow_nan=False).map(repr),
    "word": st.sampled_from(["red", "green", "blue", "", "NA", "TRUE", "FALSE"]),
    "date": st.dates().map(str),
    "moment": st.datetimes().map(lambda one: one.isoformat() + "Z"),
    "text": st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8),
}


@st.composite
def tables(draw):
    """Draw the bytes of a table whose columns have mostly one kind of cells."""
    n, kind_of = draw(st.integers(1, 9)), draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    others = st.sampled_from(["", "NA", "x", '"'])
    cells = [[draw(st.one_of(CELLS[kind], CELLS[kind], CELLS[kind], others)) for kind in kind_of] for _ in range(n)]
    file = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(file, quoting=quoting, lineterminator=newline, delimiter=draw(st.sampled_from(",;\t")))
    writer.writerow([f"c{i}" for i in range(len(kind_of))])
    writer.writerows(cells)
    text = file.getvalue()
    text = text.removesuffix(newline) if draw(st.booleans()) else text
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


@given(data=tables())
@settings(max_examples=40)
def test_any_table_is_written_as_it_was(data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    source = opened(folder, data)
    assert written(source) == data
    with by_numpy():
        again = opened(folder, data)
        assert [rule.to_json() for rule in again.form.rules] == [rule.to_json() for rule in source.form.rules]
        assert written(again) == data
    for group in source.groups(4):  # what is made of the cells for people
        assert all(len(source.form.values(group, column)) == len(group) for column in range(len(source.form.rules)))
        source.form.arrow([group], range(len(source.form.rules)))


@given(
    texts=st.lists(st.text("-.0123456789x", max_size=22), max_size=12),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12),
    digits=st.integers(0, 18),
    data=st.data(),
)
def test_kernels_compute_what_numpy_does(texts, numbers, digits, data):
    cells = Cells.of([text.encode() for text in texts])
    values = np.array(numbers, np.int64)
    least, width = data.draw(st.integers(0, digits)), data.draw(st.integers(0, 20))

    def found():
        read = kernels.numbers(*cells)
        numbered = kernels.ids(*cells, 5)
        text, ends = kernels.write(values, digits, least, width)
        numbered = None if numbered is None else [one.tolist() for one in numbered]
        return *(one.tolist() for one in read), numbered, text.tobytes(), ends.tolist()

    by_c = found()
    with by_numpy():
        assert found() == by_c


KINDS = {
    "integer": ["1", "-20", "NA", "300"],
    "decimal": ["1.5", "2", "-0.25", ""],
    "float": ["1e-05", "2.5e+20", "1.25", "0.1"],
    "boolean": ["TRUE", "FALSE", "TRUE", "TRUE"],
    "date": ["2024-02-29", "2023-12-01", "1999-01-01", ""],
    "time": ["05:30", "23:59", "00:00", "12:00"],
    "datetime": ["2024-02-29T05:30:00Z", "2023-12-01T00:00:00Z", "1999-01-01T23:59:59Z", "NA"],
    "category": ["a b", "c", "a b", "c"],
    "identifier": ["x81", "x82", "x83", "x9"],
    "text": ["what a day", "it was so", "a long one", "in the end"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_found(kind, tmp_path):
    source = opened(tmp_path, ("v,w\n" + "".join(f"{text},0\n" for text in KINDS[kind])).encode())
    assert kinds(source) == {"v": kind, "w": "integer"}
    (group,) = source.groups(9)
    assert not group.n_exceptions
    values = source.form.values(group, 0)
    assert sum(value is None for value in values) == sum(text in {"", "NA"} for text in KINDS[kind])
    types = {"integer": int, "decimal": float, "float": float, "boolean": bool, "category": str, "identifier": str}
    expected = types.get(kind, str if kind == "text" else getattr(datetime, kind, None))
    assert {type(value) for value in values if value is not None} == {expected}


def test_texts_unlike_their_column_are_exceptions(tmp_path):
    data = b"n,d\n" + b"1,2024-01-01\n" * 200 + b"one,2024-1-1\n+2,2024-01-01\n"
    source = opened(tmp_path, data)
    assert kinds(source) == {"n": "integer", "d": "date"}
    groups = list(source.groups(1000))
    assert groups[0].columns[0].texts == [b"one", b"+2"]
    assert groups[0].columns[1].rows.tolist() == [200]
    assert source.form.values(groups[0], 0)[-2:] == ["one", 2]
    assert source.form.arrow(groups, [0]).column(0).to_pylist()[-2:] == [None, 2]
    assert written(source) == data


WHOLE = {
    "no last line end": b"a,b\n1,2\n3,4",
    "empty lines at the end": b"a,b\n1,2\n\n\n",
    "one column with empty cells": b"a\n1\n\n3\n",
    "CR LF, and one LF": b"a,b\r\n1,2\r\n3,4\n5,6\r\n",
    "LF, and one CR LF": b"a,b\n1,2\n3,4\r\n",
    "quotes that are none": b'a,b\n1,5" disk\n2,"6 of 9\n',
    "a quote inside": b'a,b\n1,"x ""y"" z"\n2,q"q\n',
    "line ends in quotes": b'a,b\n"1\n2",x\n"",y\n',
    "names that repeat": b"a,a,a_2\n1,2,3\n",
    "names without letters": b",,\n1,2,3\n",
    "Latin-1": "a;b\nJos\xe9;1\n".encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbfa\tb\n1\t2\n",
    "no letters at all": b"\n\n",
}


@pytest.mark.parametrize("what", WHOLE)
def test_odd_files_are_written_as_they_were(what, tmp_path):
    if what == "no letters at all":
        with pytest.raises(DataError, match="empty"):
            opened(tmp_path, WHOLE[what])
        return
    source = opened(tmp_path, WHOLE[what])
    assert written(source) == WHOLE[what]
    assert len(set(source.form.names)) == len(source.form.names)
    with by_numpy():
        assert written(opened(tmp_path, WHOLE[what])) == WHOLE[what]


WRONG = {
    "a row with fewer fields": (b"a,b\n1,2\n3\n4,5\n", r"Line 3 of table\.csv has 1 field, .*first line has 2"),
    "a row with more fields": (b"a,b\n1,2\n3,4,5\n", "Line 3.*has 3 fields"),
    "an empty line": (b"a,b\n1,2\n\n3,4\n", "Line 3.*has 1 field,"),
    "names alone": (b"a,b\n", "no rows"),
    "nothing": (b"", "empty"),
    "CR alone": (b"a,b\r1,2\r3,4\r", "CR alone"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
}


@pytest.mark.parametrize("what", WRONG)
def test_files_that_hold_no_table_are_refused_by_line(what, tmp_path):
    data, message = WRONG[what]
    with pytest.raises((CorruptFileError, DataError), match=message):
        opened(tmp_path, data)


def test_a_quote_that_is_never_closed_is_refused_by_line(tmp_path):
    with pytest.raises(CorruptFileError, match=r"line 3 of table\.csv is never closed"):
        opened(tmp_path, b'a,b\n1,2\n3,"4,5\n6\n')


def test_wide_tables_and_long_cells_are_read(tmp_path):
    names = ",".join(f"c{i}" for i in range(600))
    data = f"{names}\n{','.join('1' * 600)}\n".encode()
    assert written(opened(tmp_path, data)) == data
    long = b"a,b\n1," + b"x" * 3_000_000 + b"\n"
    assert written(opened(tmp_path, long)) == long


def test_options_say_what_is_not_found(tmp_path):
    source = opened(tmp_path, b"1;a\n2;b\n", header=False, delimiter=";", kinds={"0": "category"})
    assert kinds(source) == {"0": "category", "1": "identifier"}
    assert source.n_rows == 2
    with pytest.raises(InvalidParameterError, match="one ASCII letter"):
        opened(tmp_path, b"a,b\n1,2\n", delimiter="::")
    for wrong in ("utf-16", "latin-x"):
        with pytest.raises(InvalidParameterError, match="latin-1 or cp1252"):
            opened(tmp_path, b"a,b\n1,2\n", encoding=wrong)
    text = opened(tmp_path, "a,b\n\x80,2\n".encode("latin-1"), encoding="cp1252")
    assert text.form.values(next(text.groups(1)), 0) == ["€"]
    with pytest.raises(UnknownNameError, match="Choose one of"):
        opened(tmp_path, b"a,b\n1,2\n", kinds={"c": "text"})
    assert parse_kinds("a:text, b:c:integer") == {"a": "text", "b:c": "integer"}
    with pytest.raises(InvalidParameterError, match="Allowed: integer"):
        parse_kinds("a:words")


ODD = ["1e-05", "0.5", "", "1E5", "007", "+3", " 5", "-0", "5.", "1_000", "inf", "1e400", "much"]


@pytest.mark.parametrize("odd", ODD)
def test_a_column_of_floats_is_a_series_if_that_gives_the_same_file_back(odd, tmp_path):
    """Floats as Python writes them are, with missing ones; other ways to write a number are exceptions of a table."""
    path, archive, back = tmp_path / "s.csv", tmp_path / "s.narrows", tmp_path / "back.csv"
    values = [repr(value / 7) for value in range(50)]
    path.write_text("\n".join(["value", *values, odd, *values]) + "\n")
    assert steps_of_series(open_table(path)) == (odd in ODD[:3])
    narrows.compress(path, archive)
    narrows.restore(archive, out=back)
    assert back.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("missing", "is_series"), [("", True), ("NaN", True), ("null", True), ("?", False), ("-", False)]
)
def test_missing_values_leave_a_column_a_series_if_series_know_their_text(missing, is_series, tmp_path):
    path, archive, back = tmp_path / "s.csv", tmp_path / "s.narrows", tmp_path / "back.csv"
    path.write_text("\n".join(["value", *["0.25", missing, missing] * 40, "-4.2e-05"]) + "\n")
    assert steps_of_series(open_table(path)) == is_series
    narrows.compress(path, archive)
    narrows.restore(archive, out=back)
    assert back.read_bytes() == path.read_bytes()
