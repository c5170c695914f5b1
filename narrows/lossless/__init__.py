"""Residuals: what to expect of values that are kept exactly, learned with the model."""

from narrows.lossless.causal import Causal
from narrows.lossless.contract import Residual

__all__ = ["Causal", "Residual"]
