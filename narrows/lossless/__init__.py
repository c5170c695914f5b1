"""Learned models of exact values, for lossless and error-bounded archives."""

from narrows.lossless.causal import CausalNetwork
from narrows.lossless.contract import Residual

__all__ = ["CausalNetwork", "Residual"]
