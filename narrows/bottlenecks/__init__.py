"""Bottlenecks: the narrow place in the chain."""

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.plain import Plain

__all__ = ["Bottleneck", "BottleneckModule", "Code", "Plain"]
