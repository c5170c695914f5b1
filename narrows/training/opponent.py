"""The opponent of a learner: a module that is trained against it, with an optimiser of its own.

Both sides take a step from the gradients of the same forward pass. The opponent is in the checkpoint of a run: its
weights with those of the learner, the moments of its optimiser, and the running means that show a collapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from narrows.adversaries import Contest
from narrows.errors import TrainingCollapsedError
from narrows.numerics.floats import wide
from narrows.training.optimisers import Optimiser, Stepper

__all__ = ["Opponent", "contest_of"]

_DECAY = 0.99  # of the running means, for each step
_FEWEST = 500  # steps before a collapse counts: weights start with samples that are all alike
_PINNED = 0.999  # accuracy above which the discriminator is taken to tell all samples right
_POINT = 1e-3  # variance of samples below which they are taken for a point, in units of that of real ones


@dataclass(frozen=True)
class Opponent:
    """The discriminator of an adversary, its optimiser, and what shows that one of both sides has collapsed.

    Attributes
    ----------
    module : Module
        The discriminator.
    optimiser : Optimiser
        Its optimiser.
    stepper : Stepper
        The same with its moments.
    judges : str
        What it judges, in the plural.
    watched : Tensor of shape (3,)
        Number of steps, and the running means of accuracy and spread; see `Contest`.
    """

    module: nn.Module
    optimiser: Optimiser
    stepper: Stepper
    judges: str
    watched: Tensor

    @classmethod
    def of(cls, module: nn.Module, optimiser: Optimiser, judges: str) -> Opponent:
        """Return an opponent that has not been trained."""
        stepper = optimiser.build(module.parameters())
        return cls(module, optimiser, stepper, judges, wide(torch.zeros(3, device=stepper.weights[0].device)))

    def backward(self, loss: Tensor, contest: Contest, weights: Sequence[nn.Parameter]) -> None:
        """Set the gradients of both sides.

        Parameters
        ----------
        loss : Tensor of shape ()
            The loss of the learner, including the cost of the contest.
        contest : Contest
            The contest that is part of it.
        weights : sequence of Parameter
            The weights of the learner; the gradient of its loss is computed for these alone.
        """
        self.stepper.zero_grad()
        # The learner's loss and that of the opponent share the scores of what the learner has made.
        contest.loss.mean().backward(inputs=self.stepper.weights, retain_graph=True)  # type: ignore[no-untyped-call]
        loss.backward(inputs=[one for one in weights if one.requires_grad])  # type: ignore[no-untyped-call]

    def step(self, contest: Contest, factor: float) -> None:
        """Change the weights of the opponent by its gradients, at a share of its learning rate."""
        self.stepper.learning_rate = self.optimiser.learning_rate * factor
        self.stepper.step()
        self.watched[0] += 1
        now = torch.stack([contest.accuracy, contest.spread]).detach().to(self.watched)
        self.watched[1:] += (now - self.watched[1:]) * (1 / self.watched[0]).clamp_min(1 - _DECAY)

    def check(self, where: str) -> None:
        """Check that neither side has collapsed.

        Raises
        ------
        TrainingCollapsedError
            If one has; says which, where, and what to change.
        """
        if not all(bool(one.isfinite().all()) for one in self.module.state_dict().values()):
            raise TrainingCollapsedError(
                f"The discriminator of {self.judges} collapsed in {where}: a weight is not finite. Lower "
                "adversary__learning_rate, or raise adversary__gradient_penalty."
            )
        steps, accuracy, spread = self.watched.tolist()
        if steps < _FEWEST:
            return
        if spread < _POINT:
            raise TrainingCollapsedError(
                f"The {self.judges} collapsed in {where}: their variance is {spread:.2g} of that of the real ones, so "
                "that all of them are alike. Lower adversary__weight or the learning rate, or raise "
                "adversary__gradient_penalty."
            )
        if accuracy > _PINNED:
            raise TrainingCollapsedError(
                f"The contest over {self.judges} collapsed in {where}: the discriminator tells {accuracy:.2%} of them "
                "right, so that the model cannot learn from it. Lower adversary__learning_rate, or raise "
                "adversary__weight or adversary__gradient_penalty."
            )

    def to_tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs besides the weights."""
        moments = {
            f"{index}.{name}": tensor for index, state in self.stepper.state.items() for name, tensor in state.items()
        }
        return {"watched": self.watched, **{f"moments.{name}": tensor for name, tensor in moments.items()}}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from the result of `to_tensors`."""
        by_weight: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("moments."):
                _, index, key = name.split(".")
                by_weight.setdefault(int(index), {})[key] = tensor
        self.stepper.restore(by_weight)
        self.watched.copy_(tensors["watched"])


def contest_of(loss: Any) -> Contest:
    """Return the contest of a loss of a learner that has an opponent."""
    contest: Contest = loss.contest
    return contest
