"""What is shown of a run that was asked to show its progress: a bar, or lines of text, on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from narrows.errors import InvalidParameterError
from narrows.io.bars import can_draw_bars, new_bar
from narrows.io.text import number
from narrows.training.progress import Callback, Epoch

__all__ = ["MOST_LINES", "Bar", "Lines", "display"]

MOST_LINES = 30  # in place of a bar


def display(verbose: Any, owner: str) -> Callback:
    """Return the callback that shows a run as the parameter ``verbose`` of an estimator says.

    Parameters
    ----------
    verbose : bool or int
        0: nothing is shown. 1: a bar on terminals and in notebooks, elsewhere at most 30 lines. 2: a line for each
        epoch.
    owner : str
        Name of the estimator, for the message.

    Raises
    ------
    InvalidParameterError
        If it is no such number.
    """
    if not isinstance(verbose, bool | int | np.bool_ | np.integer) or not 0 <= verbose <= 2:
        raise InvalidParameterError(
            f"The 'verbose' of {owner} must be 0 or False (nothing is shown), 1 or True (a bar) or 2 (a line for each "
            f"epoch). Got {verbose!r}."
        )
    if verbose == 0:
        return Callback()
    if verbose == 1 and can_draw_bars():
        return Bar()
    return Lines(most=MOST_LINES if verbose == 1 else None)


class Bar(Callback):
    """A bar over all epochs of a stage, with loss, validation loss, speed and remaining time."""

    name = ""

    def stage(self, name: str) -> None:
        self.name = f"{name}: "

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

        self.n_epochs, self.n_records = n_epochs, n_records
        self.validation = self.rate = ""
        self.mark: tuple[float, int] | None = None
        self.progress = new_bar(
            TextColumn("{task.description}"),
            BarColumn(None),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        self.task = self.progress.add_task(self._place(epochs_done), total=n_epochs * n_records, numbers="")
        self.progress.update(self.task, completed=epochs_done * n_records)
        self.progress.start()

    def step(self, epoch: int, records_done: int, loss: float) -> None:
        done, now = (epoch - 1) * self.n_records + records_done, time.monotonic()
        if self.mark is not None and done > self.mark[1] and now > self.mark[0]:
            self.rate = _rate((done - self.mark[1]) / (now - self.mark[0]))
        self.mark = (now, done)
        self._show(epoch, done, loss)

    def epoch(self, row: Epoch) -> None:
        self.validation = _measured(row)
        if self.mark is None:
            self.rate = _rate(row.records_per_second)
        self._show(row.epoch, row.epoch * self.n_records, row.loss)

    def stop(self) -> None:
        self.progress.stop()

    def _show(self, epoch: int, done: int, loss: float) -> None:
        numbers = f"loss {number(loss)}{self.validation}{self.rate}"
        self.progress.update(self.task, completed=done, description=self._place(epoch), numbers=numbers)

    def _place(self, epoch: int) -> str:
        return f"{self.name}epoch {epoch:>{len(str(self.n_epochs))}}/{self.n_epochs}"


class Lines(Callback):
    """One line per epoch, or every few epochs if there would be too many.

    Parameters
    ----------
    most : int, optional
        The largest number of lines. None: a line for each epoch.
    write : callable, optional
        Called with each line. None: it is written to standard error.
    """

    def __init__(self, *, most: int | None = None, write: Callable[[str], None] | None = None) -> None:
        self.most, self.write = most, write or _to_standard_error

    def stage(self, name: str) -> None:
        self.write(name)

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        self.n_epochs, self.seconds, self.n_seen = n_epochs, 0.0, 0
        # The first and the last epoch are always shown.
        n_lines = n_epochs if self.most is None else max(self.most - 2, 1)
        self.stride = max(1, math.ceil((n_epochs - epochs_done) / n_lines))
        self.unshown: Epoch | None = None
        if epochs_done:
            self.write(f"continuing after epoch {epochs_done} of {n_epochs}")

    def epoch(self, row: Epoch) -> None:
        self.seconds, self.n_seen = self.seconds + row.seconds, self.n_seen + 1
        if self.n_seen == 1 or row.epoch % self.stride == 0 or row.epoch == self.n_epochs:
            self._show(row)
        else:
            self.unshown = row

    def stop(self) -> None:
        if self.unshown is not None:
            self._show(self.unshown)

    def _show(self, row: Epoch) -> None:
        self.unshown = None
        validation = _measured(row)
        seconds_left = self.seconds / self.n_seen * (self.n_epochs - row.epoch)
        left = f"  {seconds_left:.0f} s left" if row.epoch < self.n_epochs else ""
        width = len(str(self.n_epochs))
        place = f"epoch {row.epoch:>{width}}/{self.n_epochs}"
        self.write(f"{place}  loss {number(row.loss)}{validation}{_rate(row.records_per_second)}{left}")


def _measured(row: Epoch) -> str:
    """Return the validation loss and the squared error of an epoch, of validation records if there are any."""
    validation = "" if row.validation_loss is None else f"  validation {number(row.validation_loss)}"
    mse = row.mse if row.validation_loss is None else row.validation_mse
    return validation if mse is None else f"{validation}  mse {number(mse)}"


def _rate(records_per_second: float) -> str:
    return f"  {number(records_per_second)} records/s"


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  the user asked for it
