"""Tables in files of text: the same bytes come back, whatever they are."""

import csv
import io
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.data.tables import kernels, rows
from narrows.data.tables.cells import Cells
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
    "odd number": st.sampled_from(["-0", "007", "+5", "1.", ".5", "1e5", "1.50", "NaN", "inf", "9" * 25, "1_000", " 1"]),
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
