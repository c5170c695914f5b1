"""The contract of residual models, which learn the probabilities of exact values so that coding them takes few bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from narrows.lossless.pixel_levels import PixelLevels
from narrows.parts.part import Part
from narrows.training.learner import Uncoupled
from narrows.training.settings import Training

__all__ = ["Residual", "ResidualLoss", "ResidualModule"]


@dataclass(frozen=True)
class ResidualLoss:
    """Loss of n records in nats, shape (n,)."""

    total: Tensor
    statistic: None = None


class ResidualModule(Uncoupled, nn.Module, ABC):
    """An autoregressive distribution of records; the training loop trains it like a chain.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def loss(self, records: Tensor, generator: Generator | None = None) -> ResidualLoss:
        """Return −log P of records (n, *shape) in their dtype; with a generator, an estimate from a part of each."""


class Residual(Part, ABC, axis="residual"):
    """Settings of a model for the exact values in archives."""

    @abstractmethod
    def build(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        generator: Generator,
        levels: Sequence[int] | None = None,
    ) -> ResidualModule:
        """Return the module for records of a shape and dtype.

        Parameters
        ----------
        shape, dtype
            Of the records.
        generator : Generator
            Source of the initial weights.
        levels : sequence of int, optional
            The values that records have, in ascending order, where these are few. A module that has no use for them
            ignores them.

        Raises
        ------
        InvalidParameterError
            If the model does not support such records.
        """

    def rounding(self, records: NDArray[Any]) -> PixelLevels | None:
        """Return how values are rounded before they are coded, as fitted to records (n, *shape); None: they are not.

        Raises
        ------
        InvalidParameterError
            If records cannot be rounded as the settings ask for.
        """
        return None

    @abstractmethod
    def training(self, n_records: int) -> Training:
        """Return the training settings for a number of records."""

    @abstractmethod
    def freeze(self, module: ResidualModule, sample: Tensor) -> Any:
        """Return the trained module in integer arithmetic, with scales measured on a sample of records."""
