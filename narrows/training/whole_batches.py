"""The gradient of a batch that is not split: by autograd, or without it where that is possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Generator, Tensor

from narrows.numerics.threads import openmp_threads
from narrows.training.direct import direct_step
from narrows.training.learner import Learner
from narrows.training.openmp import same_bits
from narrows.training.records import RecordSource
from narrows.training.shards import weighted
from narrows.training.squared_errors import SquaredErrors, squares_of

__all__ = ["WholeBatches"]


class WholeBatches:
    """Batches of records that are computed as they are.

    Attributes
    ----------
    learner : Learner
        The learner.
    records : RecordSource
        The records of the batches.
    direct : DirectStep or None
        What computes the gradients without autograd.
    """

    def __init__(self, learner: Learner, records: RecordSource) -> None:
        self.learner, self.records, self.direct = learner, records, direct_step(learner, records)
        self._weights = list(learner.parameters())

    def backward(
        self, indices: Tensor, noises: Sequence[Generator], n_threads: int, errors: SquaredErrors | None = None
    ) -> Tensor:
        """Set the ``grad`` of all weights to the gradient of the mean loss of a batch, and return that loss.

        Parameters
        ----------
        indices : Tensor of int64, shape (n,)
            Indices of the records of the batch.
        noises : sequence of Generator
            Source of the noise, a single one.
        n_threads : int
            Number of OpenMP threads.
        errors : SquaredErrors, optional
            Receives the squared errors of the batch.

        Returns
        -------
        loss : Tensor of shape ()
            In nats, without a graph.
        """
        (noise,) = noises
        with openmp_threads(n_threads):
            if self.direct is not None:
                return self.direct.backward(self.records.take(indices), noise, errors)
            terms = self.learner.loss(self.records.take(indices), noise)
            loss = weighted(terms.total, self.records.weights_of(indices)).mean()
            if errors is not None:
                errors.add(squares_of(terms))
            del terms  # its tensors are freed as the gradients are computed
            for weight in self._weights:
                weight.grad = None
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def same_bits(self, sizes: Iterable[int], n_threads: int) -> bool:
        """Return whether this many OpenMP threads compute the same gradients of batches of these sizes as one."""
        return same_bits(self.learner, self.records, sizes, n_threads, direct=self.direct)
