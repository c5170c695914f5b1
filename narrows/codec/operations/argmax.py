"""The category of the largest value."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import Arithmetic, Step, Values
from narrows.codec.operations.contract import Operation, Shape, check_size
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = ["MOST_CATEGORIES", "Argmax"]

MOST_CATEGORIES = 2**15
"""The largest length of a segment: its last position is the largest 16-bit integer."""


@dataclass(frozen=True, eq=False)
class Argmax(Operation, name="argmax"):
    """The position of the largest value of each segment of the last axis, from 0; the first of several.

    A segment of one value is a number and remains unchanged. A record can therefore have numbers beside categories.

    Attributes
    ----------
    lengths : ndarray of int32, shape (F,)
        The lengths of the segments, 1 to 2^15. Their sum is the length of the last axis; its new length is F.

    Examples
    --------
    >>> from narrows.codec.program import Program
    >>> x = np.array([[700, 3, 9, 9, -5]])  # a number, then the scores of four categories
    >>> Program((5,), [Argmax(np.array([1, 4], np.int32))]).run(x)
    array([[700,   1]], dtype=int16)
    """

    lengths: NDArray[np.int32]

    def __post_init__(self) -> None:
        if self.lengths.min() < 1 or self.lengths.max() > MOST_CATEGORIES:
            raise ModelFileError(
                f"The lengths of an argmax operation must be from 1 to {MOST_CATEGORIES:,}. "
                f"Got {self.lengths.min()} to {self.lengths.max()}."
            )

    def out_shape(self, in_shape: Shape) -> Shape:
        total = int(self.lengths.sum(dtype=np.int64))
        if in_shape[-1:] != (total,):
            raise ModelFileError(
                f"An argmax operation with segments of {total} values in all needs records whose last axis has as "
                f"many. Got shape {in_shape}."
            )
        return check_size("An argmax operation", (*in_shape[:-1], len(self.lengths)))

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        runs = [(length, len(list(same))) for length, same in groupby(self.lengths.tolist())]
        n_segments, place = len(self.lengths), object()

        def categories(x: Values) -> Values:
            y = arithmetic.empty((*x.shape[:-1], n_segments), place)
            start = first = 0
            for length, n in runs:
                segments = x[..., start : start + n * length]
                if length > 1:
                    segments = arithmetic.argmax(segments.reshape(*x.shape[:-1], n, length))
                y[..., first : first + n] = segments
                start, first = start + n * length, first + n
            return y

        return categories

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"lengths": self.lengths}

    @classmethod
    def read(cls, reader: Reader) -> Argmax:
        return cls(reader.tensor("lengths", np.int32, 1))
