"""What to do about a damaged archive: `recover` it, if that can save records."""

from __future__ import annotations

from narrows.archive.byte_file import ByteFile
from narrows.archive.layout import BlockType, parse_header, size_of_header
from narrows.archive.scan import scan
from narrows.errors import NarrowsError
from narrows.io.pipes import STANDARD_INPUT

__all__ = ["remedy"]

_RECOVER = "'narrows recover' (narrows.archive.recover) writes the intact records to a new archive."
_NOTHING = "None of its records are intact, so 'narrows recover' cannot help. Use another copy of the file."
_START = 20  # bytes that tell the size of a header


def remedy(path: str) -> str:
    """Return a sentence of advice on a damaged archive, for the end of an error message."""
    if path == STANDARD_INPUT:
        return f"Write it to a file: {_RECOVER}"
    try:
        with ByteFile(path) as source:
            return _RECOVER if _has_intact_records(source) else _NOTHING
    except NarrowsError:
        return _NOTHING


def _has_intact_records(source: ByteFile) -> bool:
    """Return whether the header, or its copy in an INDEX block, and a chunk have the right checksums."""
    has_header = _has_header(source)
    has_records = False
    for _, block, is_whole in scan(source, 0):
        has_header |= is_whole and block.type == BlockType.INDEX
        has_records |= is_whole and block.type == BlockType.RECORDS
        if has_header and has_records:
            return True
    return False


def _has_header(source: ByteFile) -> bool:
    try:
        n_bytes = size_of_header(source.read(0, min(_START, source.size)), source.size)
        parse_header(source.read(0, n_bytes))
    except NarrowsError:
        return False
    return True
