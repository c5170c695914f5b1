"""Windows: series that are cut into records, one after the other. The items are the time steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from narrows.archive.layout import MAX_RECORDS
from narrows.archive.layouts.contract import Layout
from narrows.errors import CorruptArchiveError

__all__ = ["Windows", "lengths_of"]

_MOST_SERIES = 1 << 20


class Windows(Layout):
    """Series whose steps are divided among windows; the last window of a series is longer than what is left of it.

    Parameters
    ----------
    lengths : sequence of int
        The number of steps of each series.
    window : tuple of int
        Shape of a window, which is a record: (steps,) or (steps, channels).
    """

    entry = "windows"
    n_records = 1

    def __init__(self, lengths: Sequence[int], window: tuple[int, ...]) -> None:
        self.lengths, self.window = tuple(lengths), window
        self.shape = window[1:]
        steps = np.array(self.lengths, np.int64)
        self._first_steps = np.cumsum(steps) - steps
        counts = -(-steps // window[0])
        self._first_windows = np.cumsum(counts) - counts
        self.n_steps, self.n_windows = int(steps.sum()), int(counts.sum())

    def n_items(self, n_records: int) -> int:
        return self.n_steps

    def places(self, steps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the window of each step, and its position in the window."""
        series = np.searchsorted(self._first_steps, steps, side="right") - 1
        windows, positions = np.divmod(steps - self._first_steps[series], self.window[0])
        return self._first_windows[series] + windows, positions

    def steps_in(self, window: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the number of steps that windows hold, without what they are filled up with."""
        series = np.searchsorted(self._first_windows, window, side="right") - 1
        before = (window - self._first_windows[series]) * self.window[0]
        left: npt.NDArray[np.int64] = np.array(self.lengths, np.int64)[series] - before
        return np.minimum(left, self.window[0])

    def cut(self, items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the windows (n, *window) of all steps; the last of a series is filled up with its mirror image."""
        made = np.empty((self.n_windows, *self.window), items.dtype)
        flat = made.reshape(-1, *self.window[1:])
        for first, length, at in zip(self._first_steps, self.lengths, self._first_windows, strict=True):
            start, whole = int(at) * self.window[0], -(-length // self.window[0]) * self.window[0]
            flat[start : start + length] = items[first : first + length]
            back = np.arange(whole - length)
            mirrored = length - 1 - back % length if length > 1 else np.zeros_like(back)
            flat[start + length : start + whole] = items[first : first + length][mirrored]
        return made

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return all steps of all windows."""
        windows, positions = self.places(np.arange(self.n_steps))
        return records[windows, positions]

    def __str__(self) -> str:
        series = "a series" if len(self.lengths) == 1 else f"{len(self.lengths):,} series"
        return f"{series} of {self.n_steps:,} steps, in windows of {self.window[0]:,}"

    def to_json(self) -> dict[str, Any]:
        return {"lengths": list(self.lengths)}

    @classmethod
    def from_json(cls, values: dict[str, Any], record_shape: tuple[int, ...]) -> Self:
        lengths = lengths_of(values.get("lengths") if isinstance(values, dict) else None)
        if lengths is None or len(record_shape) not in {1, 2}:
            raise CorruptArchiveError(f"the 'windows' in its metadata are not valid: {values!r:.120}")
        return cls(lengths, record_shape)


def lengths_of(given: Any) -> tuple[int, ...] | None:
    """Return the lengths of series in metadata; None if they are not valid."""
    is_list = isinstance(given, list) and 1 <= len(given) <= _MOST_SERIES
    if not is_list or not all(type(length) is int and 1 <= length <= MAX_RECORDS for length in given):
        return None
    return tuple(given) if sum(given) <= MAX_RECORDS else None
