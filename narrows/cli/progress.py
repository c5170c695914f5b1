"""Shows the progress of downloads, images and records: bars on a terminal, otherwise a few lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from narrows.io.bars import new_bar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from narrows.io.progress import Progress

__all__ = ["show_progress"]

_MOST_LINES = 10  # of one activity
_BETWEEN_LINES = 1.0  # least number of seconds between two lines
_BETWEEN_UPDATES = 0.1  # least number of seconds between two updates of a bar


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Progress | None]:
    """Yield a function that shows the progress of the work in the block; None if quiet."""
    if quiet:
        yield None
        return
    shown = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        yield shown
    finally:
        shown.stop()


class _Lines:
    """Shows one line for each download, and of other activities a line after each tenth, at most one per second."""

    def __init__(self) -> None:
        self.activity, self.tenths, self.last = "", 0, time.monotonic()

    def __call__(self, activity: str, n_done: int, n_total: int | None, unit: str, /) -> None:
        is_new = activity != self.activity
        if is_new:
            self.last = time.monotonic() if self.activity else self.last
            self.activity, self.tenths = activity, 0
        if unit == "records":
            self._tenth(n_done, n_total)
        elif is_new:
            what = "" if n_total is None else f" ({n_total:,} {unit if n_total != 1 else unit.removesuffix('s')})"
            click.echo(f"{activity}{what}", err=True)

    def _tenth(self, n_done: int, n_total: int | None) -> None:
        tenths, now = _MOST_LINES * n_done // max(n_total or n_done, 1), time.monotonic()
        if tenths > self.tenths and now - self.last >= _BETWEEN_LINES:
            click.echo(f"{self.activity}: {n_done:,} of {n_total:,} records", err=True)
            self.tenths, self.last = tenths, now

    def stop(self) -> None:
        """Nothing is open."""


class _Bars:
    """Shows one bar for each activity; the display starts when the first of a unit is reported."""

    def __init__(self) -> None:
        self.display: RichProgress | None = None
        self.unit = ""
        self.bars: dict[str, Any] = {}
        self.last = 0.0

    def __call__(self, activity: str, n_done: int, n_total: int | None, unit: str, /) -> None:
        if self.display is None or unit != self.unit:
            self.stop()
            self.display, self.unit, self.bars = new_bar(*_columns(unit)), unit, {}
            self.display.start()
        if activity not in self.bars:
            self.bars[activity] = self.display.add_task(activity, total=n_total)
        if n_done == n_total or time.monotonic() - self.last > _BETWEEN_UPDATES:
            self.display.update(self.bars[activity], completed=n_done, total=n_total)
            self.last = time.monotonic()

    def stop(self) -> None:
        if self.display is not None:
            self.display.stop()


def _columns(unit: str) -> list[Any]:
    """Return the columns of a display: activity, bar, numbers and time."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

    named_bar = [TextColumn("{task.description}"), BarColumn(None)]
    if unit == "bytes":
        return [*named_bar, DownloadColumn(), TimeRemainingColumn()]
    numbers = TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}} {unit}")
    return [*named_bar, numbers, TimeRemainingColumn(compact=True, elapsed_when_finished=True)]
