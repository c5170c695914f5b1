"""The processes that train a model together: those of PyTorch's process group, if one is initialised.

Each process takes its part of a batch, and what is summed over the records of the batch is summed over the processes.
All processes must therefore call the same functions in the same order. Without a process group there is one process,
and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.errors import NarrowsError

__all__ = ["Processes", "processes"]


@dataclass(frozen=True)
class Processes:
    """The number of this process, and how many there are.

    Attributes
    ----------
    rank : int
        From 0. The first process is the only one that writes files and calls callbacks.
    n : int
        The number of processes.
    """

    rank: int = 0
    n: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch (m, ...).

        The parts of all processes have every item once, in their order. They begin at even positions, so that pairs
        stay together, and none has a single item of a batch of at least two for each process.

        Examples
        --------
        >>> [Processes(rank, 3).part(torch.arange(10)).tolist() for rank in range(3)]
        [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
        """
        m = len(batch)
        starts = [m * rank // self.n // 2 * 2 for rank in range(self.n)] + [m]
        return batch[starts[self.rank] : starts[self.rank + 1]]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes; all get the same to the bit."""
        return self._reduced(tensor, "SUM")

    def max(self, tensor: Tensor) -> Tensor:
        """Return the largest of each number of a tensor over the processes."""
        return self._reduced(tensor, "MAX")

    def of_first(self, tensor: Tensor) -> Tensor:
        """Return the tensor of the first process; all must have one of this shape and dtype."""
        if self.n == 1:
            return tensor
        sent = tensor.detach().clone().to(self._device or tensor.device)
        with _naming_lost_processes():
            torch.distributed.broadcast(sent, 0)
        return sent.to(tensor.device)

    def together(self, some: Tensor) -> Tensor:
        """Return the items (m, ...) of all processes, the first one's first; each may have another number of them."""
        if self.n == 1:
            return some
        counts = torch.zeros(self.n, dtype=torch.int64, device=some.device)
        counts[self.rank] = len(some)
        sizes = self.sum(counts).tolist()
        sent = some.new_zeros((max(sizes), *some.shape[1:]))
        sent[: len(some)] = some
        received = [torch.empty_like(sent) for _ in range(self.n)]
        with _naming_lost_processes():
            torch.distributed.all_gather(received, sent)
        return torch.cat([of_one[:size] for of_one, size in zip(received, sizes, strict=True)])

    def any(self, flag: bool) -> bool:
        """Return whether a flag is set in any process."""
        return flag if self.n == 1 else bool(self.max(torch.tensor(int(flag), device=self._device)))

    def agree(self, numbers: list[int]) -> bool:
        """Return whether all processes have the same numbers."""
        if self.n == 1:
            return True
        mine = torch.tensor(numbers, dtype=torch.int64, device=self._device)
        return torch.equal(self.max(mine), -self.max(-mine))

    @property
    def _device(self) -> torch.device | None:
        """The device of tensors that the group can send."""
        return torch.device("cuda") if torch.distributed.get_backend() == "nccl" else None

    def _reduced(self, tensor: Tensor, how: str) -> Tensor:
        if self.n == 1:
            return tensor
        sent = tensor.detach().clone().to(self._device or tensor.device)
        with _naming_lost_processes():
            torch.distributed.all_reduce(sent, getattr(torch.distributed.ReduceOp, how))
        return sent.to(tensor.device)


@contextmanager
def _naming_lost_processes() -> Iterator[None]:
    """Say what the errors of the network mean that PyTorch raises where a process does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise NarrowsError(
            "Another process of the group has ended, failed, or did not answer in time, so this one cannot go on. Its "
            "own output says why. Start all processes again; a checkpoint is continued by resume. PyTorch says: "
            f"{error}"
        ) from error


def processes() -> Processes:
    """Return the processes of the process group; without one, one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return Processes()
    return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())
