"""Whether PyTorch writes an ONNX file, which has fewer operators than PyTorch."""

from __future__ import annotations

import sys

import torch

__all__ = ["is_exporting"]


def is_exporting() -> bool:
    """Return whether this is a call of an export to ONNX. Its module is not imported for that: it takes 0.2 seconds."""
    return "torch.onnx" in sys.modules and bool(torch.onnx.is_in_onnx_export())
