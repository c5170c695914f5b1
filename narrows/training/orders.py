"""The order in which an epoch reads its records: random, or random by blocks if they are larger than memory.

Single records at random places of a file take as long to read as hundreds of records that follow each other. Records
that are larger than memory are therefore shuffled in two steps: blocks of them come in random order, and within a
window of many blocks the records do. While the records of one window are trained on, the system reads the next.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from narrows.training.partners import in_pairs
from narrows.training.records import RecordSource

__all__ = ["Order", "random_order"]

_BLOCK_BYTES = 256 << 10  # read together: at 150 MB/s and 10 ms for finding them, as on a hard disk, 20 MB/s
_BLOCKS = 256  # of a window: 64 MiB; two of them are in memory


def random_order(n: int, drawn_by: Generator, block: int | None = None) -> Tensor:
    """Return the indices of n records in random order, shape (n,).

    Parameters
    ----------
    n : int
        Number of records.
    drawn_by : Generator
        Source of the order, on the CPU.
    block : int, optional
        Number of records of a block. The order is then random within windows of 256 blocks, and that of the blocks is.
        None: any record can be at any place.
    """
    if block is None:
        return torch.randperm(n, generator=drawn_by)
    order, end = torch.empty(n, dtype=torch.int64), 0
    for blocks in torch.split(torch.randperm(-(-n // block), generator=drawn_by), _BLOCKS):
        window = (blocks[:, None] * block + torch.arange(block)).flatten()
        window = window[window < n]  # the last block of the records may be shorter
        order[end : end + len(window)] = window[torch.randperm(len(window), generator=drawn_by)]
        end += len(window)
    return order


class Order:
    """The order of an epoch.

    Parameters
    ----------
    indices : Tensor of shape (n,)
        The indices of the records.
    records : RecordSource
        The records. Those in files larger than memory are read ahead.
    """

    def __init__(self, indices: Tensor, records: RecordSource) -> None:
        self.indices, self.records = indices, records
        self._expected = 0 if records.files else len(indices)

    @classmethod
    def drawn(
        cls, records: RecordSource, drawn_by: Generator, *, by_blocks: bool, neighbours: Tensor | None = None
    ) -> Self:
        """Draw a random order of all records.

        Parameters
        ----------
        records : RecordSource
            The n records.
        drawn_by : Generator
            Source of the order, on the CPU.
        by_blocks : bool
            Whether it is random by blocks.
        neighbours : Tensor of shape (n, k), optional
            The indices of the nearest records of each, see `in_pairs`.
        """
        block = records.block(_BLOCK_BYTES) if by_blocks else None
        indices = random_order(len(records), drawn_by, block).to(records.device)
        return cls(indices if neighbours is None else in_pairs(indices, neighbours, drawn_by), records)

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, start: int, end: int) -> Tensor:
        """Return the indices from a start to an end; records up to a window behind them begin to be read."""
        window = _BLOCKS * self.records.block(_BLOCK_BYTES)
        self._expected = max(self._expected, start // window * window)  # a resumed epoch starts in the middle
        while self._expected < min(end + window, len(self)):
            self.records.expect(self.indices[self._expected : self._expected + window])
            self._expected += window
        return self.indices[start:end]
