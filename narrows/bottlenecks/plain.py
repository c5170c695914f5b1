"""The plain bottleneck."""

from __future__ import annotations

from torch import Tensor

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.numerics.record_noise import Noise

__all__ = ["Plain"]


class Plain(Bottleneck, name="plain"):
    """Use the encoder's output as the code, z = h: the latent dimension is the only constraint.

    Rumelhart, Hinton and Williams (1986); Hinton and Salakhutdinov (2006).
    """

    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        return _PlainModule(z_shape, z_shape)


class _PlainModule(BottleneckModule):
    is_identity = True

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        return Code(z=h, cost=h.new_zeros(len(h)))
