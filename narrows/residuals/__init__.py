"""Residuals: what to expect of values that are kept exactly, learned with the model."""

from narrows.residuals.causal import Causal
from narrows.residuals.contract import Residual

__all__ = ["Causal", "Residual"]
