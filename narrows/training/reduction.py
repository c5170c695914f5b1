"""What a step sends between the processes that train together: gradients, loss, and whether one of them must stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.numerics.processes import Processes
from narrows.training.learner import Learner

__all__ = ["Reduction", "begin_together"]

_CHECKED = 16  # steps, of which one is waited for on devices other than the CPU


class Reduction:
    """Sums the gradients of a step over processes.

    Parameters
    ----------
    processes : Processes
        More than one.
    learner : Learner
        The learner, with the same weights in all processes.
    opponent : object, optional
        The opponent of adversarial training, which is refused.

    Raises
    ------
    InvalidParameterError
        If one process must have whole batches.

    Attributes
    ----------
    must_stop : bool
        Whether a process was asked to stop before the last step that was checked.
    """

    def __init__(self, processes: Processes, learner: Learner, opponent: object = None) -> None:
        self.processes, self.must_stop = processes, False
        self._weights = [weight for weight in learner.parameters() if weight.requires_grad]
        self._used: list[bool] | None = None
        self._statistics = list(_running_statistics(learner))
        self._n_steps = 0
        if opponent is not None:
            raise InvalidParameterError(
                f"Adversarial training has two sides, and is done by one process. Got {processes.n} processes. "
                "Start the training without torchrun."
            )
        if any(getattr(module, "needs_whole_batch", False) for module in _modules(learner)):
            raise InvalidParameterError(
                "Codebooks learn from whole batches, so the bottleneck 'vector-quantised' is trained by one process. "
                f"Got {processes.n} processes. Start the training without torchrun."
            )

    @property
    def is_checked(self) -> bool:
        """Whether the last step was waited for, so that all processes may look at its loss."""
        return self._weights[0].device.type == "cpu" or self._n_steps % _CHECKED == 0

    def finds_bad(self, losses: Tensor) -> bool:
        """Return whether losses up to the last step are found to be not finite: the same in all processes."""
        return self.is_checked and not bool(losses[-_CHECKED:].isfinite().all())

    @torch.no_grad()
    def __call__(self, loss: Tensor, *, stops: bool) -> Tensor:
        """Replace gradients by their sums over the processes, and return the sum of the loss.

        Parameters
        ----------
        loss : Tensor of shape ()
            The part of the mean loss that this process has computed, of which the weights have the gradient.
        stops : bool
            Whether this process is asked to stop.
        """
        gradients = [weight.grad for weight in self._weights]
        used = torch.tensor([gradient is not None for gradient in gradients], device=loss.device)
        of_weights = [
            torch.zeros_like(weight) if gradient is None else gradient
            for weight, gradient in zip(self._weights, gradients, strict=True)
        ]
        flags = torch.tensor([float(stops)], device=loss.device)
        parts = [*(one.reshape(-1) for one in of_weights), loss.detach().reshape(1), flags, used.float()]
        dtype = torch.float64 if any(one.dtype == torch.float64 for one in of_weights) else torch.float32
        total = self.processes.sum(torch.cat([part.to(dtype) for part in parts]))
        sums = torch.split(total, [part.numel() for part in parts])
        if self._used is None:  # the first step; which weights a step uses does not depend on its records
            self._used = (sums[-1] > 0).tolist()
        for weight, gradient, is_used in zip(self._weights, sums, self._used, strict=False):
            weight.grad = torch.empty_like(weight).copy_(gradient.view(weight.shape)) if is_used else None
        for statistic in self._statistics:
            statistic.copy_(self.processes.sum(statistic) / self.processes.n)
        self._n_steps += 1
        if self.is_checked:
            self.must_stop = bool(sums[-2] > 0)
        return sums[-3].reshape(()).to(loss.dtype)


def _modules(learner: Learner) -> Iterator[nn.Module]:
    return learner.modules() if isinstance(learner, nn.Module) else iter(())


def _running_statistics(learner: Learner) -> Iterator[Tensor]:
    """Yield the running means and variances of batch normalisation, which each process has of its part of a batch."""
    for module in _modules(learner):
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            assert module.running_var is not None
            yield module.running_mean
            yield module.running_var


def begin_together(processes: Processes, whole: nn.Module, **facts: int) -> None:
    """Give all processes the weights of the first, after checking that they are about to do the same.

    Parameters
    ----------
    processes : Processes
        All processes; nothing is done if there is one.
    whole : Module
        The module to be trained.
    **facts : int
        Numbers that must be equal, by their names in errors.

    Raises
    ------
    InvalidParameterError
        In all processes, if they are not.
    """
    if processes.n == 1:
        return
    different = [name for name, number in facts.items() if not processes.agree([number])]
    if different:
        raise InvalidParameterError(
            f"The {processes.n} processes that train together have different {', '.join(different)}. Start all of them "
            "with the same data, settings and checkpoint, for example by torchrun."
        )
    state: dict[str, Any] = whole.state_dict()
    with torch.no_grad():
        for tensor in state.values():
            tensor.copy_(processes.of_first(tensor))
