"""Sources whose records are texts, or pieces of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from narrows.data.csv_reader import read_csv
from narrows.data.source import Source
from narrows.data.text.pieces import Pieces
from narrows.data.text.texts import Texts
from narrows.errors import InvalidParameterError

__all__ = ["source_of_pieces", "source_of_texts", "texts_in_column", "texts_in_list", "whole_texts", "with_length"]


def source_of_texts(texts: Texts, name: str, kind: str, *, length: int | str | None = None) -> Source:
    """Return texts as records of at most ``length`` bytes, by default as many as suit them."""
    return source_of_pieces(Pieces.of(texts, length), name, kind)


def source_of_pieces(pieces: Pieces, name: str, kind: str) -> Source:
    """Return pieces of texts as records."""
    return Source(pieces.cut(), name=name, kind=kind, record="text", text=pieces)


def texts_in_list(data: Sequence[str | bytes], *, length: int | str | None = None) -> Source:
    """Return the texts of a sequence as records."""
    texts = Texts.of(list(data))
    return source_of_texts(texts, f"{len(texts):,} text{'' if len(texts) == 1 else 's'}", "texts", length=length)


def texts_in_column(path: Path, source: str, column: str) -> Texts:
    """Return the texts in a column of a CSV file.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    CorruptFileError, DataError
        If the file cannot be read.
    """
    import pyarrow as pa

    table = read_csv(path, source)
    found = table.table.column(table.names.index(table.check_name(column)))
    whole = pa.concat_arrays(found.cast(pa.large_string()).chunks)
    _, offsets, data = whole.buffers()
    ends = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    buffer = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Texts(buffer, ends[:-1], ends[1:], {"kind": "csv", "column": column}, path)


def with_length(source: Source, length: int) -> Source:
    """Return texts as records of the length of a model's, if it may be chosen."""
    pieces = source.text
    assert pieces is not None, "the source has texts"
    if not pieces.is_chosen or pieces.length == length:
        return source
    again = Pieces(pieces.texts, length, is_chosen=True)
    return replace(source, values=again.cut(), text=again)


def whole_texts(source: Source) -> Source:
    """Return a source without the texts that are more than one record, which have no place on a map.

    Raises
    ------
    InvalidParameterError
        If no text is short enough.
    """
    if source.text is None or not source.text.n_cut:
        return source
    pieces = source.text
    whole = np.flatnonzero(pieces.texts.lengths <= pieces.length)
    if not len(whole):
        raise InvalidParameterError(
            f"A map of text needs texts of at most {pieces.length:,} bytes, the length of the model's records. "
            "All are longer."
        )
    return source_of_pieces(Pieces(pieces.texts.take(whole), pieces.length), source.name, source.kind)
