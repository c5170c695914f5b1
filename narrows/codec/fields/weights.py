"""The weights of passes as bytes: the sizes of all stencils, 2 bits each, lowest first; then the weights, in order.

Only stencils of size 2 and 3 have weights: of all pairs but the first, then of the neighbours before. A weight is a
multiple of 2^7 units; the factor is written as 2 w for w >= 0 and -2 w - 1 for w < 0, in base 128, lowest digit first,
with the highest bit set in all digits but the last.
"""

from __future__ import annotations

import numpy as np

from narrows.codec.fields.fit import UNIT_BITS, fixed_weights
from narrows.codec.fields.interpolation import Weights
from narrows.codec.fields.passes import Pass
from narrows.errors import CorruptArchiveError

__all__ = ["pack_weights", "unpack_weights"]

_FIXED = 1  # the largest size without weights
_MOST_DIGITS = 3


def pack_weights(weights: list[Weights]) -> bytes:
    """Return the weights of all passes as bytes."""
    sizes = np.zeros(-(-len(weights) // 4), np.uint8)
    numbers = bytearray()
    for at, one in enumerate(weights):
        sizes[at // 4] |= one.size << 2 * (at % 4)
        if one.size > _FIXED:
            for weight in (*one.pairs[1:].tolist(), *one.before.tolist()):
                _put(numbers, weight >> UNIT_BITS)
    return sizes.tobytes() + bytes(numbers)


def unpack_weights(data: bytes, passes: list[Pass]) -> list[Weights]:
    """Return the weights of passes.

    Raises
    ------
    CorruptArchiveError
        If the bytes are too few or too many.
    """
    at, found = -(-len(passes) // 4), []
    if len(data) < at:
        raise CorruptArchiveError("The weights of an interpolated chunk are cut off.")
    for number, part in enumerate(passes):
        size = data[number // 4] >> 2 * (number % 4) & 3
        if size <= _FIXED:
            found.append(fixed_weights(part, size))
            continue
        stencil = part.stencil(size)
        numbers = [0]
        for _ in range(len(stencil.pairs) - 1 + len(stencil.before)):
            weight, at = _take(data, at)
            numbers.append(weight << UNIT_BITS)
        pairs, before = np.split(np.array(numbers, np.int64), [len(stencil.pairs)])
        found.append(Weights(size, pairs, before))
    if at != len(data):
        raise CorruptArchiveError("The weights of an interpolated chunk have another length than declared.")
    return found


def _put(numbers: bytearray, weight: int) -> None:
    rest = 2 * weight if weight >= 0 else -2 * weight - 1
    while rest >= 128:
        numbers.append(rest & 127 | 128)
        rest >>= 7
    numbers.append(rest)


def _take(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    rest = 0
    for digit in range(_MOST_DIGITS):
        if at >= len(data):
            break
        byte = data[at]
        rest, at = rest | (byte & 127) << 7 * digit, at + 1
        if byte < 128:
            return (-(rest + 1) // 2 if rest & 1 else rest // 2), at
    raise CorruptArchiveError("The weights of an interpolated chunk are damaged.")
