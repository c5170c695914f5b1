"""Schedules: the learning rate over the run, as a factor of the optimiser's learning rate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from narrows.parts.options import Integer, Real, option
from narrows.parts.part import Part

__all__ = ["Constant", "Cosine", "OneCycle", "Plateau", "Schedule"]


class Schedule(Part, ABC, axis="schedule"):
    """A learning rate that changes with progress."""

    @abstractmethod
    def factor(self, progress: float, losses: Sequence[float] = ()) -> float:
        """Return the factor of the learning rate at a step.

        It depends on these arguments alone, so that a resumed run has the same learning rates.

        Parameters
        ----------
        progress : float
            Share of all steps that is done, from 0 to 1.
        losses : sequence of float
            The validation loss after each completed epoch; the training loss if there are no validation records.
        """


class Constant(Schedule, name="constant"):
    """The same learning rate throughout."""

    def factor(self, progress: float, losses: Sequence[float] = ()) -> float:
        return 1.0


class Cosine(Schedule, name="cosine"):
    """Half a cosine from 1 down to ``end`` (Loshchilov and Hutter 2017), after a linear ``warmup``.

    Examples
    --------
    >>> Cosine().factor(0.5)
    0.5
    """

    warmup: float = option(Real(0, 1), "share of the run in which the rate rises from 0", default=0.0)
    end: float = option(Real(0, 1), "factor at the end", default=0.0)

    def factor(self, progress: float, losses: Sequence[float] = ()) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return _fall(1.0, self.end, (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 1.0)


class OneCycle(Schedule, name="one-cycle"):
    """Half a cosine up from ``start``, then half a cosine down to ``end`` (Smith and Topin 2018).

    Examples
    --------
    >>> OneCycle(warmup=0.25).factor(0.25)
    1.0
    """

    warmup: float = option(Real(0, 1), "share of the run in which the rate rises", default=0.1)
    start: float = option(Real(0, 1), "factor at the start", default=0.04)
    end: float = option(Real(0, 1), "factor at the end", default=1e-4)

    def factor(self, progress: float, losses: Sequence[float] = ()) -> float:
        if progress < self.warmup:
            return _fall(self.start, 1.0, progress / self.warmup)
        return _fall(1.0, self.end, (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 1.0)


class Plateau(Schedule, name="plateau"):
    """Multiply the learning rate by ``decay`` whenever the loss has not improved for ``patience`` epochs.

    The loss is that of the validation records, or the training loss if there are none. It has improved if it is below
    the best one so far by more than ``threshold``, relative to the magnitude of the best one. The count starts anew
    after each reduction. The counterpart in PyTorch is ``ReduceLROnPlateau``.

    Examples
    --------
    Three epochs without improvement after the best one, 1.0:

    >>> Plateau(patience=3, decay=0.5).factor(0.5, losses=[2.0, 1.0, 1.1, 1.2, 1.0])
    0.5
    """

    decay: float = option(
        Real(0, 1, open_low=True, open_high=True), "factor of the learning rate at each reduction", default=0.1
    )
    patience: int = option(Integer(1), "epochs without an improvement before a reduction", default=10)
    threshold: float = option(Real(0), "smallest improvement that counts, relative to the best loss", default=1e-4)
    end: float = option(Real(0, 1), "lowest factor", default=1e-4)

    def factor(self, progress: float, losses: Sequence[float] = ()) -> float:
        factor, best, waited = 1.0, math.inf, 0
        for loss in losses:
            if best == math.inf or loss < best - self.threshold * abs(best):
                best, waited = loss, 0
            else:
                waited += 1
            if waited == self.patience:
                factor, waited = max(factor * self.decay, self.end), 0
        return factor


def _fall(high: float, low: float, progress: float) -> float:
    """Return a point of half a cosine from ``high`` to ``low``, which rises if high < low."""
    return low + (high - low) * (1 + math.cos(math.pi * progress)) / 2
