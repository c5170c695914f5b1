"""Training data on the device: there once, in their stored dtype; a batch is a slice by index."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.numerics.batches import Labelled

__all__ = ["JoinedRecords", "LabelledRecords", "Records"]


class Records:
    """Records (n, *shape) as a tensor on a device.

    On the CPU nothing is copied: a memory-mapped file stays one, and only what a batch touches is read.

    Parameters
    ----------
    values : ndarray of shape (m, *shape)
        In their stored dtype.
    device : device
        Where they are to live.
    rows : ndarray of int, shape (n,), optional
        Which of the values are meant, in this order. None: all of them.
    """

    def __init__(self, values: NDArray[Any], device: torch.device, rows: NDArray[np.int64] | None = None) -> None:
        if any(stride < 0 or stride % values.itemsize for stride in values.strides):
            values = np.ascontiguousarray(values)  # PyTorch knows neither steps backward nor parts of steps
        with warnings.catch_warnings():
            # Read-only arrays are fine here: nothing is ever written to them.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.tensor = torch.from_numpy(values).to(device)
        self.rows = None if rows is None else torch.from_numpy(rows).to(device)

    def only(self, rows: NDArray[np.int64] | None) -> Records:
        """Return these rows of all values, in this order; the values are shared. None: all of them."""
        assert type(self) is Records, "labels are added to the rows that are meant"
        some = copy.copy(self)
        some.rows = None if rows is None else torch.from_numpy(rows).to(self.device)
        return some

    def __len__(self) -> int:
        return len(self.tensor) if self.rows is None else len(self.rows)

    @property
    def device(self) -> torch.device:
        """Where the records live."""
        return self.tensor.device

    def take(self, indices: Tensor) -> Tensor:
        """Return the records at these indices, shape (len(indices), *shape)."""
        return self.tensor.index_select(0, indices if self.rows is None else self.rows[indices])

    def batches(self, size: int) -> Iterator[Tensor]:
        """Go through all records in order."""
        if self.rows is None:
            return iter(torch.split(self.tensor, size))
        return (self.tensor.index_select(0, rows) for rows in torch.split(self.rows, size))


class LabelledRecords(Records):
    """Records that come with their labels: what `take` and `batches` return is `Labelled`.

    Parameters
    ----------
    unlabelled : Records
        Which; their values are shared.
    labels : ndarray of int, shape (m,)
        The class of each of the values, from 0, whether it is among the records or not.

    Attributes
    ----------
    unlabelled : Records
        The same without them.
    """

    def __init__(self, unlabelled: Records, labels: NDArray[np.int64]) -> None:
        self.unlabelled = unlabelled
        self.tensor, self.rows = unlabelled.tensor, unlabelled.rows
        self.labels = Records(labels, unlabelled.device)
        self.labels.rows = unlabelled.rows

    def take(self, indices: Tensor) -> Any:
        return Labelled(self.unlabelled.take(indices), self.labels.take(indices))

    def batches(self, size: int) -> Iterator[Any]:
        return map(Labelled, self.unlabelled.batches(size), self.labels.batches(size))


class JoinedRecords(Records):
    """Several sets of records as one, in their order; nothing is copied but what a batch takes."""

    def __init__(self, parts: Sequence[Records]) -> None:
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    def take(self, indices: Tensor) -> Tensor:
        first = self.parts[0]
        taken = first.tensor.new_empty((len(indices), *first.tensor.shape[1:]))
        start = 0
        for part in self.parts:
            (here,) = ((indices >= start) & (indices < start + len(part))).nonzero(as_tuple=True)
            taken[here] = part.take(indices[here] - start)
            start += len(part)
        return taken

    def batches(self, size: int) -> Iterator[Tensor]:
        return chain.from_iterable(part.batches(size) for part in self.parts)
