"""Learned models of exact values, for lossless and error-bounded archives."""

from narrows.lossless.causal import Causal
from narrows.lossless.contract import Residual

__all__ = ["Causal", "Residual"]
