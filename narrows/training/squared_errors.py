"""The squared error of reconstructions, which is measured beside the loss: nats are hard to read.

It is measured on every sixteenth training batch, from the decoder's output that the loss needs as well.
On a CPU this takes less than 1 % of the time of training; on all batches it would take up to a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from narrows.likelihoods.squares import Squares
from narrows.numerics.floats import has_float64, wide
from narrows.numerics.processes import Processes

__all__ = ["EVERY", "SquaredErrors", "squares_of"]

EVERY = 16
"""Number of steps of which one is measured, the first of an epoch included."""


def squares_of(loss: Any) -> Squares | None:
    """Return the squares of the records of a loss; None for learners that reconstruct nothing."""
    measure: Callable[[], Squares] | None = getattr(loss, "squares", None)
    return None if measure is None else measure()


class SquaredErrors:
    """The mean squared error of a value over the measured batches of an epoch.

    Parameters
    ----------
    device : torch.device
        Device of the sums, which stay there until `mean` is called.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.total: Tensor | None = None
        self.n_values: Tensor | int = 0

    def add(self, squares: Squares | None) -> None:
        """Add the squares of a batch or a shard."""
        if squares is not None:
            total, n_values = squares
            self.total = wide(total) if self.total is None else self.total + total
            self.n_values = self.n_values + n_values

    def over(self, processes: Processes) -> SquaredErrors:
        """Return the errors of all processes."""
        if processes.n == 1:
            return self
        of_all = SquaredErrors(self.device)
        of_all.restore(processes.sum(self.to_tensor()))
        return of_all

    def mean(self) -> float | None:
        """Return the mean; None if nothing was measured, or it is not finite."""
        total, n_values = self.to_tensor().tolist()
        return total / n_values if n_values and math.isfinite(total) else None

    def to_tensor(self) -> Tensor:
        """Return the sum of the squared errors and the number of values, (2,), float64, on the CPU; see `restore`."""
        sums = (0 if self.total is None else self.total, self.n_values)
        return torch.stack([wide(torch.as_tensor(one, device=self.device)) for one in sums]).cpu().double()

    def restore(self, sums: Tensor) -> None:
        """Continue from the result of `to_tensor`."""
        total, self.n_values = (sums if has_float64(self.device) else sums.float()).to(self.device)
        self.total = total if int(self.n_values) else None
