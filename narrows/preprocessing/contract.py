"""The contract of preprocessing: invertible steps between the data's units and those of the networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from narrows.parts.part import Part

__all__ = ["Batches", "Preprocessing", "Preprocessor", "Step"]

Batches = Callable[[], Iterable[Tensor]]
"""Starts a new pass over the training data at each call: float tensors of shape (n, *shape)."""


class Step(nn.Module, ABC):
    """The module of one preprocessing step. Its buffers contain the learned statistics, in float64."""

    is_affine: ClassVar[bool] = True
    """Whether the step is affine: a change of a value changes the preprocessed value in a fixed proportion."""

    def fit(self, batches: Batches) -> None:
        """Learn from the training data; steps without statistics do not override this."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the preprocessed values, same shape and dtype."""

    @abstractmethod
    def inverse(self, x: Tensor) -> Tensor:
        """Return the values in the units of the records."""

    @property
    def unit(self) -> Tensor:
        """The change of a value for a change of its preprocessed value by one: shape () or that of a record."""
        return torch.ones((), dtype=torch.float64)


class Preprocessing(Part, ABC, axis="preprocessing"):
    """Settings of one preprocessing step."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        """Return the step, not yet fitted.

        Parameters
        ----------
        shape : tuple of int
            Shape of one record.
        dtype : numpy.dtype
            Dtype of the input: the stored dtype for the first step, floats for later ones.
        """


class Preprocessor(nn.Module):
    """The steps in a row, and their inverse."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def fit(self, batches: Batches) -> None:
        """Fit each step on the training data after the previous steps."""
        for position, step in enumerate(self.steps):
            before = list(self.steps)[:position]
            _as_step(step).fit(lambda before=before: (_through(before, x) for x in batches()))  # type: ignore[misc]

    def forward(self, x: Tensor) -> Tensor:
        """Return preprocessed records, (n, *shape)."""
        return _through(list(self.steps), x)

    @property
    def is_affine(self) -> bool:
        """Whether all steps are affine, so that `unit` is constant."""
        return all(_as_step(step).is_affine for step in self.steps)

    @property
    def unit(self) -> Tensor:
        """The change of values for a change of preprocessed values by one: shape () or that of a record."""
        unit = torch.ones((), dtype=torch.float64)
        for step in self.steps:
            unit = unit * _as_step(step).unit.cpu().double()
        return unit

    def inverse(self, x: Tensor) -> Tensor:
        """Return records in their own units, (n, *shape)."""
        for step in reversed(list(self.steps)):
            x = _as_step(step).inverse(x)
        return x


def _as_step(module: nn.Module) -> Step:
    assert isinstance(module, Step)
    return module


def _through(steps: list[nn.Module], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x
