"""The mean loss of validation records, and the weights of the epoch in which it was lowest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from narrows.likelihoods.squares import Squares
from narrows.numerics.batches import batch_size
from narrows.numerics.floats import wide
from narrows.numerics.processes import Processes
from narrows.training.learner import Learner, learner_in_eval_mode
from narrows.training.progress import Epoch
from narrows.training.records import RecordSource
from narrows.training.shards import weighted
from narrows.training.squared_errors import SquaredErrors, squares_of
from narrows.training.workers import Workers

__all__ = ["Best", "best_epoch", "mean_loss", "mean_loss_and_mse"]

_BATCH = 1024
# A run that keeps its best weights ends when the validation loss of all its last epochs, a share of those planned, is
# higher than the best one by this many nats per value: 0.1 nats is a squared error that is 20 % larger. One epoch alone
# may be a spike.
_LAST, _WORSE = 0.2, 0.1
_FEWEST_LAST = 5  # epochs


def mean_loss(learner: Learner, records: RecordSource, workers: Workers) -> float:
    """Return the mean loss of a record in nats, without corruption and in eval mode; weighted if records are."""
    return mean_loss_and_mse(learner, records, workers)[0]


def mean_loss_and_mse(
    learner: Learner, records: RecordSource, workers: Workers, processes: Processes | None = None
) -> tuple[float, float | None]:
    """Return `mean_loss`, and the mean squared error of a value; None for learners that reconstruct nothing.

    Several processes share the batches.
    """
    processes = processes or Processes()
    size, weights = min(batch_size(learner.shape, _BATCH), -(-len(records) // processes.n)), records.weights_of()
    starts = range(0, len(records), size)
    of_batches = [None] * len(starts) if weights is None else [weights[at : at + size] for at in starts]

    def of_batch(batch: tuple[Any, Tensor | None]) -> tuple[Tensor, Squares | None]:
        with torch.no_grad():  # for this thread
            loss = learner.loss(batch[0])
            return weighted(wide(loss.total), batch[1]).sum(), squares_of(loss)

    with learner_in_eval_mode(learner):
        batches = zip(records.batches(size), of_batches, strict=True)
        measured = workers.map(of_batch, islice(batches, processes.rank, None, processes.n))
    errors = SquaredErrors(records.device)
    for _, squares in measured:
        errors.add(squares)
    counts = len(records) if weights is None else float(wide(weights).sum())
    losses = [loss for loss, _ in measured] or [wide(torch.zeros((), device=records.device))]
    return float(processes.sum(torch.stack(losses).sum())) / counts, errors.over(processes).mean()


@dataclass
class Best:
    """The weights with the lowest validation loss so far, and the number of epochs since."""

    loss: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)
    epochs_since: int = 0

    def keep_better(self, loss: float, learner: Learner) -> None:
        """Copy the weights of a learner if its validation loss is lower than all before."""
        if loss < self.loss:
            self.loss, self.epochs_since = loss, 0
            self.weights = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
        else:
            self.epochs_since += 1

    def is_passed(self, history: Sequence[Epoch], n_epochs: int, n_values: int) -> bool:
        """Whether the last of the planned epochs are all so much worse than the best one that training should end."""
        n_last = max(math.ceil(_LAST * n_epochs), _FEWEST_LAST)
        if self.epochs_since < n_last:
            return False
        losses = [row.validation_loss for row in history[-n_last:] if row.validation_loss is not None]
        return min(losses) > self.loss + _WORSE * n_values

    def load_into(self, learner: Learner) -> None:
        """Give a learner these weights, if there are any."""
        if self.weights:
            learner.load_state_dict(self.weights)


def best_epoch(history: Sequence[Epoch]) -> Epoch | None:
    """Return the epoch with the lowest validation loss; None if none was measured."""
    best, lowest = None, math.inf
    for row in history:
        if row.validation_loss is not None and row.validation_loss < lowest:
            best, lowest = row, row.validation_loss
    return best
