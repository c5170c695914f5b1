"""The progress of long work other than training. The library prints nothing; a function receives the progress."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """A function that is called repeatedly while something is read, compressed or measured."""

    def __call__(self, activity: str, n_done: int, n_total: int | None, unit: str, /) -> None:
        """Receive how much is done.

        Parameters
        ----------
        activity : str
            What is done, such as ``"reading images"``. Another activity may follow.
        n_done : int
            How much of the activity is done.
        n_total : int or None
            How much there is to do; None if that is not known.
        unit : {"records", "bytes"}
            What is counted.
        """
