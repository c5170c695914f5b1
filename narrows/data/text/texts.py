"""Texts of any length: bytes in one buffer, which may be a file that is larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError

__all__ = ["Texts", "decoded", "encoded", "is_texts"]

_BLOCK = 1 << 24  # bytes that are searched for line ends at a time
_LINE_FEED, _RETURN = 10, 13


@dataclass(frozen=True, eq=False)
class Texts:
    r"""Texts, which are bytes: UTF-8, unless they come from a file that has something else.

    Attributes
    ----------
    buffer : ndarray of uint8
        The bytes of all texts, and what is between them.
    starts, stops : ndarray of int64, shape (n,)
        Where each text starts and stops in the buffer.
    origin : dict
        The format that the texts were read from, and what is needed to write it again, as JSON values. ``newline``: the
        end of each line of a file, ``"\n"`` or ``"\r\n"``. ``open_end``: whether the last line has none.
    path : Path, optional
        The file that they were read from, as a whole.
    """

    buffer: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    origin: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes:
        return self.buffer[self.starts[index] : self.stops[index]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of bytes of each text."""
        return self.stops - self.starts

    @property
    def n_bytes(self) -> int:
        """The number of bytes of all texts, without line ends."""
        return int(self.lengths.sum())

    def take(self, chosen: slice | npt.NDArray[np.int64]) -> Texts:
        """Return some of the texts, of the same buffer."""
        origin = {name: value for name, value in self.origin.items() if name != "open_end"}
        return replace(self, starts=self.starts[chosen], stops=self.stops[chosen], origin=origin, path=None)

    def first_bytes(self, n: int) -> bytes:
        r"""Return the first n bytes of the texts, of which each ends with a line end; all of them, if they are fewer.

        Examples
        --------
        >>> Texts.of(["ab", "", "cde"]).first_bytes(6)
        b'ab\n\ncd'
        """
        found = bytearray()
        for start, stop in zip(self.starts, self.stops, strict=True):
            found += self.buffer[start : min(int(stop), int(start) + n - len(found))].tobytes()
            if len(found) >= n:
                break
            found += b"\n"
        return bytes(found)

    @classmethod
    def of(cls, texts: Sequence[str | bytes]) -> Texts:
        """Return texts in memory; characters that are no Unicode stand for single bytes (PEP 383).

        Examples
        --------
        >>> list(Texts.of(["ab", "", b"c"]))
        [b'ab', b'', b'c']
        """
        parts = [encoded(text) for text in texts]
        lengths = np.array([len(part) for part in parts], np.int64)
        stops = np.cumsum(lengths)
        buffer = np.frombuffer(b"".join(parts), np.uint8)
        return cls(buffer, stops - lengths, stops, {"kind": "list"})

    @classmethod
    def of_lines(cls, path: Path, kind: str) -> Texts:
        """Return the lines of a file that is not empty, which is mapped into memory.

        Lines end with a line feed. If all have a carriage return before it, that is part of the end, otherwise of the
        text. The last line may have no end.
        """
        with path.open("rb") as file:
            buffer = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        found = [
            np.flatnonzero(buffer[start : start + _BLOCK] == _LINE_FEED) + start
            for start in range(0, len(buffer), _BLOCK)
        ]
        feeds = np.concatenate(found).astype(np.int64)
        is_open = bool(not len(feeds) or feeds[-1] != len(buffer) - 1)
        starts = np.concatenate([np.zeros(1, np.int64), feeds + 1])[: len(feeds) + is_open]
        has_returns = len(feeds) > 0 and feeds[0] > 0 and bool((buffer[feeds - 1] == _RETURN).all())
        stops = np.concatenate([feeds - has_returns, np.array([len(buffer)] * is_open, np.int64)])
        how = {**({"newline": "\r\n"} if has_returns else {}), **({"open_end": True} if is_open else {})}
        return cls(buffer, starts, stops, {"kind": kind, **how}, path)


def encoded(text: str | bytes) -> bytes:
    """Return a text as bytes: UTF-8, with single bytes for characters that stand for them (PEP 383)."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DataError(
            f"A text has half of a surrogate pair, {text[error.start]!r}, which is no character. Remove it."
        ) from None


def decoded(text: bytes) -> str:
    r"""Return bytes as a text, the inverse of `encoded`: bytes that are no UTF-8 become characters that stand for them.

    Examples
    --------
    >>> decoded(encoded("né")), encoded(decoded(bytes([255, 65])))
    ('né', b'\xffA')
    """
    return text.decode("utf-8", "surrogateescape")


def is_texts(data: Any) -> bool:
    """Return whether data are a sequence of texts: a list, an array or a column of `str` or `bytes`.

    Examples
    --------
    >>> is_texts(["a", "b"]), is_texts(np.array(["a"])), is_texts([["a"]]), is_texts([1]), is_texts([])
    (True, True, False, False, False)
    """
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(isinstance(one, str | bytes) for one in data)
    if getattr(data, "ndim", None) != 1 or getattr(data, "dtype", None) is None or not len(data):
        return False
    if getattr(data.dtype, "kind", "O") not in "OSUT":
        return False
    return all(isinstance(one, str | bytes) for one in data)
