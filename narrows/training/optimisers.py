"""Optimisers: the rule that computes a step from a gradient.

The arithmetic is PyTorch's, by the functions that ``torch.optim``'s classes call. The classes themselves import
TorchDynamo at the first step, which takes two seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adadelta import adadelta
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from narrows.errors import InvalidParameterError
from narrows.parts.options import Boolean, Real, option
from narrows.parts.part import Part

__all__ = ["SGD", "Adadelta", "Adam", "AdamW", "Optimiser", "Stepper"]


_ONE = torch.ones(())


class Optimiser(Part, ABC, axis="optimiser"):
    """Settings of an optimiser. Every one has a ``learning_rate``, which the schedule multiplies."""

    learning_rate: float = option(Real(0, open_low=True), "learning rate at the peak of the schedule", default=1e-3)

    def build(self, weights: Iterable[nn.Parameter]) -> Stepper:
        """Return what changes these weights by the rule."""
        return Stepper(self, weights)

    @abstractmethod
    def state(self, weight: Tensor) -> dict[str, Tensor]:
        """Return the initial state of a weight."""

    @abstractmethod
    def step(
        self, weights: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]], learning_rate: float
    ) -> None:
        """Change weights and state, in place, by one step."""


class Stepper:
    """Changes weights by an optimiser's rule.

    Attributes
    ----------
    weights : list of Parameter
        The trained parameters; those without a gradient are skipped.
    learning_rate : float
        Learning rate of the next step.
    state : dict of int to dict of str to Tensor
        State of the optimiser for each parameter that has taken a step, by its index and by name.
    """

    def __init__(self, optimiser: Optimiser, weights: Iterable[nn.Parameter]) -> None:
        self.optimiser, self.weights = optimiser, list(weights)
        if not any(weight.requires_grad and weight.numel() for weight in self.weights):
            raise InvalidParameterError(
                "The model has no weights that training could change: encoder and decoder have none, or all of them "
                "have requires_grad=False. Use at least one layer with weights, such as torch.nn.Linear."
            )
        self.learning_rate = optimiser.learning_rate
        self.state: dict[int, dict[str, Tensor]] = {}
        self._lists: tuple[list[int], list[Tensor], dict[str, list[Tensor]]] = [], [], {}  # of the last step

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by their gradients."""
        trained = [index for index, weight in enumerate(self.weights) if weight.grad is not None]
        if not trained:
            return
        if trained != self._lists[0]:
            for index in trained:
                if index not in self.state:
                    self.state[index] = self.optimiser.state(self.weights[index])
            states = [self.state[index] for index in trained]
            by_name = {name: [state[name] for state in states] for name in states[0]}
            self._lists = trained, [self.weights[index] for index in trained], by_name
        _, weights, state = self._lists
        gradients = [gradient for weight in weights if (gradient := weight.grad) is not None]
        self.optimiser.step(weights, gradients, state, self.learning_rate)

    def restore(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Load the state of another run, in the memory layout of the weights, which fused steps require."""
        self.state, self._lists = {}, ([], [], {})
        for index, saved in state.items():
            self.state[index] = self.optimiser.state(self.weights[index])
            for name, tensor in saved.items():
                self.state[index][name].copy_(tensor)


class Adam(Optimiser, name="adam"):
    """Adam (Kingma and Ba 2015); with ``weight_decay`` AdamW (Loshchilov and Hutter 2019)."""

    beta1: float = option(Real(0, 1, open_high=True), "decay of the mean gradient", default=0.9)
    beta2: float = option(Real(0, 1, open_high=True), "decay of the mean squared gradient", default=0.999)
    epsilon: float = option(Real(0, open_low=True), "added to the root of the mean squared gradient", default=1e-8)
    weight_decay: float = option(
        Real(0), "share of each weight subtracted per step, multiplied by the learning rate", default=0.0
    )

    def state(self, weight: Tensor) -> dict[str, Tensor]:
        step = torch.zeros((), dtype=torch.float32, device=weight.device)
        return {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}

    def step(
        self, weights: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]], learning_rate: float
    ) -> None:
        if all(weight.is_cpu for weight in weights):
            # The same without the checks of `adamw`, which take longer than the step of a small network.
            torch._foreach_add_(state["step"], _ONE, alpha=1)
            torch._fused_adamw_(
                *(weights, gradients, state["exp_avg"], state["exp_avg_sq"], [], state["step"]),
                lr=learning_rate,
                beta1=self.beta1,
                beta2=self.beta2,
                weight_decay=self.weight_decay,
                eps=self.epsilon,
                amsgrad=False,
                maximize=False,
            )
            return
        adamw(
            *(weights, gradients, state["exp_avg"], state["exp_avg_sq"], [], state["step"]),
            amsgrad=False,
            beta1=self.beta1,
            beta2=self.beta2,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            maximize=False,
            fused=True,
        )


class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): ``Adam(weight_decay=0.01)`` under its usual name.

    Examples
    --------
    >>> AdamW(learning_rate=2e-3).weight_decay
    0.01
    """

    weight_decay: float = option(
        Real(0), "share of each weight subtracted per step, multiplied by the learning rate", default=0.01
    )


class SGD(Optimiser, name="sgd"):
    """Stochastic gradient descent, with classical or Nesterov momentum."""

    learning_rate: float = option(Real(0, open_low=True), "learning rate at the peak of the schedule", default=0.1)
    momentum: float = option(Real(0, 1), "share of the previous step that is added", default=0.0)
    nesterov: bool = option(Boolean(), "look ahead along the momentum; needs a momentum above 0", default=False)
    weight_decay: float = option(Real(0), "weight of the L2 penalty ½‖w‖²", default=0.0)

    def _check(self) -> None:
        super()._check()
        if self.nesterov and self.momentum == 0:
            raise InvalidParameterError("The 'nesterov' of SGD needs a momentum above 0. Got momentum=0.")

    def state(self, weight: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(weight)} if self.momentum else {}

    def step(
        self, weights: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]], learning_rate: float
    ) -> None:
        sgd(
            weights,
            gradients,
            list(state.get("momentum_buffer", ())),
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=learning_rate,
            dampening=0,
            nesterov=self.nesterov,
            maximize=False,
            fused=True,
        )


class Adadelta(Optimiser, name="adadelta"):
    """Adadelta (Zeiler 2012), which adapts its step sizes; as in Keras, but with a learning rate of 1.0."""

    learning_rate: float = option(Real(0, open_low=True), "factor of the step that Adadelta computes", default=1.0)
    rho: float = option(Real(0, 1), "decay of the mean squared gradients and steps", default=0.95)
    epsilon: float = option(Real(0, open_low=True), "added under the roots", default=1e-7)

    def state(self, weight: Tensor) -> dict[str, Tensor]:
        step = torch.zeros((), dtype=torch.float32)
        return {"step": step, "square_avg": torch.zeros_like(weight), "acc_delta": torch.zeros_like(weight)}

    def step(
        self, weights: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]], learning_rate: float
    ) -> None:
        adadelta(
            *(weights, gradients, state["square_avg"], state["acc_delta"], state["step"]),
            lr=learning_rate,
            rho=self.rho,
            eps=self.epsilon,
            weight_decay=0,
            maximize=False,
            foreach=True,
        )
