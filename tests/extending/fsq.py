"""A bottleneck: each latent dimension is rounded to one of a few levels (finite scalar quantisation)."""

import numpy as np
import torch

from narrows.bottlenecks import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.quantisation import Scaling
from narrows.codec.entropy_models import Independent
from narrows.codec.operating_point import to_symbols
from narrows.parts.options import Integer, option


class FSQModule(BottleneckModule):
    def __init__(self, shape, half):
        super().__init__(shape, shape)
        self.half = half

    def forward(self, h, generator=None):
        z = self.half * torch.tanh(h)
        symbols = torch.round(z).detach()
        straight_through = symbols + (z - z.detach())  # the value of the symbols with the gradient of z
        return Code(straight_through, cost=h.new_zeros(len(h)), symbols=symbols.to(torch.int32))

    def project(self, z):
        return torch.round(z).clamp(-self.half, self.half)

    def quantisations(self, codes, distortion):
        steps = np.ones(codes.shape[1])
        return [Scaling(steps=steps, entropy=Independent.fit(to_symbols(codes, steps)), trained_for=True)]


class FSQ(Bottleneck, name="fsq"):
    half: int = option(Integer(1), "levels on either side of zero", default=3)

    def build(self, z_shape):
        return FSQModule(z_shape, self.half)
