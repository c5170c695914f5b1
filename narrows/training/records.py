"""Training data on the device: there once, in their stored dtype; a batch is a slice by index."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Records"]


class Records:
    """Records (n, *shape) as a tensor on a device.

    On the CPU nothing is copied: a memory-mapped file stays one, and only what a batch touches is read.
    """

    def __init__(self, values: NDArray[np.generic], device: torch.device) -> None:
        with warnings.catch_warnings():
            # Read-only arrays are fine here: nothing is ever written to them.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.tensor = torch.from_numpy(values).to(device)

    def __len__(self) -> int:
        return len(self.tensor)

    def take(self, indices: Tensor) -> Tensor:
        """Return the records at these indices, shape (len(indices), *shape)."""
        return self.tensor.index_select(0, indices)

    def batches(self, size: int) -> Iterator[Tensor]:
        """Go through all records in order."""
        return iter(torch.split(self.tensor, size))
