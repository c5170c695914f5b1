"""Tensors that share memory, as the weights do that two modules have in common."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

__all__ = ["apart"]


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU that share no memory with each other, as files need them."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        t = tensor.detach().cpu().contiguous()
        at = t.untyped_storage().data_ptr()
        found[name] = t.clone() if at in seen else t
        seen.add(at)
    return found
