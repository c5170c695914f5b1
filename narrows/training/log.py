"""Records of Python's ``logging`` about a run. Nobody sees them unless the program sets up logging."""

from __future__ import annotations

import logging

from narrows.io.text import count, number
from narrows.training.progress import Callback, Epoch

__all__ = ["Log"]

_LOGGER = logging.getLogger("narrows.training")


class Log(Callback):
    """Logs start and end of each stage at the level INFO, and each epoch at the level DEBUG."""

    name = ""
    last: Epoch | None = None

    def stage(self, name: str) -> None:
        self.name = f" ({name})"

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        self.n_epochs, self.last, self.seconds = n_epochs, None, 0.0
        where = f", continued after epoch {epochs_done}" if epochs_done else ""
        _LOGGER.info("training%s: %s of %s%s", self.name, count(n_epochs, "epoch"), count(n_records, "record"), where)

    def epoch(self, row: Epoch) -> None:
        self.last = row
        self.seconds += row.seconds
        _LOGGER.debug("epoch %d/%d%s: %s", row.epoch, self.n_epochs, self.name, _losses(row, row.seconds))

    def stop(self) -> None:
        if self.last is None:
            _LOGGER.info("training%s: ended without a complete epoch", self.name)
        else:
            losses = _losses(self.last, self.seconds)
            _LOGGER.info("training%s: ended after epoch %d, %s", self.name, self.last.epoch, losses)


def _losses(row: Epoch, seconds: float) -> str:
    validation = "" if row.validation_loss is None else f", validation loss {number(row.validation_loss)}"
    return f"loss {number(row.loss)}{validation}, {seconds:.3g} s"
