"""The progress of a run, which a callback receives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Callback", "Epoch"]


@dataclass(frozen=True)
class Epoch:
    """The result of an epoch: one row of the history.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    loss : float
        Mean training loss of a record while the weights were changing, in nats.
    validation_loss : float or None
        Mean loss of a validation record after the epoch, in nats, without corruption.
    learning_rate : float
        Learning rate at the epoch's last step.
    seconds : float
        Duration of the epoch, without the validation.
    records_per_second : float
        Training speed.
    threads : int
        Number of threads of most of the epoch's steps.
    shards : int
        Number of parts that batches were split into: as many threads can share a step.
    mse : float or None
        Mean squared error of a training value in preprocessed units, on every sixteenth batch from the first, while the
        weights were changing. None for learners that reconstruct nothing.
    validation_mse : float or None
        Mean squared error of a validation value in preprocessed units, without corruption.
    is_complete : bool
        Whether the epoch was trained to its end. Otherwise the run was interrupted in it, and the loss is that of its
        steps so far. Rows of a history contain it only if it is False.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    learning_rate: float
    seconds: float
    records_per_second: float
    threads: int = 1
    shards: int = 1
    mse: float | None = None
    validation_mse: float | None = None
    is_complete: bool = True

    @property
    def watched_loss(self) -> float:
        """The loss after the epoch that schedules watch: that of validation records, if there are any."""
        return self.loss if self.validation_loss is None else self.validation_loss

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        row = asdict(self)
        if self.is_complete:
            del row["is_complete"]
        return row


class Callback:
    """Receives the progress of a run; this class ignores it. Subclass it to show the progress or to stop a run.

    Attributes
    ----------
    model : estimator or None
        The model that is trained, with the weights so far: an autoencoder with all methods of a fitted one, for example
        `reconstruct`, `transform` and `save`. Of a classifier, it is the autoencoder. Its weights change after each
        call, so it must not be kept; save it instead.
    """

    model: Any = None

    def begin(self, model: Any) -> None:
        """Receive the model that is trained, before the first stage; it is kept as ``model``."""
        self.model = model

    def stage(self, name: str) -> None:
        """Receive the name of the next stage, if a run has several; `start` follows."""

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        """Receive the start of a stage, or its continuation after ``epochs_done`` epochs of ``n_records``."""

    def step(self, epoch: int, records_done: int, loss: float) -> None:
        """Receive the number of records done in an epoch and their mean loss, at most a few times a second."""

    def epoch(self, row: Epoch) -> bool | None:
        """Receive a complete epoch; return True to end the stage here, with the weights it would keep at its end."""

    def stop(self) -> None:
        """Receive the end of the stage: complete, stopped early, interrupted or failed."""
