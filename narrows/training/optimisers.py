"""Optimisers: the rule that computes a step from a gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import nn

from narrows.errors import InvalidParameterError
from narrows.parts.options import Flag, Real, option
from narrows.parts.part import Part

__all__ = ["SGD", "Adadelta", "Adam", "Optimiser"]


class Optimiser(Part, ABC, axis="optimiser"):
    """Settings of an optimiser. Every one has a ``learning_rate``, which the schedule multiplies."""

    learning_rate: float = option(Real(0, open_low=True), "learning rate at the peak of the schedule", default=1e-3)

    @abstractmethod
    def build(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of these weights."""


class Adam(Optimiser, name="adam"):
    """Adam (Kingma and Ba 2015); with ``weight_decay`` AdamW (Loshchilov and Hutter 2019)."""

    beta1: float = option(Real(0, 1, open_high=True), "decay of the mean gradient", default=0.9)
    beta2: float = option(Real(0, 1, open_high=True), "decay of the mean squared gradient", default=0.999)
    epsilon: float = option(Real(0, open_low=True), "added to the root of the mean squared gradient", default=1e-8)
    weight_decay: float = option(
        Real(0), "share of each weight subtracted per step, multiplied by the learning rate", default=0.0
    )

    def build(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            weights,
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=True,
        )


class SGD(Optimiser, name="sgd"):
    """Stochastic gradient descent, with classical or Nesterov momentum."""

    learning_rate: float = option(Real(0, open_low=True), "learning rate at the peak of the schedule", default=0.1)
    momentum: float = option(Real(0, 1), "share of the previous step that is added", default=0.0)
    nesterov: bool = option(Flag(), "look ahead along the momentum; needs a momentum above 0", default=False)
    weight_decay: float = option(Real(0), "weight of the L2 penalty ½‖w‖²", default=0.0)

    def _check(self) -> None:
        super()._check()
        if self.nesterov and self.momentum == 0:
            raise InvalidParameterError("The 'nesterov' of SGD needs a momentum above 0. Got momentum=0.")

    def build(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            weights,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )


class Adadelta(Optimiser, name="adadelta"):
    """Adadelta (Zeiler 2012), which adapts its step sizes; as in Keras, but with a learning rate of 1.0."""

    learning_rate: float = option(Real(0, open_low=True), "factor of the step that Adadelta computes", default=1.0)
    rho: float = option(Real(0, 1), "decay of the mean squared gradients and steps", default=0.95)
    epsilon: float = option(Real(0, open_low=True), "added under the roots", default=1e-7)

    def build(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(weights, lr=self.learning_rate, rho=self.rho, eps=self.epsilon, foreach=True)
