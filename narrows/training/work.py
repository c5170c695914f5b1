"""Chooses the number of shards of a batch by the work of a step alone, not by the machine or by time.

The work of one forward pass is counted: floating-point operations of products, values that operators write, and calls
of operators that write values. Each further shard repeats the calls and the gradient of all weights, so small steps are
not split. The costs below were measured: on one core of an AMD EPYC (AVX2) they predict the time of training steps of
dense and convolutional networks within about a third (`bench/threads.py`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from narrows.numerics.randomness import Stream, generator
from narrows.training.learner import Learner, learner_in_eval_mode
from narrows.training.records import RecordSource

__all__ = ["choose_n_shards"]

# Costs in floating-point operations of the forward pass. The backward pass takes about twice as long.
_VALUE = 80  # to write a value
_OPERATOR = 1_400_000  # to call an operator
_WEIGHT = 55  # to write the gradient of a weight and to add it to that of another shard
# Smallest work of a batch, in costs of a shard, for each number of shards. Two shards computed one after the other then
# take up to 10 % longer than one batch. More shards help only with more CPUs, and may cost 5 % otherwise. From 2.5 on,
# two threads with a shard each are faster than one thread with the batch, but two OpenMP threads are even faster.
_SHARDS = {8: 160.0, 4: 40.0, 2: 8.0}
_OF_MATRICES = {flop_registry[torch.ops.aten.mm], flop_registry[torch.ops.aten.addmm]}


def choose_n_shards(learner: Learner, records: RecordSource, batch_size: int) -> int:
    """Return the number of shards for batches of this size: 1, 2, 4 or 8.

    The batches of learners that couple the records of a batch are not split, nor are batches on other devices than the
    CPU. A learner without ``couples_records`` counts as one that couples them.
    """
    if records.device.type != "cpu" or getattr(learner, "couples_records", True):
        return 1
    n_records = min(batch_size, len(records))
    one = _count(learner, records, 1)
    cost = _OPERATOR * one.n_operators + _WEIGHT * sum(weight.numel() for weight in learner.parameters())
    if n_records * one.operations < min(_SHARDS.values(), default=math.inf) * cost:
        return 1  # most batches: their work is too small even if each record cost as much as the first
    two = _count(learner, records, 2)
    work = n_records * (two.operations - one.operations)
    cost += max(2 * one.operations - two.operations, 0)
    return next((n for n, least in _SHARDS.items() if work >= least * cost), 1)


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that counts the work of operators."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations, self.n_operators = 0, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: PyTorch would otherwise import TorchDynamo, which takes two seconds."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            self.operations += _operations(formula, args, kwargs, result)
        read = {_storage(value) for value in _tensors(args)}
        written = [value for value in _tensors(result) if _storage(value) not in read]
        self.operations += sum(_VALUE * value.numel() for value in written)
        self.n_operators += bool(written) or function._schema.is_mutable  # a view of values costs next to nothing
        return result


def _count(learner: Learner, records: RecordSource, n: int) -> _Count:
    """Return the work of a forward pass of n records, under no_grad."""
    batch = records.take(torch.zeros(n, dtype=torch.int64))
    count = _Count()
    with learner_in_eval_mode(learner), torch.no_grad(), count:
        learner.shard_loss(batch, generator(0, Stream.NOISE, 0))
    return count


def _operations(formula: Any, args: Any, kwargs: dict[str, Any], result: Any) -> int:
    """Return the floating-point operations of an operator: without the detour by which PyTorch looks for shapes."""
    if formula in _OF_MATRICES:  # most of them; PyTorch's formula of a product with a bias makes the detour again
        matrix = args[-2]
        return 2 * int(result.numel()) * int(matrix.shape[-1])
    of_shapes = getattr(formula, "__wrapped__", None)
    if of_shapes is None:
        return int(formula(*args, **kwargs, out_val=result))
    shapes = {name: _shapes(value) for name, value in kwargs.items()}
    return int(of_shapes(*_shapes(args), **shapes, out_shape=_shapes(result)))


def _shapes(values: Any) -> Any:
    """Return values with the shape of each tensor in its place."""
    if isinstance(values, Tensor):
        return values.shape
    return tuple(_shapes(value) for value in values) if isinstance(values, (tuple, list)) else values


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    return [one for value in values for one in _tensors(value)] if isinstance(values, (tuple, list)) else []


def _storage(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
