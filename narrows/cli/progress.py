"""Shows the progress of downloads, images and records: bars on a terminal, otherwise a few lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["new_bar", "on_download", "on_images", "on_records"]

_WIDEST = 100  # largest width of the display in columns
_MOST_RECORD_LINES = 10
_BETWEEN_RECORD_LINES = 1.0  # least number of seconds between two lines

OnDownload = Callable[[str, int, int | None], None]
OnRecords = Callable[[int, int], None]
OnImages = Callable[[str, int, int], None]


def new_bar(*columns: Any) -> Progress:
    """Return an empty progress display on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    console.width = min(console.width, _WIDEST)
    return Progress(*columns, console=console, expand=True)


@contextmanager
def on_download(*, quiet: bool) -> Iterator[OnDownload | None]:
    """Yield a callback that shows the progress of downloads in the block; None if quiet."""
    if quiet:
        yield None
        return
    shown = _DownloadBar() if sys.stderr.isatty() else _DownloadLines()
    try:
        yield shown
    finally:
        shown.stop()


class _DownloadLines:
    """Shows one line for each downloaded file."""

    def __init__(self) -> None:
        self.named: set[str] = set()

    def __call__(self, name: str, n_read: int, total: int | None) -> None:
        if name not in self.named:
            size = "" if total is None else f" ({total:,} bytes)"
            click.echo(f"downloading {name}{size}", err=True)
            self.named.add(name)

    def stop(self) -> None:
        """Nothing is open."""


class _DownloadBar:
    """Shows one bar for each downloaded file; the display starts with the first bytes."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.tasks: dict[str, Any] = {}
        self.last = 0.0

    def __call__(self, name: str, n_read: int, total: int | None) -> None:
        if self.progress is None:
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

            self.progress = new_bar(
                TextColumn("{task.description}"), BarColumn(None), DownloadColumn(), TimeRemainingColumn()
            )
            self.progress.start()
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=total)
        if n_read == total or time.monotonic() - self.last > 0.1:
            self.progress.update(self.tasks[name], completed=n_read)
            self.last = time.monotonic()

    def stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()


@contextmanager
def on_records(doing: str, *, quiet: bool) -> Iterator[OnRecords | None]:
    """Yield a callback that shows the progress of records; None if quiet.

    The callback takes the number of processed records and the total number of records.

    Parameters
    ----------
    doing : str
        The activity: ``"compressing"``.
    quiet : bool
        Show nothing.
    """
    if quiet:
        yield None
        return
    shown = _records_shown(doing)
    try:
        yield shown
    finally:
        shown.stop()


@contextmanager
def on_images(*, quiet: bool) -> Iterator[OnImages | None]:
    """Yield a callback that shows the progress of reading images in the block; None if quiet.

    The callback takes the activity, the number of processed images and the total number of images.
    """
    if quiet:
        yield None
        return
    shown = _ImagesShown()
    try:
        yield shown
    finally:
        shown.stop()


class _ImagesShown:
    """Shows the progress of several activities one after the other, each as `on_records` does."""

    def __init__(self) -> None:
        self.doing, self.shown = "", _records_shown("")

    def __call__(self, doing: str, n_done: int, n_images: int) -> None:
        if doing != self.doing:
            self.stop()
            self.doing, self.shown = doing, _records_shown(doing)
        self.shown(n_done, n_images)

    def stop(self) -> None:
        self.shown.stop()


def _records_shown(doing: str) -> _RecordBar | _RecordLines:
    return _RecordBar(doing) if sys.stderr.isatty() else _RecordLines(doing)


class _RecordLines:
    """Shows a line after each tenth of the work, but at most one line per second."""

    def __init__(self, doing: str) -> None:
        self.doing, self.tenths, self.last = doing, 0, time.monotonic()

    def __call__(self, n_done: int, n_records: int) -> None:
        tenths, now = _MOST_RECORD_LINES * n_done // max(n_records, 1), time.monotonic()
        if tenths > self.tenths and now - self.last >= _BETWEEN_RECORD_LINES:
            click.echo(f"{self.doing}: {n_done:,} of {n_records:,} records", err=True)
            self.tenths, self.last = tenths, now

    def stop(self) -> None:
        """Nothing is open."""


class _RecordBar:
    """Shows one bar; the display starts with the first records."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.progress: Progress | None = None
        self.task: Any = None

    def __call__(self, n_done: int, n_records: int) -> None:
        if self.progress is None:
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

            self.progress = new_bar(
                TextColumn("{task.description}"),
                BarColumn(None),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} records"),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            )
            self.task = self.progress.add_task(self.doing, total=n_records)
            self.progress.start()
        self.progress.update(self.task, completed=n_done, total=n_records)

    def stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
