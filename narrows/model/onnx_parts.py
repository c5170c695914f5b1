"""The parts of a model that are exported to ONNX, each with the names of its input and its output."""

from __future__ import annotations

__all__ = ["PARTS"]

PARTS = {
    "encoder": ("records", "codes"),
    "decoder": ("codes", "restored"),
    "autoencoder": ("records", "restored"),
}
