"""Matches: places where the text so far has what resembles its end, so that the next byte may be the one after it.

There are three, found by heads: of the last 6 bytes, of the last 12, both no further back than the line end before the
line, and of the line's skeleton. A match of the first two kinds needs 4 or 8 bytes that agree within the line and the
line end before it, at most 32 are compared; it replaces one that is shorter and shorter than 16. One of the last kind
replaces one of length 0. A byte that is as predicted makes a match longer. One that is not sets its length to 0; the
match goes on behind it, and ends after more than 8 of them. A line end ends all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from narrows.codec.text.line import Line
from narrows.codec.text.tables import N_MATCHES, Tables, mix

__all__ = ["Match", "find_matches", "follow"]

_LENGTHS, _LEAST, _MOST_VERIFIED, _LONG = (6, 12), (4, 8), 32, 16
_MOST_LENGTH, _MOST_MISSES, _BY_SKELETON = 65535, 8, N_MATCHES - 1


@dataclass
class Match:
    """A match: the position of the byte that it predicts, 0 if there is none; its length; its recent misses."""

    at: int = 0
    length: int = 0
    misses: int = 0


def follow(matches: list[Match], history: NDArray[np.uint8], byte: int) -> None:
    """Go on after a byte."""
    for match in matches:
        if not match.at:
            continue
        expected = int(history[match.at])
        match.at += 1
        if expected == byte:
            match.length = min(match.length + 1, _MOST_LENGTH)
            if match.misses and match.length % 16 == 0:
                match.misses -= 1
        else:
            match.length = 0
            match.misses += 1
            if match.misses > _MOST_MISSES:
                match.at = 0


def find_matches(matches: list[Match], tables: Tables, history: NDArray[np.uint8], line: Line, at: int) -> None:
    """Look for better matches at a position, and make it the head of its hashes."""
    n_heads = len(tables.heads) // N_MATCHES
    for kind, match in enumerate(matches):
        place = kind * n_heads + (_hash(kind, history, line, at) & n_heads - 1)
        head = int(tables.heads[place])
        if head and kind == _BY_SKELETON and match.length < 1:
            match.at, match.length, match.misses = head, 1, max(match.misses - 1, 0)
        elif head and kind != _BY_SKELETON and match.length < _LONG:
            agreeing = _agreement(history, line, at, head)
            if agreeing >= _LEAST[kind] and agreeing > match.length:
                match.at, match.length, match.misses = head, agreeing, 0
        tables.set_head(place, at)


def _hash(kind: int, history: NDArray[np.uint8], line: Line, at: int) -> int:
    if kind == _BY_SKELETON:
        return mix(line.skeleton, 99)
    hashed = 77 + kind
    for byte in history[max(at - _LENGTHS[kind], line.start - 1) : at][::-1].tolist():
        hashed = mix(hashed, byte)
    return hashed


def _agreement(history: NDArray[np.uint8], line: Line, at: int, head: int) -> int:
    most = min(at - line.start + 1, _MOST_VERIFIED, head)
    pairs = zip(history[at - most : at][::-1], history[head - most : head][::-1], strict=True)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
