"""What other compressors take for lines of text, all together: the archive without a model, xz, and zstd."""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable

import zstandard

from narrows.archive.yardsticks import Yardstick
from narrows.codec.text.frozen import FrozenBytes

__all__ = ["WITHOUT_MODEL", "yardsticks_of_text"]

WITHOUT_MODEL = "narrows without a model"
"""The name of the archive that `narrows.compress` writes without a model."""

_CHUNK_BYTES = 1 << 20  # of which the first is measured
_SAMPLE_BYTES = 2 << 20
_FIXED, _FIXED_PACKED = 450, 90  # bytes of header, block and index of an archive, and of one that is packed
_MOST_PACKED = 80_000  # about as many bytes has an archive that is packed, at most
_BITS = 20


def yardsticks_of_text(sample: bytes, n_bytes: int) -> list[Yardstick]:
    """Return what others take for lines of n_bytes bytes, measured on a sample of them.

    What as many lines more would take is measured on the second half of the sample, after the first.

    Parameters
    ----------
    sample : bytes
        The first lines, each with its line end.
    n_bytes : int
        The number of bytes of all lines, with their line ends.
    """
    found = []
    for name, (size_of, most) in _OTHERS.items():
        part = _lines_of(sample, most)
        half = _lines_of(part, len(part) // 2)
        size, before = size_of(part), size_of(half)
        each = size / len(part)
        is_whole = len(part) == len(sample)  # a longer text is cut into chunks that learn anew
        more = (size - before) / max(1, len(part) - len(half)) if is_whole and len(half) < len(part) else each
        n_coded = round(each * n_bytes)
        if name == WITHOUT_MODEL:
            n_coded += _FIXED if n_coded > _MOST_PACKED else _FIXED_PACKED
        found.append(Yardstick(name, n_coded, None, again=round(more * n_bytes)))
    return found


def pays_after(model_bytes: int, fixed_bytes: int, each: float, n_records: int, others: list[Yardstick]) -> int | None:
    """Return the number of records from which model and archive together take fewer bytes than any other.

    None if there is no such number.

    Parameters
    ----------
    model_bytes, fixed_bytes : int
        Of the model, and of the archive's header and index.
    each : float
        Bytes of a record.
    n_records : int
        How many records the others were measured on.
    others : list of Yardstick
        What the others take for them.

    Examples
    --------
    >>> pays_after(1000, 100, 2.0, 50, [Yardstick("xz", 400, None, again=200)])
    450
    """
    found = 1
    for other in others:
        more = (other.n_bytes if other.again is None else other.again) / n_records
        if more <= each:
            return None
        found = max(found, math.ceil((model_bytes + fixed_bytes - other.n_bytes + n_records * more) / (more - each)))
    return found


def _lines_of(text: bytes, n: int) -> bytes:
    """Return the first whole lines of a text, about n bytes; at least one."""
    if n >= len(text):
        return text
    end = text.rfind(b"\n", 0, n)
    return text[: end + 1] if end >= 0 else text[:n]


def _without_model(text: bytes) -> int:
    return len(FrozenBytes.of(text.removesuffix(b"\n").split(b"\n"), most_bits=_BITS).coded)


def _xz(text: bytes) -> int:
    return len(lzma.compress(text, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))


def _zstd(text: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=19).compress(text))


_OTHERS: dict[str, tuple[Callable[[bytes], int], int]] = {
    "xz": (_xz, _SAMPLE_BYTES),
    "zstd": (_zstd, _SAMPLE_BYTES),
    WITHOUT_MODEL: (_without_model, _CHUNK_BYTES),
}
