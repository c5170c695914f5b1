"""The gradient of a batch that is split into shards, whose gradients are added in order.

Every shard has its own noise, so that the sum is the same to the bit for any number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Generator, Tensor, nn

from narrows.likelihoods.squares import Squares
from narrows.numerics.processes import Processes
from narrows.training.learner import Learner
from narrows.training.records import RecordSource
from narrows.training.squared_errors import SquaredErrors, squares_of
from narrows.training.workers import Workers

__all__ = ["Shards", "weighted"]


@dataclass(frozen=True)
class _Shard:
    """The terms of a shard in the mean loss of its batch and in the gradient; None for weights that it does not use."""

    loss: Tensor
    gradient: tuple[Tensor | None, ...]
    statistic: Tensor | None
    squares: Squares | None


@dataclass(frozen=True)
class Shards:
    """Batches of records, split into shards that workers share.

    Attributes
    ----------
    learner : Learner
        A learner that does not couple the records of a batch.
    records : RecordSource
        The records of the batches.
    workers : Workers
        The threads that compute the shards.
    processes : Processes
        The processes that share batches; shards are those of this process's part.
    """

    learner: Learner
    records: RecordSource
    workers: Workers
    processes: Processes = field(default_factory=Processes)

    @cached_property
    def _weights(self) -> list[nn.Parameter]:
        return [weight for weight in self.learner.parameters() if weight.requires_grad]

    def backward(
        self, indices: Tensor, noises: Sequence[Generator], n_workers: int, errors: SquaredErrors | None = None
    ) -> Tensor:
        """Set the ``grad`` of all weights to the gradient of the mean loss of a batch, and return that loss.

        If processes share the batch, this is the part of the mean that this process's records have.

        Parameters
        ----------
        indices : Tensor of int64, shape (n,)
            Indices of the records of the batch.
        noises : sequence of Generator
            One for each shard. A batch with fewer records than generators has one shard per record.
        n_workers : int
            Number of workers to use.
        errors : SquaredErrors, optional
            Receives the squared errors of the batch.

        Returns
        -------
        loss : Tensor of shape ()
            In nats, without a graph.
        """
        n, weights = len(indices), self._weights

        def shard_of(part: tuple[Tensor, Generator]) -> _Shard:
            taken, noise = part
            loss = self.learner.shard_loss(self.records.take(taken), noise)
            mean = weighted(loss.total, self.records.weights_of(taken)).sum() / n
            # Not by `Tensor.backward`: shards would add to the same ``grad`` at the same time.
            gradient = torch.autograd.grad(mean, weights, allow_unused=True)
            laid_out = tuple(map(_laid_out, gradient, weights))
            statistic = None if loss.statistic is None else loss.statistic.detach()
            return _Shard(mean.detach(), laid_out, statistic, None if errors is None else squares_of(loss))

        mine = self.processes.part(indices)
        parts = zip(mine.tensor_split(min(len(noises), len(mine))), noises, strict=False)
        first, *others = self.workers.map(shard_of, parts, n_workers)
        loss, gradient = first.loss, _apart(first.gradient)
        for other in others:
            loss = loss + other.loss
            _add(gradient, other.gradient)
        for weight, of_weight in zip(weights, gradient, strict=True):
            weight.grad = of_weight
        if errors is not None:
            for shard in (first, *others):
                errors.add(shard.squares)
        statistics = [shard.statistic for shard in (first, *others) if shard.statistic is not None]
        if statistics:
            self.learner.adapt(self.processes.together(torch.cat(statistics)))
        return loss


def weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return losses (n,) multiplied by the weights of their records; without weights the losses themselves."""
    return losses if weights is None else losses * weights.to(losses.dtype)


def _laid_out(gradient: Tensor | None, weight: nn.Parameter) -> Tensor | None:
    """Return a gradient with the memory layout of its weight, which fused steps require."""
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)


def _apart(gradient: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return a gradient that does not share memory with others, as the gradients of summed weights do."""
    seen: set[int] = set()
    apart = list(gradient)
    for index, of_weight in enumerate(gradient):
        if of_weight is not None:
            at = of_weight.untyped_storage().data_ptr()
            apart[index] = of_weight.clone() if at in seen else of_weight
            seen.add(at)
    return apart


def _add(total: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> None:
    """Add a gradient to another in place. Both have the same weights, since these do not depend on the records."""
    pairs = [(a, b) for a, b in zip(total, other, strict=True) if a is not None and b is not None]
    torch._foreach_add_([a for a, _ in pairs], [b for _, b in pairs])
