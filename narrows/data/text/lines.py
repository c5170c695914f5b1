"""The bytes of a file of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from narrows.data.text.pieces import join_texts
from narrows.data.text.rows import TextRows
from narrows.errors import CorruptFileError, DataError

__all__ = ["column_pieces", "line_pieces"]

_BLOCK = 1 << 16  # bytes that are written at a time
_QUOTED = b',"\r\n'  # bytes of texts that are put in quotes in a CSV file


def line_pieces(records: Iterator[npt.NDArray[Any]], rows: TextRows) -> Iterator[bytes]:
    """Yield the bytes of a file with a text in each line.

    Parameters
    ----------
    records : iterator of ndarray of shape (m, length)
        The records, in order.
    rows : TextRows

    Raises
    ------
    DataError
        If a text has a line end.
    CorruptFileError
        If the description of the file is not valid.
    """
    newline = rows.origin.get("newline", "\n")
    if newline not in ("\n", "\r\n"):
        raise CorruptFileError(f"The description of the text file is not valid: {rows.origin!r:.120}.")
    end, held = newline.encode(), bytearray()
    for number, text in enumerate(join_texts(records, rows.counts)):
        if number:
            held += end
        if b"\n" in text:
            raise DataError(
                f"Text {number:,} has a line end, so that it would be two lines of a file. Restore the texts in "
                "Python, as a list (narrows.restore)."
            )
        held += text
        if len(held) >= _BLOCK:
            yield bytes(held)
            held.clear()
    if len(rows.counts) and not rows.origin.get("open_end"):
        held += end
    yield bytes(held)


def column_pieces(records: Iterator[npt.NDArray[Any]], rows: TextRows) -> Iterator[bytes]:
    """Yield the bytes of a CSV file with one column, of texts (RFC 4180); its name is that in the origin, or ``text``.

    Parameters
    ----------
    records : iterator of ndarray of shape (m, length)
        The records, in order.
    rows : TextRows
    """
    held = bytearray(_quoted(str(rows.origin.get("column", "text")).encode("utf-8", "surrogateescape")) + b"\n")
    for text in join_texts(records, rows.counts):
        held += _quoted(text) + b"\n"
        if len(held) >= _BLOCK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _quoted(text: bytes) -> bytes:
    """Return a field of a CSV file; empty ones are quoted, since readers skip empty lines."""
    if text and not any(byte in _QUOTED for byte in text):
        return text
    return b'"' + text.replace(b'"', b'""') + b'"'
