"""Penalties: further costs that shape the code."""

from narrows.penalties.contract import Penalty
from narrows.penalties.l1 import L1

__all__ = ["L1", "Penalty"]
