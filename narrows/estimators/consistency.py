"""Records without labels in the training on labels: the prediction for a record is the label of its corrupted copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.chain import Chain
from narrows.estimators.label_training import LabelLearner, LabelLoss
from narrows.numerics.batches import Labelled
from narrows.numerics.foreign_draws import draws_from
from narrows.training import JoinedRecords, Records

__all__ = ["NO_LABEL", "ConsistentLearner", "PartlyLabelledRecords", "partly_labelled"]

NO_LABEL = -1

_SHARE = 0.25  # of the records of an epoch that have labels, as they are repeated
_CONFIDENT = 0.95  # probability from which a prediction counts


class PartlyLabelledRecords(Records):
    """Records of which only the first have labels; `take` and `batches` return `Labelled` batches.

    Parameters
    ----------
    records : JoinedRecords
        Those with labels first.
    labels : ndarray of int64, shape (k,)
        The classes of the first k records. The others have `NO_LABEL`.
    """

    def __init__(self, records: JoinedRecords, labels: NDArray[np.int64]) -> None:
        self.unlabelled, self.weights, self.files = records, records.weights, records.files
        every = np.full(len(records), NO_LABEL, np.int64)
        every[: len(labels)] = labels
        self.labels = torch.from_numpy(every).to(records.device)

    def weights_of(self, indices: Tensor | None = None) -> Tensor | None:
        return self.unlabelled.weights_of(indices)

    def __len__(self) -> int:
        return len(self.unlabelled)

    @property
    def device(self) -> torch.device:
        return self.unlabelled.device

    def block(self, n_bytes: int) -> int:
        return self.unlabelled.block(n_bytes)

    def expect(self, indices: Tensor) -> None:
        self.unlabelled.expect(indices)

    def take(self, indices: Tensor) -> Any:
        return Labelled(self.unlabelled.take(indices), self.labels.index_select(0, indices))

    def batches(self, size: int) -> Iterator[Any]:
        start = 0
        for batch in self.unlabelled.batches(size):
            yield Labelled(batch, self.labels[start : start + len(batch)])
            start += len(batch)


def partly_labelled(records: Records, labels: NDArray[np.int64], others: Sequence[Records]) -> PartlyLabelledRecords:
    """Return records with labels, repeated until they are a quarter of all, before records without labels.

    Parameters
    ----------
    records : Records
        n records.
    labels : ndarray of int64, shape (m,)
        The classes of all values of the records, see `LabelledRecords`.
    others : sequence of Records
        The records without labels.
    """
    rows = np.arange(len(records.tensor)) if records.rows is None else records.rows.cpu().numpy()
    times = max(1, round(_SHARE / (1 - _SHARE) * sum(map(len, others)) / len(rows)))
    repeated = np.tile(rows, times)
    return PartlyLabelledRecords(JoinedRecords([records.only(repeated), *others]), labels[repeated])


class ConsistentLearner(LabelLearner):
    """The encoder of a chain with a softmax on its code, for records of which some have no label.

    The loss of a record without a label is −log p(c | x̃), where c is the most probable class of the clean record x, if
    its probability is at least 0.95, and otherwise 0; no gradient flows through c (Sohn et al. 2020, "FixMatch", with
    the chain's corruption as the strong augmentation, and none as the weak one).

    Parameters
    ----------
    chain, softmax_layer
        As for `LabelLearner`.
    weight : float
        The weight of the records without labels, all of them together, when those with labels have 1.
    """

    def __init__(self, chain: Chain, softmax_layer: nn.Linear, weight: float) -> None:
        super().__init__(chain, softmax_layer)
        self.weight = weight * _SHARE / (1 - _SHARE)

    def loss(self, batch: Labelled, generator: Generator | None = None) -> LabelLoss:
        """Return the loss of each record; without a generator all records have labels, as those for validation have."""
        if generator is None:
            return super().loss(batch)
        (chain,) = self.foreign_modules
        x, missing = chain.prepare(batch.records), chain.missing_of(batch.records)
        has_none = batch.labels == NO_LABEL
        targets, weights = batch.labels.clone(), torch.ones_like(batch.labels, dtype=x.dtype)
        with draws_from(generator if chain.user_code else None):
            if bool(has_none.any()):
                with torch.no_grad():
                    sure, guessed = self.logits(x[has_none]).softmax(1).max(1)
                targets[has_none] = guessed
                weights[has_none] = self.weight * (sure >= _CONFIDENT).to(x.dtype)
            logits = self.logits(chain.corrupt(x, generator, missing), generator)
        return LabelLoss(functional.cross_entropy(logits, targets, reduction="none") * weights)
