"""The digest of a chain's weights, by which artefacts of other weights are recognised."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

__all__ = ["weights_digest"]


@torch.no_grad()
def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers of a module, in hexadecimal.

    Device and memory layout do not change it. It is computed from the numbers at every call, since writes through
    ``weight.data`` or a NumPy view do not change a tensor's version.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
