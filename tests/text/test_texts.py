"""Texts: reading them from files, lists and columns, cutting them into records, and writing them again."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narrows.data
from narrows.data.text import Pieces, Texts
from narrows.data.text.pieces import join_texts
from narrows.data.text.rows import TextRows
from narrows.errors import CorruptFileError, DataError, InvalidParameterError, UnknownNameError
from narrows.records import Text, schema_of
from narrows.records.symbols import N_SYMBOLS, bytes_of, symbols_of

BYTES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\r", b"\0", b"\xff", "é".encode()]), min_size=1)


def written_again(path, out, **options):
    source = narrows.data.open(path, **options)
    rows = TextRows(source.text.counts, source.text.texts.origin)
    narrows.data.write(out, source.values, text=rows, force=True)
    return out.read_bytes()


@given(parts=BYTES, length=st.sampled_from([1, 3, "auto"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_bytes_are_written_whatever_line_ends_and_bytes_a_file_has(parts, length, tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"".join(parts))
    assert written_again(path, tmp_path / "y.txt", length=length) == b"".join(parts)


@given(texts=st.lists(st.binary(max_size=9), min_size=1), length=st.integers(1, 10))
def test_texts_are_joined_from_their_pieces(texts, length):
    pieces = Pieces(Texts.of(texts), length)
    records = pieces.cut()
    assert records.shape == (sum(max(1, -(-len(text) // length)) for text in texts), length)
    assert list(join_texts(np.array_split(records, 3), pieces.counts)) == texts


def test_every_byte_has_a_symbol_of_its_own_and_plain_letters_have_the_smallest():
    every = np.arange(256, dtype=np.uint8)
    symbols = symbols_of(every)
    assert sorted(symbols.tolist()) == list(range(1, N_SYMBOLS))
    assert bytes_of(symbols) == every.tobytes()
    assert symbols_of(np.frombuffer(b"az 0", np.uint8)).tolist() == [1, 26, 27, 28]
    assert symbols_of(np.frombuffer(b"\n", np.uint8)).tolist() == [256]


def test_a_line_of_ten_million_bytes_comes_back(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"0123456789" * 1_000_000 + b"\nshort\n")
    assert written_again(path, tmp_path / "y.log") == path.read_bytes()


def test_an_empty_file_is_refused_by_name(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"")
    with pytest.raises(CorruptFileError, match=r"x\.txt is empty"):
        narrows.data.open(tmp_path / "x.txt")


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda texts: [text.encode() for text in texts],
        lambda texts: pytest.importorskip("pandas").Series(texts),
    ],
)
def test_lists_arrays_and_columns_of_texts_are_records_of_text(make):
    source = narrows.data.open(make(["emma", "zoë", ""]))
    assert (source.record, source.shape, source.name) == ("text", (4,), "3 texts")
    assert list(source.text.texts) == [b"emma", "zoë".encode(), b""]
    assert source.values[0].tolist() == [5, 13, 13, 1]
    assert source.values[2].tolist() == [0, 0, 0, 0]


def test_the_first_records_of_text_are_the_first_texts(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a": 22222}\n{}\n')
    for source in (
        narrows.data.open(tmp_path / "x.jsonl", length=4, limit=2),
        narrows.data.open(tmp_path / "x.jsonl", length=4).limit(2),
    ):
        assert list(source.text.texts) == [b'{"a": 1}', b'{"a": 22222}']
        assert len(source) == 2 + 3


def test_the_length_is_chosen_so_that_few_texts_are_cut():
    assert Pieces.of(Texts.of(["ab"] * 10)).length == 2
    some = Pieces.of(Texts.of(["ab"] * 1000 + ["a" * 100]))
    assert (some.length, some.n_cut) == (2, 1)
    assert Pieces.of(Texts.of(["a" * 1000])).length == 256


def test_a_column_of_a_csv_file_is_text(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.csv"
    path.write_text('id,name\n1,emma\n2,"a, ""b"""\n3,\n')
    source = narrows.data.open(path, column="name")
    assert list(source.text.texts) == [b"emma", b'a, "b"', b""]
    with pytest.raises(UnknownNameError, match="nome"):
        narrows.data.open(path, column="nome")
    with pytest.raises(InvalidParameterError, match="is not for texts"):
        narrows.data.open(path, column="name", time="id")
    with pytest.raises(InvalidParameterError, match="--column"):
        narrows.data.open(path, length=5)


def test_a_text_with_a_line_end_is_not_written_as_two_lines(tmp_path):
    source = narrows.data.open(["a\nb"])
    with pytest.raises(DataError, match="Text 0 has a line end"):
        narrows.data.write(tmp_path / "x.txt", source.values)
    assert not (tmp_path / "x.txt").exists()


def test_other_records_are_not_written_as_text(tmp_path):
    with pytest.raises(DataError, match="holds records of text"):
        narrows.data.write(tmp_path / "x.txt", np.zeros((3, 4)))


def test_texts_have_a_schema():
    schema = schema_of("text", (9,), np.dtype(np.uint16))
    assert isinstance(schema, Text)
    assert schema.length == 9
    with pytest.raises(InvalidParameterError, match=r"shape \(length,\)"):
        schema_of("text", (9, 9), np.dtype(np.uint16))
