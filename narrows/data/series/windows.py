"""Windows of series, which are the records of a model, and the way back to the whole series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.series.period import usual_window
from narrows.data.series.whole import WholeSeries
from narrows.errors import DataError

__all__ = ["Windows"]

_ENOUGH = 2000  # windows that a stride makes, if it is not given


@dataclass(frozen=True, eq=False)
class Windows:
    """How series are cut into windows. The last window of a series ends at its last step.

    Attributes
    ----------
    series : WholeSeries
    window, stride : int
        Steps of a window, and from the start of one to the next.
    is_chosen : (bool, bool)
        Whether window and stride were chosen from the series.
    """

    series: WholeSeries
    window: int
    stride: int
    is_chosen: tuple[bool, bool] = (False, False)

    @classmethod
    def of(cls, series: WholeSeries, name: str, window: int | str | None = None, stride: int | None = None) -> Windows:
        """Return the windows of a series; what is not given is chosen from the series.

        Raises
        ------
        DataError
            If a series is shorter than the window.
        """
        is_chosen = (window is None or isinstance(window, str), stride is None)
        steps = usual_window(series) if window is None or isinstance(window, str) else window
        shortest = min(series.lengths)
        if steps > shortest:
            which = ""
            if len(series.lengths) > 1:
                at = series.lengths.index(shortest)
                which = f" Series {series.names[at] if series.names else at} is the shortest."
            raise DataError(
                f"The window has {steps:,} steps, but {name} has only {shortest:,}.{which} "
                f"Give a window of at most {shortest:,} steps (--window {shortest})."
            )
        usual = max(1, min(steps, (series.n_steps - steps) // _ENOUGH))
        return cls(series, steps, usual if stride is None else stride, is_chosen)

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """The first step of each window."""
        found = []
        for first, length in zip(self.series.starts, self.series.lengths, strict=True):
            last = length - self.window
            inside = np.arange(0, last + 1, self.stride)
            if inside[-1] < last:
                inside = np.append(inside, last)
            found.append(first + inside)
        return np.concatenate(found)

    def cut(self) -> npt.NDArray[Any]:
        """Return the windows (n, window) or (n, window, channels); a view of the series where that is possible."""
        values = self.series.values
        every = np.lib.stride_tricks.sliding_window_view(values, self.window, axis=0, writeable=values.flags.writeable)
        if every.ndim == 3:
            every = np.moveaxis(every, 2, 1)
        starts = self.starts
        steps = np.diff(starts)
        if len(starts) == 1 or (steps == steps[0]).all():
            step = int(steps[0]) if len(steps) else 1
            return every[int(starts[0]) : int(starts[-1]) + 1 : step]
        return np.ascontiguousarray(every[starts])

    def join(self, windows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the series of windows; where they overlap, their mean.

        Raises
        ------
        DataError
            If there are steps that no window contains.
        """
        shape, starts = self.series.values.shape, self.starts
        total = np.zeros(shape, np.float64)
        count = np.zeros(shape[0], np.int64)
        for start, window in zip(starts.tolist(), windows, strict=True):
            total[start : start + self.window] += window
            count[start : start + self.window] += 1
        if not count.all():
            raise DataError(
                f"Windows of {self.window:,} steps with a stride of {self.stride:,} leave out "
                f"{int((count == 0).sum()):,} steps. Give a stride of at most {self.window:,} (--stride)."
            )
        return total / (count if len(shape) == 1 else count[:, None])

    def side_by_side(self, window: int | None = None, name: str = "The series") -> Windows:
        """Return windows that overlap only at the ends of series, by default of the same length."""
        length = self.window if window is None else window
        made = Windows.of(self.series, name, length, length)
        return replace(made, is_chosen=self.is_chosen)

    def __str__(self) -> str:
        """Return the windows in words.

        Examples
        --------
        >>> str(Windows(WholeSeries(np.zeros(100), (100,)), 20, 10))
        'windows of 20 steps, every 10'
        """
        return f"windows of {self.window:,} steps, every {self.stride:,}"
