"""Embeddings: learned vectors for categories, at the input of encoders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.errors import InvalidParameterError
from narrows.networks.modules import Sizes
from narrows.parts.options import Integer, option, optional

__all__ = ["Embedding", "embedding_of", "embedding_option"]


def embedding_option() -> Any:
    """Return the option of networks that embed categories."""
    return option(
        optional(Integer(1)),
        "length of the learned vector that the encoder gets for each category, with a categorical likelihood, or for "
        "each of a column with many categories; None: it gets the values as numbers, and 16 for such columns",
        default=None,
    )


class Embedding(nn.Module):
    """Categories x (n, *shape), numbers from 0 as floats → vectors (n, *shape, width).

    Numbers are rounded, and those outside the range count as its ends.

    Parameters
    ----------
    n_categories, width : int
    """

    def __init__(self, n_categories: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_categories, width))

    def n_out(self, n_values: int) -> int:
        """Return how many numbers so many values become."""
        return n_values * self.weight.shape[1]

    def draw(self, generator: Generator) -> None:
        """Draw the vectors from a normal distribution N(0, I)."""
        with torch.no_grad():
            self.weight.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return functional.embedding(x.round().long().clamp(0, len(self.weight) - 1), self.weight)


def embedding_of(width: int | None, sizes: Sizes, network: str) -> Embedding | None:
    """Return the embedding of a network for records of some sizes; None if it has none.

    Raises
    ------
    InvalidParameterError
        If the records are not categories.
    """
    if width is None:
        return None
    if sizes.out_shape[:-1] != sizes.shape or sizes.out_shape[-1] < 2:
        raise InvalidParameterError(
            f"The 'embedding' of {network} needs records of categories: set likelihood='categorical', or "
            "embedding=None."
        )
    return Embedding(sizes.out_shape[-1], width)
