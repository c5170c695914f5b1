"""The input of encoders for rows of a table: each cell as numbers, and whether it is there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.networks.embedding import Embedding, embedding_of
from narrows.networks.modules import Sizes
from narrows.numerics.absent import is_absent

__all__ = ["CellInput", "input_of"]

_ONE_HOT = 32  # categories up to which a column is one-hot encoded
_VECTOR = 16  # length of the learned vectors of the others


def input_of(width: int | None, sizes: Sizes, network: str) -> Embedding | CellInput | None:
    """Return the first module of an encoder whose option ``embedding`` is ``width``; None: records are its input.

    Raises
    ------
    InvalidParameterError
        If there is an embedding, and the records are not categories.
    """
    if sizes.columns is not None:
        return CellInput(sizes.columns, width or _VECTOR)
    return embedding_of(width, sizes, network)


class CellInput(nn.Module):
    """Rows x (n, n_columns) → inputs (n, width).

    A number becomes asinh x and a 1; one that is missing becomes two zeros. A category becomes a one-hot vector, or a
    learned vector if there are more than 32; a missing one becomes zeros.

    Parameters
    ----------
    categories : sequence of int
        The number of categories of each column; 0 for numbers.
    vector : int
        Length of the learned vectors.
    """

    def __init__(self, categories: Sequence[int], vector: int) -> None:
        super().__init__()
        self.numbers = [f for f, k in enumerate(categories) if not k]
        self.one_hot = [(f, k) for f, k in enumerate(categories) if 0 < k <= _ONE_HOT]
        self.embedded = [(f, k) for f, k in enumerate(categories) if k > _ONE_HOT]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(k, vector)) for _, k in self.embedded)
        self.width = 2 * len(self.numbers) + sum(k for _, k in self.one_hot) + vector * len(self.embedded)

    def n_out(self, n_values: int) -> int:
        """Return how many numbers so many values become."""
        return self.width

    def draw(self, generator: Generator) -> None:
        """Draw the vectors from a normal distribution N(0, I)."""
        with torch.no_grad():
            for weight in self.weights:
                weight.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        there = ~is_absent(x)
        known = torch.where(there, x, 0.0)
        parts = [torch.asinh(known[:, self.numbers]), there[:, self.numbers].to(x.dtype)] if self.numbers else []
        for column, k in self.one_hot:
            parts.append(functional.one_hot(_numbers(known[:, column], k), k) * there[:, column, None].to(x.dtype))
        for (column, k), vectors in zip(self.embedded, self.weights, strict=True):
            of_column = functional.embedding(_numbers(known[:, column], k), vectors)
            parts.append(of_column * there[:, column, None].to(x.dtype))
        return torch.cat(parts, 1)


def _numbers(values: Tensor, k: int) -> Tensor:
    """Return values (n,) as numbers of k categories."""
    return values.round().long().clamp(0, k - 1)
