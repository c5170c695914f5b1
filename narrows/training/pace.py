"""Chooses the number of threads by trials while the load of the machine changes.

If other processes run, a step may be faster on fewer threads. Results do not depend on the number of threads, so it can
be chosen by time: every second a few steps run with more or fewer threads, and the faster number is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["Pace"]

_FIRST_SECONDS, _SECONDS = 0.2, 1.0  # between trials
_TRIAL_SECONDS, _TRIAL_STEPS = 0.05, 2  # smallest duration and number of steps of a trial
_SHARE = 0.05  # largest share of the time for trials
_GAIN = 0.95  # a new number is kept if its steps take less than this share of the time
_SETTLING_STEPS = 2  # first steps of the run, which allocate memory and start threads


class Pace:
    """The number of threads for the next step.

    Parameters
    ----------
    most : int
        Largest number, at least 1. The trials use 1, 2, 4, … and this number.
    may_use : callable, optional
        Returns whether a number of threads may be used. Called once before the first trial of each number. With it
        training starts with one thread, otherwise with all.

    Attributes
    ----------
    n_threads : int
        Number of threads for the next step.
    used : Counter
        Number of steps with each number of threads since `used` was last cleared.
    """

    def __init__(self, most: int, may_use: Callable[[int], bool] | None = None) -> None:
        self._numbers: list[int] = sorted({most, *(2**power for power in range(most.bit_length()))})
        self._may_use, self._known = may_use, {1}
        self._place = len(self._numbers) - 1 if may_use is None else 0
        self._direction = -1
        self._trial: int | None = None  # index of the number on trial
        self._settling = _SETTLING_STEPS
        self._wait = _FIRST_SECONDS
        self._seconds, self._n_steps, self._mean = 0.0, 0, 0.0
        self.used: Counter[int] = Counter()

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one number, so that steps need not be timed."""
        return len(self._numbers) == 1

    @property
    def n_threads(self) -> int:
        return self._numbers[self._place if self._trial is None else self._trial]

    @property
    def mostly_used(self) -> int:
        """The number of threads of most steps; before the first step, that of the next."""
        most_common = self.used.most_common(1)
        return most_common[0][0] if most_common else self.n_threads

    def record(self, seconds: float) -> None:
        """Record the duration of a step with ``n_threads``."""
        self.used[self.n_threads] += 1
        if self.is_fixed:
            return
        if self._settling:
            self._settling -= 1
            return
        self._seconds, self._n_steps = self._seconds + seconds, self._n_steps + 1
        if self._trial is None:
            if self._seconds >= self._wait and self._n_steps >= _TRIAL_STEPS:
                self._begin_trial()
        elif self._seconds >= _TRIAL_SECONDS and self._n_steps >= _TRIAL_STEPS:
            self._end_trial(self._trial)

    def _begin_trial(self) -> None:
        self._mean = self._seconds / self._n_steps
        if not 0 <= self._place + self._direction < len(self._numbers):
            self._direction = -self._direction
        candidate = self._numbers[self._place + self._direction]
        if self._is_allowed(candidate):
            self._trial = self._place + self._direction
        else:
            kept = self._numbers[self._place]
            self._numbers.remove(candidate)
            self._place = self._numbers.index(kept)
        self._seconds, self._n_steps = 0.0, 0

    def _is_allowed(self, candidate: int) -> bool:
        if self._may_use is not None and candidate not in self._known:
            if not self._may_use(candidate):
                return False
            self._known.add(candidate)
        return True

    def _end_trial(self, tried: int) -> None:
        if self._seconds / self._n_steps < _GAIN * self._mean:
            self._place = tried
        else:
            self._direction = -self._direction
        self._wait = max(_SECONDS, self._seconds / _SHARE)
        self._trial, self._seconds, self._n_steps = None, 0.0, 0
