"""Stages: a run can train several learners one after the other, all parts of one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from narrows.data.mapped import MappedRecords
from narrows.numerics.randomness import Stream
from narrows.training.learner import Learner
from narrows.training.opponent import Opponent
from narrows.training.optimisers import Stepper
from narrows.training.progress import Epoch
from narrows.training.records import RecordSource
from narrows.training.settings import Training

__all__ = ["Stage", "rows_by_stage"]


@dataclass(frozen=True)
class Stage:
    """One part of a run: a learner, its records and its settings.

    Attributes
    ----------
    learner : Learner
        On the device of the records.
    records, validation : RecordSource
        The records for training, and those for the validation loss after each epoch.
    settings : Training
        Settings of the training.
    name : str
        Name for the progress; empty if there is only one stage.
    order, noise : Stream
        Random streams of the order of the records and of the noise. Each stage of a run has its own streams.
    index : tuple of int
        Indices of these streams, before the epoch.
    keep_best : bool
        Whether the weights of the epoch with the lowest validation loss are kept, instead of the last.
    first_epoch : int
        Number of epochs that earlier runs have trained the learner for. Epochs are counted from there.
    start_loss : float or None
        Validation loss of the weights at the start, which are kept if no epoch is better. None: they are not kept.
    neighbours : Tensor of shape (n, k), or None
        The indices of the nearest records of each. Batches then contain one beside each record, unless records are not
        shuffled. None: batches are random.
    stepper : Stepper or None
        The optimiser of an earlier run with its moments, for the learner's weights. None: a new one.
    opponent : Opponent or None
        What is trained against the learner, whose losses then have a contest. It is a module of the learner.
    """

    learner: Learner
    records: RecordSource
    validation: RecordSource | None
    settings: Training
    name: str = ""
    order: Stream = Stream.ORDER
    noise: Stream = Stream.NOISE
    index: tuple[int, ...] = ()
    keep_best: bool = False
    first_epoch: int = 0
    start_loss: float | None = None
    neighbours: Tensor | None = None
    stepper: Stepper | None = None
    opponent: Opponent | None = None

    @property
    def keeps_best(self) -> bool:
        """Whether the best weights are kept; early stopping keeps them too."""
        return self.keep_best or self.settings.patience is not None

    @property
    def files(self) -> list[MappedRecords]:
        """The files larger than memory that records are in, if there are any."""
        return [*self.records.files, *(self.validation.files if self.validation is not None else ())]

    @property
    def n_epochs(self) -> int:
        """Number of epochs that are planned."""
        return self.settings.n_epochs(len(self.records))


def rows_by_stage(names: Sequence[str], histories: Sequence[Sequence[Epoch]]) -> list[dict[str, Any]]:
    """Return one row for each epoch of some stages; ``stage`` names the stage."""
    return [{"stage": name, **row.to_json()} for name, history in zip(names, histories, strict=True) for row in history]
