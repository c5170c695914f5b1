"""Bottlenecks: the layers that make the code."""

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.diagonal_normal import DiagonalNormal
from narrows.bottlenecks.gaussian import Gaussian
from narrows.bottlenecks.plain import Plain
from narrows.bottlenecks.rounded import Rounded
from narrows.bottlenecks.top_k import TopK
from narrows.bottlenecks.vector_quantised import VectorQuantised

__all__ = [
    "Bottleneck",
    "BottleneckModule",
    "Code",
    "DiagonalNormal",
    "Gaussian",
    "Plain",
    "Rounded",
    "TopK",
    "VectorQuantised",
]
