"""Schedules: the learning rate over the run, as a factor of the optimiser's learning rate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from narrows.parts.options import Real, option
from narrows.parts.part import Part

__all__ = ["Constant", "Cosine", "OneCycle", "Schedule"]


class Schedule(Part, ABC, axis="schedule"):
    """A learning rate that changes with progress."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate when a share ``progress``, from 0 to 1, of all steps is done."""


class Constant(Schedule, name="constant"):
    """The same learning rate throughout."""

    def factor(self, progress: float) -> float:
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

    def factor(self, progress: float) -> float:
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

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return _fall(self.start, 1.0, progress / self.warmup)
        return _fall(1.0, self.end, (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 1.0)


def _fall(high: float, low: float, progress: float) -> float:
    """Return a point of half a cosine from ``high`` to ``low``, which rises if high < low."""
    return low + (high - low) * (1 + math.cos(math.pi * progress)) / 2
