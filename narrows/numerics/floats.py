"""Records as floats, and devices without float64, such as Apple's GPUs ("mps")."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["as_floats", "has_float64", "wide"]

_WITHOUT_FLOAT64 = {"mps"}  # types of devices
# float32 represents integers of up to 16 bits, float16 and float32 exactly.
_FLOAT32_IS_ENOUGH = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.float16, torch.float32}


def has_float64(device: torch.device) -> bool:
    """Return whether a device computes in float64."""
    return device.type not in _WITHOUT_FLOAT64


def wide(x: Tensor) -> Tensor:
    """Return a tensor in float64, or in float32 if its device has no float64.

    Examples
    --------
    >>> wide(torch.zeros(2)).dtype
    torch.float64
    """
    return x.double() if has_float64(x.device) else x.float()


def as_floats(records: Tensor) -> Tensor:
    """Return records of any stored dtype as floats: float32 if that represents all values of the dtype, else `wide`."""
    return records.float() if records.dtype in _FLOAT32_IS_ENOUGH else wide(records)
