"""What a run tells while it goes on. The library prints nothing; who wants to see it passes a watcher."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Epoch", "Watcher"]


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: one row of the history.

    Attributes
    ----------
    epoch : int
        From 1.
    loss : float
        Mean training loss of a record while the weights were changing, in nats.
    validation_loss : float or None
        Mean loss of a validation record after the epoch, in nats, without corruption.
    learning_rate : float
        At the epoch's last step.
    seconds : float
        What the epoch took, without the validation.
    records_per_second : float
        Training speed.
    threads : int
        On how many threads most of the epoch's steps were made.
    shards : int
        Into how many parts batches were cut: as many threads may share a step.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    learning_rate: float
    seconds: float
    records_per_second: float
    threads: int = 1
    shards: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self)


class Watcher:
    """Is told how a run goes; this one keeps quiet. Subclass to show a progress bar."""

    def stage(self, name: str) -> None:
        """Take note of what is trained next, where a run trains one thing after another; `start` follows."""

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        """Take note that a stage begins, or goes on after ``epochs_done`` epochs, with ``n_records`` in each."""

    def step(self, epoch: int, records_done: int, loss: float) -> None:
        """Take note that so many records of an epoch are done, at this mean loss; a few times a second at most."""

    def epoch(self, row: Epoch) -> None:
        """Take note that an epoch is complete."""

    def stop(self) -> None:
        """Take note that the stage is over: complete, stopped early, interrupted or failed."""
