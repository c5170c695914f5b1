"""The contract of preprocessing: invertible steps between the data's units and those of the networks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from narrows.parts.part import Part

__all__ = ["Batches", "Preprocessing", "Preprocessor", "Step"]

Batches = Callable[[], Iterable[Tensor]]
"""Starts a new pass over the training data at each call: float tensors of shape (n, *shape)."""

_MOST_LOST = 2.0**-30  # largest relative rounding error of a step


class Step(nn.Module, ABC):
    """The module of one preprocessing step. Its buffers contain the learned statistics, in float64."""

    is_affine: ClassVar[bool] = True
    """Whether the step is affine: a change of a value changes the preprocessed value in a fixed proportion."""
    absent: ClassVar[Mapping[str, float]] = {}
    """Buffers that files of earlier versions lack, with the value that all of their entries have there."""

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a preprocessed record, for records of a shape; by default the same."""
        return shape

    def fit(self, batches: Batches) -> None:
        """Learn from the training data; steps without statistics do not override this."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the preprocessed values (n, *out_shape), of the same dtype."""

    @abstractmethod
    def inverse(self, x: Tensor) -> Tensor:
        """Return the values in the units of the records."""

    @property
    def unit(self) -> Tensor:
        """The change of a value for a change of its preprocessed value by one: shape () or that of a record.

        It is 0 for values that the inverse returns as a constant.
        """
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

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a record after all steps."""
        for step in self.steps:
            shape = _as_step(step).out_shape(shape)
        return shape

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

    @property
    def divisor(self) -> Tensor:
        """The unit to divide errors by: infinite for values that are constant, whose errors do not count."""
        unit = self.unit
        return unit.where(unit > 0, math.inf)

    @torch.no_grad()
    def offset_and_scale(self, shape: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the value of 0 and the size of a step from 0 to 1, in the records' units, both float64 of a shape.

        The difference of two values far from zero loses digits. There the size of a step is `unit`.
        """
        zero = torch.zeros((1, *shape), dtype=torch.float64, device=device)
        at_0, at_1 = (self.inverse(x)[0].cpu() for x in (zero, zero + 1))
        step, unit = at_1 - at_0, self.unit.expand(shape)
        rounding = torch.finfo(torch.float64).eps * at_0.abs().maximum(at_1.abs())
        loses_digits = rounding > _MOST_LOST * step.abs()
        return at_0, unit.where(loses_digits & ((unit - step).abs() <= 4 * rounding), step)

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
