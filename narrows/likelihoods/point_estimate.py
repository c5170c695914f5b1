"""The point estimate of a likelihood: how a record follows from the decoder's output. Does not import PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PointEstimate"]


@dataclass(frozen=True, eq=False, kw_only=True)
class PointEstimate:
    """A choice of the decoder's outputs, an activation function, and the largest of the scores of each category.

    These three steps are all that archives have to compute. The first drops rows of the decoder's last layer, and the
    third is the operation `Argmax`. Numbers are in preprocessed units, categories are the values of the records.

    Attributes
    ----------
    positions : ndarray of int64, shape (m,), optional
        Positions of the outputs that are needed, in the decoder's output in C order. None: all.
    activation : str
        Activation function of these outputs (`narrows.networks.activations`).
    lengths : ndarray of int32, shape (F,), optional
        Lengths of consecutive segments of the outputs; if their sum is less than m, they are repeated. The position of
        the largest value in a segment, from 0, is a value of the record. A segment of one output is a number. None: all
        outputs are numbers.
    """

    positions: NDArray[np.int64] | None = None
    activation: str = "identity"
    lengths: NDArray[np.int32] | None = None

    def n_values(self, out_shape: tuple[int, ...]) -> int:
        """Return the number of values that an output of a shape becomes; -1 if segments do not fit."""
        n = math.prod(out_shape) if self.positions is None else len(self.positions)
        if self.lengths is None:
            return n
        return -1 if n % self.lengths.sum() else n // int(self.lengths.sum()) * len(self.lengths)

    def categories(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return which values of a record are categories, in its shape."""
        are = np.zeros(1, dtype=bool) if self.lengths is None else self.lengths > 1
        return np.resize(are, shape)
