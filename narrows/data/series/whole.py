"""Whole series: the values of all time steps, and what is needed to write their file again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.series.decimals import Decimals
from narrows.data.series.rows import SeriesRows
from narrows.data.series.times import Times
from narrows.errors import DataError

__all__ = ["WholeSeries"]


@dataclass(frozen=True, eq=False)
class WholeSeries:
    """One or several series, one after the other.

    Attributes
    ----------
    values : ndarray of shape (steps,) or (steps, channels)
        The values of all series; NaN where a value is missing.
    lengths : tuple of int
        The number of steps of each series.
    names : tuple of str, optional
        The names of the series, if there are several.
    channels : tuple of str, optional
        The names of the channels.
    times : Times, optional
        The time of each step.
    decimals : Decimals, optional
        The values as decimal numbers, if that is what they are.
    origin : dict
        The format that the series was read from, and what is needed to write it again, as JSON values.
    path : Path, optional
        The file that it was read from, as a whole.
    """

    values: npt.NDArray[Any]
    lengths: tuple[int, ...]
    names: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    times: Times | None = None
    decimals: Decimals | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def n_steps(self) -> int:
        """The number of time steps of all series."""
        return len(self.values)

    @property
    def n_channels(self) -> int:
        """The number of values at each step."""
        return self.values.shape[1] if self.values.ndim == 2 else 1

    @property
    def starts(self) -> tuple[int, ...]:
        """The first step of each series."""
        return tuple(np.cumsum((0, *self.lengths[:-1])).tolist())

    def rows(self) -> SeriesRows:
        """Return what a file needs besides the values."""
        return SeriesRows(self.origin, self.channels, self.times, self.groups())

    def groups(self) -> list[str] | None:
        """Return the name of the series of each step; None if they have no names."""
        if self.names is None:
            return None
        return [name for name, length in zip(self.names, self.lengths, strict=True) for _ in range(length)]

    def first(self, n: int) -> WholeSeries:
        """Return the first n steps."""
        if n >= self.n_steps:
            return self
        lengths, left = [], n
        for length in self.lengths:
            lengths.append(min(length, left))
            left -= lengths[-1]
            if not left:
                break
        return replace(
            self,
            values=self.values[:n],
            lengths=tuple(lengths),
            names=None if self.names is None else self.names[: len(lengths)],
            times=None if self.times is None else self.times.take(slice(0, n)),
            decimals=None if self.decimals is None else self.decimals.take(slice(0, n)),
            path=None,
        )

    @classmethod
    def of_array(cls, values: npt.NDArray[Any], name: str, origin: dict[str, Any]) -> WholeSeries:
        """Return the series in an array of shape (steps,) or (steps, channels).

        Raises
        ------
        DataError
            If the array has another number of axes, or no values.
        """
        if values.ndim not in {1, 2}:
            raise DataError(
                f"{name} must have the shape (steps,) or (steps, channels) to be cut into windows. Got {values.shape}. "
                "Omit 'window' (--window) if it holds records already."
            )
        if 0 in values.shape:
            raise DataError(f"{name} must contain at least one step and one channel. Got the shape {values.shape}.")
        return cls(values, (len(values),), origin=origin)
