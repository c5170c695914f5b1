"""OpenMP threads for batches that are not split, if they compute the same bits as one thread.

The split of a product among threads can change the last bits of its sums, depending on the library, the shape and the
machine. Therefore it is tested: if the gradients of a batch are equal, the number of threads may follow the load of the
machine, and training yields the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from narrows.numerics.randomness import Stream, generator
from narrows.numerics.threads import openmp_threads
from narrows.training.direct import DirectStep
from narrows.training.learner import Learner
from narrows.training.records import RecordSource

__all__ = ["same_bits"]


def same_bits(
    learner: Learner,
    records: RecordSource,
    batch_sizes: Iterable[int],
    n_threads: int,
    *,
    direct: DirectStep | None = None,
) -> bool:
    """Return whether n threads compute the same losses and gradients as one thread, for batches of all sizes.

    With ``direct`` they are computed without autograd.

    Returns False for learners that couple records: evaluating their loss may change them.
    """
    if getattr(learner, "couples_records", True):
        return False
    for size in batch_sizes:
        with openmp_threads(1):
            by_one = _loss_and_gradient(learner, records, size, direct)
        with openmp_threads(n_threads):
            by_all = _loss_and_gradient(learner, records, size, direct)
        if not all(map(torch.equal, by_one, by_all)):
            return False
    return True


def _loss_and_gradient(learner: Learner, records: RecordSource, size: int, direct: DirectStep | None) -> list[Tensor]:
    batch, noise = records.take(torch.arange(size)), generator(0, Stream.NOISE, 0)
    weights = [weight for weight in learner.parameters() if weight.requires_grad]
    if direct is not None:
        loss = direct.backward(batch, noise)
        return [loss, *(weight.grad.clone() for weight in weights if weight.grad is not None)]
    loss = learner.shard_loss(batch, noise).total.mean()
    gradient = torch.autograd.grad(loss, weights, allow_unused=True)
    return [loss.detach(), *(of_weight for of_weight in gradient if of_weight is not None)]
