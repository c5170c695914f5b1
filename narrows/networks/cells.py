"""The input of encoders for rows of a table: each cell as numbers, and whether it is there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.networks.embedding import Embedding, embedding_of
from narrows.networks.modules import Sizes
from narrows.numerics.absent import is_absent
from narrows.numerics.column_scales import N_KNOTS, Levels

__all__ = ["CellInput", "input_of"]

_ONE_HOT = 32  # categories up to which a column is one-hot encoded
_VECTOR = 16  # length of the learned vectors of the others
_DEVIATION, _FARTHEST = math.pi / math.sqrt(3), 8.0  # of a logistic distribution; the farthest numbers, in deviations


def input_of(width: int | None, sizes: Sizes, network: str) -> Embedding | CellInput | None:
    """Return the first module of an encoder whose option ``embedding`` is ``width``; None: records are its input.

    Raises
    ------
    InvalidParameterError
        If there is an embedding, and the records are not categories.
    """
    if sizes.columns is not None:
        return CellInput(sizes.columns, width or _VECTOR, has_levels=sizes.has_levels)
    return embedding_of(width, sizes, network)


class CellInput(nn.Module):
    """Rows x (n, n_columns) → inputs (n, width).

    A number becomes y and a 1; one that is missing becomes two zeros. The scale y is asinh x, or that of the likelihood
    divided by its standard deviation. A category becomes a one-hot vector, or a learned vector if there are more than
    32; a missing one becomes zeros.

    Parameters
    ----------
    categories : sequence of int
        The number of categories of each column; 0 for numbers.
    vector : int
        Length of the learned vectors.
    has_levels : bool
        Whether numbers get the scale that `set_levels` stores.
    """

    knots: Tensor
    levels: Tensor

    def __init__(self, categories: Sequence[int], vector: int, *, has_levels: bool = False) -> None:
        super().__init__()
        self.numbers = [f for f, k in enumerate(categories) if not k]
        self.one_hot = [(f, k) for f, k in enumerate(categories) if 0 < k <= _ONE_HOT]
        self.embedded = [(f, k) for f, k in enumerate(categories) if k > _ONE_HOT]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(k, vector)) for _, k in self.embedded)
        self.has_levels = has_levels
        if has_levels:
            for name in ("knots", "levels"):
                self.register_buffer(name, torch.zeros(len(self.numbers), N_KNOTS, dtype=torch.float64))
        self.width = 2 * len(self.numbers) + sum(k for _, k in self.one_hot) + vector * len(self.embedded)

    def n_out(self, n_values: int) -> int:
        """Return how many numbers so many values become."""
        return self.width

    def draw(self, generator: Generator) -> None:
        """Draw the vectors from a normal distribution N(0, I)."""
        with torch.no_grad():
            for weight in self.weights:
                weight.normal_(generator=generator)

    def set_levels(self, levels: Levels) -> None:
        """Store the scale of numbers."""
        self.knots.copy_(levels.knots)
        self.levels.copy_(levels.levels)

    def _scaled(self, x: Tensor, there: Tensor) -> Tensor:
        """Return numbers (n, C) on their scale, with zeros for those that are missing."""
        if not self.has_levels:
            return torch.asinh(x)
        y = Levels(self.knots, self.levels).forward(x) / _DEVIATION
        return torch.where(there, y.clamp(-_FARTHEST, _FARTHEST), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        there = ~is_absent(x)
        known = torch.where(there, x, 0.0)
        parts = []
        if self.numbers:
            are_there = there[:, self.numbers]
            parts = [self._scaled(known[:, self.numbers], are_there), are_there.to(x.dtype)]
        for column, k in self.one_hot:
            parts.append(functional.one_hot(_numbers(known[:, column], k), k) * there[:, column, None].to(x.dtype))
        for (column, k), vectors in zip(self.embedded, self.weights, strict=True):
            of_column = functional.embedding(_numbers(known[:, column], k), vectors)
            parts.append(of_column * there[:, column, None].to(x.dtype))
        return torch.cat(parts, 1)


def _numbers(values: Tensor, k: int) -> Tensor:
    """Return values (n,) as numbers of k categories."""
    return values.round().long().clamp(0, k - 1)
