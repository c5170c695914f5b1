"""Networks that cannot be trained on a batch of one record, as those with batch normalisation of vectors."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from narrows.errors import InvalidParameterError
from narrows.numerics.randomness import Stream, generator
from narrows.training.learner import Learner

__all__ = ["steps_of_an_epoch"]


def steps_of_an_epoch(learner: Learner, records: Any, batch_size: int, n_processes: int = 1) -> int:
    """Return the number of batches of an epoch; the last one has all records that remain.

    A last batch of one record is added to the batch before if the learner cannot be trained on a single record. If
    several processes share batches, the same is done with a last batch of less than two records for each.

    Raises
    ------
    InvalidParameterError
        If it cannot, and there is only one record, or one in each batch; or less than two for each process.
    """
    n = len(records)
    n_steps = -(-n // batch_size)
    if n_processes > 1:
        return _steps_of_processes(n, batch_size, n_processes)
    if n - (n_steps - 1) * batch_size > 1 or not _normalises(learner) or _trains_on_one(learner, records):
        return n_steps
    if n_steps == n:
        got, advice = "one training record", "Give more records"
        if batch_size == 1:
            got, advice = "batch_size=1", "Set training__batch_size to 2 or more"
        raise InvalidParameterError(
            f"The network normalises over the records of a batch, so each batch needs two records or more. Got {got}. "
            f"{advice}, or leave out batch normalisation."
        )
    return n_steps - 1


def _steps_of_processes(n: int, batch_size: int, n_processes: int) -> int:
    """Return the number of batches of an epoch, each with at least two records for each process."""
    least = 2 * n_processes
    if min(n, batch_size) < least:
        raise InvalidParameterError(
            f"{n_processes} processes need batches of at least {least} records. Got {n} training records and "
            f"batches of {batch_size}. Start fewer processes."
        )
    n_steps = -(-n // batch_size)
    return n_steps if n - (n_steps - 1) * batch_size >= least else n_steps - 1


def _normalises(learner: Learner) -> bool:
    """Return whether a learner has batch normalisation."""
    modules = learner.modules() if isinstance(learner, nn.Module) else ()
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in modules)


def _trains_on_one(learner: Learner, records: Any) -> bool:
    """Return whether a learner computes the training loss of a single record; the learner is not changed."""
    device = records.device
    try:
        with torch.no_grad():
            noise = generator(0, Stream.NOISE, 0, device=device)
            one = records.take(torch.zeros(1, dtype=torch.int64, device=device))
            trial = copy.deepcopy(learner)
            trial.train(True)
            trial.loss(one, noise)
    except ValueError:  # "Expected more than 1 value per channel when training"
        return False
    return True
