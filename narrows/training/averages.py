"""Running means of weights: they decode better than the weights of any one step, above all in adversarial training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from narrows.training.learner import Learner

__all__ = ["Averages"]

_WARM_UP = 10  # the mean of k steps has at most the decay k / (k + 10), so that the first weights are soon forgotten


class Averages:
    """The running mean of a learner's weights, w̄ ← d w̄ + (1 − d) w after each step (Polyak and Juditsky 1992).

    Parameters
    ----------
    learner : Learner
        The learner, with its initial weights.
    decay : float
        d, below 1; 0: there is no mean.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        self.learner, self.decay, self.steps = learner, decay, 0
        self.weights = [weight for weight in learner.parameters() if weight.requires_grad] if decay else []
        self.means = [weight.detach().clone() for weight in self.weights]
        names = {tensor.data_ptr(): name for name, tensor in learner.state_dict().items()} if decay else {}
        self.names = [names[weight.data_ptr()] for weight in self.weights]

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights after a step to their mean."""
        if self.means:
            self.steps += 1
            share = 1 - min(self.decay, self.steps / (self.steps + _WARM_UP))
            torch._foreach_lerp_(self.means, list[Tensor](self.weights), share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the learner the means for the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def keep(self) -> None:
        """Give the learner the means for good."""
        for weight, mean in zip(self.weights, self.means, strict=True):
            weight.copy_(mean)

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, mean in zip(self.weights, self.means, strict=True):
            held = weight.clone()
            weight.copy_(mean)
            mean.copy_(held)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the means by the names of the weights in the learner, for a checkpoint."""
        return dict(zip(self.names, self.means, strict=True))

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Continue from the result of `to_tensors` after this many steps."""
        self.steps = steps
        for name, mean in self.to_tensors().items():
            mean.copy_(tensors[name])
