"""What a residual model is: it learns to say how likely each value is, so that little is left to keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Generator, Tensor, nn

from narrows.parts.part import Part
from narrows.training.learner import Uncoupled
from narrows.training.settings import Training

__all__ = ["Residual", "ResidualLoss", "ResidualModule"]


@dataclass(frozen=True)
class ResidualLoss:
    """What n records cost, in nats, shape (n,)."""

    total: Tensor
    evidence: None = None


class ResidualModule(Uncoupled, nn.Module, ABC):
    """A distribution of records, value by value given those before; the training loop trains it as it does a chain.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def loss(self, records: Tensor, generator: Generator | None = None) -> ResidualLoss:
        """Return −log P of records (n, *shape) in their dtype; with a generator, a guess from a part of each."""


class Residual(Part, ABC, axis="residual"):
    """A way to learn what to expect of values that archives keep exactly."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], dtype: np.dtype[Any], generator: Generator) -> ResidualModule:
        """Return the module for records of a shape and dtype.

        Raises
        ------
        InvalidParameterError
            If it is of no use for such records.
        """

    @abstractmethod
    def training(self, n_records: int) -> Training:
        """Return how it is trained on so many records."""

    @abstractmethod
    def freeze(self, module: ResidualModule, sample: Tensor) -> Any:
        """Return the trained module in whole numbers, scaled by what it makes of a sample of records."""
