"""Adversaries: discriminators that are trained against a chain, with an optimiser of their own."""

from narrows.adversaries.codes import Codes
from narrows.adversaries.contract import Adversary, Contest, Forward
from narrows.adversaries.records import Records

__all__ = ["Adversary", "Codes", "Contest", "Forward", "Records"]
