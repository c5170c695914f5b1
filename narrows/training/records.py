"""Training data on the device, stored once in their dtype; a batch is a selection by index."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.data.mapped import MappedRecords, larger_than_memory
from narrows.numerics.batches import Labelled

__all__ = ["JoinedRecords", "LabelledRecords", "RecordSource", "Records"]


class RecordSource(Protocol):
    """What training reads records from. `Records` holds all of them on the device."""

    def __len__(self) -> int: ...

    @property
    def device(self) -> torch.device:
        """Device of the batches."""

    @property
    def files(self) -> Sequence[MappedRecords]:
        """The files larger than memory that records are in, if there are any."""

    def block(self, n_bytes: int) -> int:
        """Return how many records have about this size, at least 1."""

    def expect(self, indices: Tensor) -> None:
        """Begin to read the records at these indices from such files."""

    def take(self, indices: Tensor) -> Any:
        """Return a batch for the learner: the records at these indices."""

    def batches(self, size: int) -> Iterator[Any]:
        """Yield all records in order, in batches of at most this size."""

    def weights_of(self, indices: Tensor | None = None) -> Tensor | None:
        """Return the weights in the loss of the records at these indices, of all without; None: all are 1."""


class Records:
    """Records (n, *shape) as a tensor on a device.

    On the CPU nothing is copied: memory-mapped files stay on disk, and a batch reads its own records only.

    Parameters
    ----------
    values : ndarray of shape (m, *shape)
        The values in their stored dtype.
    device : device
        Device of the records.
    rows : ndarray of int, shape (n,), optional
        Indices of the records among the values, in this order. None: all.

    Attributes
    ----------
    weights : Tensor of shape (m,), or None
        The weight of each value in the loss; None: all are 1.
    files : sequence of MappedRecords
        The file that the values are in, if it is larger than memory.
    """

    weights: Tensor | None = None
    files: Sequence[MappedRecords] = ()

    def __init__(self, values: NDArray[Any], device: torch.device, rows: NDArray[np.int64] | None = None) -> None:
        if any(stride < 0 or stride % values.itemsize for stride in values.strides):
            values = np.ascontiguousarray(values)  # PyTorch does not support negative or partial strides
        with warnings.catch_warnings():
            # Read-only arrays are allowed, since nothing is ever written to them.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.tensor = torch.from_numpy(values).to(device)
        file = larger_than_memory(values) if device.type == "cpu" else None
        self.files = () if file is None else (file,)
        self.rows = None if rows is None else torch.from_numpy(rows).to(device)

    def only(self, rows: NDArray[np.int64] | None) -> Records:
        """Return the records at these rows of all values, in this order (None: all); the values are shared."""
        assert type(self) is Records, "choose rows before labels are added"
        some = copy.copy(self)
        some.rows = None if rows is None else torch.from_numpy(rows).to(self.device)
        return some

    def weighted(
        self, weights: NDArray[np.float64] | None, rows: NDArray[np.int64] | None, dtype: torch.dtype
    ) -> Records:
        """Return the records with weights (m,) of all values, scaled to a mean of 1 over these rows (None: all)."""
        assert type(self) is Records, "add weights before labels"
        some = copy.copy(self)
        if weights is not None:
            mean = (weights if rows is None else weights[rows]).mean()
            some.weights = torch.from_numpy(weights / mean).to(dtype).to(self.device)
        return some

    def weights_of(self, indices: Tensor | None = None) -> Tensor | None:
        """Return the weights of the records at these indices, shape (len(indices),), or of all; None: all are 1."""
        if self.weights is None:
            return None
        rows = self.rows
        if indices is not None:
            rows = indices if rows is None else rows[indices]
        return self.weights if rows is None else self.weights.index_select(0, rows)

    def __len__(self) -> int:
        return len(self.tensor) if self.rows is None else len(self.rows)

    @property
    def device(self) -> torch.device:
        """Device of the records."""
        return self.tensor.device

    def block(self, n_bytes: int) -> int:
        """Return how many records have about this size, at least 1."""
        return max(1, n_bytes // max(self.tensor[:1].nbytes, 1))

    def expect(self, indices: Tensor) -> None:
        """Begin to read the records at these indices, if they are in a file larger than memory."""
        for file in self.files:
            file.will_need((indices if self.rows is None else self.rows[indices]).numpy())

    def take(self, indices: Tensor) -> Tensor:
        """Return the records at these indices, shape (len(indices), *shape)."""
        return self.tensor.index_select(0, indices if self.rows is None else self.rows[indices])

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all records in order."""
        if self.rows is None:
            return iter(torch.split(self.tensor, size))
        return map(self._batch, torch.split(self.rows, size))

    def _batch(self, rows: Tensor) -> Tensor:
        for file in self.files:
            file.will_need(rows.numpy())
        return self.tensor.index_select(0, rows)


class LabelledRecords(Records):
    """Records with labels: `take` and `batches` return `Labelled` batches.

    Parameters
    ----------
    unlabelled : Records
        The records; their values are shared.
    labels : ndarray of int, shape (m,)
        The class of each of all values, from 0, including values that are not among the records.

    Attributes
    ----------
    unlabelled : Records
        The records without labels.
    """

    def __init__(self, unlabelled: Records, labels: NDArray[np.int64]) -> None:
        self.unlabelled = unlabelled
        self.tensor, self.rows, self.weights = unlabelled.tensor, unlabelled.rows, unlabelled.weights
        self.files = unlabelled.files
        self.labels = Records(labels, unlabelled.device)
        self.labels.rows = unlabelled.rows

    def take(self, indices: Tensor) -> Any:
        return Labelled(self.unlabelled.take(indices), self.labels.take(indices))

    def batches(self, size: int) -> Iterator[Any]:
        return map(Labelled, self.unlabelled.batches(size), self.labels.batches(size))


class JoinedRecords(Records):
    """Several sets of records as one, in order; only batches are copied."""

    def __init__(self, parts: Sequence[Records]) -> None:
        self.parts = tuple(parts)
        self.files = [file for part in self.parts for file in part.files]
        of_parts = [part.weights_of() for part in self.parts]
        known = next((weights for weights in of_parts if weights is not None), None)
        if known is not None:  # other records count as those of a mean weight
            pairs = zip(of_parts, self.parts, strict=True)
            self.weights = torch.cat([known.new_ones(len(part)) if one is None else one for one, part in pairs])

    def weights_of(self, indices: Tensor | None = None) -> Tensor | None:
        return self.weights if self.weights is None or indices is None else self.weights.index_select(0, indices)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    def block(self, n_bytes: int) -> int:
        return self.parts[0].block(n_bytes)

    def expect(self, indices: Tensor) -> None:
        for part, _, of_part in self._shared(indices):
            part.expect(of_part)

    def take(self, indices: Tensor) -> Tensor:
        first = self.parts[0]
        taken = first.tensor.new_empty((len(indices), *first.tensor.shape[1:]))
        for part, here, of_part in self._shared(indices):
            taken[here] = part.take(of_part)
        return taken

    def _shared(self, indices: Tensor) -> Iterator[tuple[Records, Tensor, Tensor]]:
        """Yield the parts, the places among the indices that are theirs, and the indices in the part."""
        start = 0
        for part in self.parts:
            (here,) = ((indices >= start) & (indices < start + len(part))).nonzero(as_tuple=True)
            yield part, here, indices[here] - start
            start += len(part)

    def batches(self, size: int) -> Iterator[Tensor]:
        return chain.from_iterable(part.batches(size) for part in self.parts)
