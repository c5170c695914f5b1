"""Penalties: terms added to the loss that shape the code."""

from narrows.penalties.contract import Penalty
from narrows.penalties.contractive import Contractive
from narrows.penalties.custom import CustomPenalty
from narrows.penalties.kl_sparsity import KLSparsity
from narrows.penalties.l1 import L1
from narrows.penalties.mmd import MMD
from narrows.penalties.neighbours import Neighbours

__all__ = ["L1", "MMD", "Contractive", "CustomPenalty", "KLSparsity", "Neighbours", "Penalty"]
