"""A second, independent reader of archives of texts, written from docs/format.md and nothing else.

It uses `archive_decoder` and `series_decoder` for what all archives share. `read` gives the bytes of each text.
Whatever is damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

from pathlib import Path

from archive_decoder import Array, read_records, require
from series_decoder import column, metadata

TEXT, BYTE_MODEL = 64, 1024  # bits of features
PIECES = 3  # the content of a column


def byte_order() -> list[int]:
    """The byte of each symbol, from symbol 1 on."""
    first = [*range(97, 123), 32, *range(48, 58), *range(65, 91)]
    others = [byte for byte in range(33, 127) if byte not in first]
    control = [byte for byte in [*range(32), 127] if byte not in {0, 9, 10, 13}]
    return [*first, *others, 9, *range(128, 256), *control, 13, 0, 10]


def read(path: str | Path, model_blob: bytes | None = None) -> list[bytes]:
    """The texts of an archive."""
    features, meta = metadata(path)
    require((features & TEXT != 0) == ("text" in meta), "the bit of texts is not as it should be")
    require((features & BYTE_MODEL != 0) == ("byte_model" in meta), "the bit of a model of bytes is wrong")
    records, tiling = read_records(path, model_blob, TEXT | BYTE_MODEL)
    require(tiling is None and records.ndim == 2, "records are no pieces of texts")
    counts = [1] * len(records)
    if "texts" in meta["text"]:
        counts = column(path, PIECES, ()).tolist()
        require(len(counts) == meta["text"]["texts"] and min(counts) >= 1, "there are not the counts of the texts")
    require(sum(counts) == len(records), "there are not the records of the texts")
    texts, at = [], 0
    for count in counts:
        texts.append(b"".join(piece(record) for record in records[at : at + count]))
        at += count
    return texts


def piece(record: Array) -> bytes:
    """The bytes of a record."""
    order, found = byte_order(), bytearray()
    for symbol in record.tolist():
        if symbol == 0:
            break
        found.append(order[symbol - 1])
    return bytes(found)
