"""Identifiers and texts that are like those of a column, and none of them."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.tables.typed import TypedTable

__all__ = ["arrays_of_texts", "new_texts"]

Arrays = Mapping[str, npt.NDArray[Any]]

_MOST_SHAPES, _LONGEST = 256, 200
_TRIES = 20
_CLASSES = {"0": "0123456789", "a": "abcdefghijklmnopqrstuvwxyz", "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_LETTERS = _CLASSES["a"]


def arrays_of_texts(table: TypedTable) -> dict[str, npt.NDArray[Any]]:
    """Return what is kept of the columns of texts of a table: no text, but digests, shapes and counts of letters.

    The shape of a text has 0 for each digit, a and A for letters, and everything else as it is, so that ``AB-17`` is
    ``AA-00``. The most frequent shapes are kept. A digest is the CRC-32 of a text.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for number, field in enumerate(table.texts):
        words = [word for word in table.column(field.name).words or [] if word is not None]
        shapes = Counter(_shape(word[:_LONGEST]) for word in words).most_common(_MOST_SHAPES)
        letters = Counter("".join(words).lower())
        found[f"texts.{number}.digests"] = np.unique(np.array([zlib.crc32(word.encode()) for word in words], np.uint32))
        found[f"texts.{number}.shapes"] = np.frombuffer("\0".join(one for one, _ in shapes).encode(), np.uint8)
        found[f"texts.{number}.counts"] = np.array([times for _, times in shapes], np.int64)
        found[f"texts.{number}.letters"] = np.array([letters[letter] + 1 for letter in _LETTERS], np.int64)
    return found


def _shape(text: str) -> str:
    text = re.sub(r"[0-9]", "0", text.replace("\0", " "))
    return re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", text))


def new_texts(arrays: Arrays, number: int, n: int, rng: np.random.Generator) -> list[str]:
    """Return n different texts with the shapes of a column's, none of which is a text of the training table.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As `arrays_of_texts` returns them.
    number : int
        The number of the column among those of texts.
    n : int
    rng : Generator
    """
    counts = arrays[f"texts.{number}.counts"]
    if not len(counts):
        return [f"{k + 1}" for k in range(n)]
    shapes = arrays[f"texts.{number}.shapes"].tobytes().decode().split("\0")
    known = set(arrays[f"texts.{number}.digests"].tolist())
    letters = arrays[f"texts.{number}.letters"]
    drawn = rng.choice(len(counts), n, p=counts / counts.sum())
    made: list[str] = []
    for shape in (shapes[i] for i in drawn.tolist()):
        for attempt in range(_TRIES * 10):
            text = _filled(shape + "0" * (attempt // _TRIES), letters / letters.sum(), rng)
            digest = zlib.crc32(text.encode())
            if digest not in known:
                break
        known.add(digest)
        made.append(text)
    return made


def _filled(shape: str, letters: npt.NDArray[np.float64], rng: np.random.Generator) -> str:
    """Return a text of a shape."""
    filled: Sequence[str] = [
        one if one not in _CLASSES else _drawn(_CLASSES[one], None if one == "0" else letters, rng) for one in shape
    ]
    return "".join(filled)


def _drawn(letters: str, shares: npt.NDArray[np.float64] | None, rng: np.random.Generator) -> str:
    return letters[int(rng.choice(len(letters), p=shares))]
