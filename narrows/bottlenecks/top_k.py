"""The top-k bottleneck."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.errors import InvalidParameterError
from narrows.numerics.record_noise import Noise
from narrows.parts.options import Integer, option, optional

__all__ = ["TopK"]

_USUAL_SHARE = 0.25


class TopK(Bottleneck, name="top-k"):
    """Keep the k largest numbers of each record's code and set the others to zero: z = h · [h among the k largest].

    The k-sparse autoencoder (Makhzani and Frey 2013, section 2.1), with the same k in use as in
    training. The gradient flows through the kept numbers. For a map, k counts the numbers of all channels and positions
    together.

    Examples
    --------
    >>> h = torch.tensor([[3.0, -1.0, 2.0, 0.5]])
    >>> TopK(k=2).build((4,))(h).z
    tensor([[3., 0., 2., 0.]])
    """

    k: int | None = option(
        optional(Integer(1)), "how many numbers of a code are kept; None: a quarter, rounded up", default=None
    )

    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        n_latent = math.prod(z_shape)
        k = math.ceil(_USUAL_SHARE * n_latent) if self.k is None else self.k
        if k > n_latent:
            raise InvalidParameterError(f"The 'k' of TopK must be ≤ {n_latent}, the numbers in the code. Got {k}.")
        return _TopKModule(z_shape, k)


class _TopKModule(BottleneckModule):
    def __init__(self, shape: tuple[int, ...], k: int) -> None:
        super().__init__(shape, shape)
        self.k = k

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        flat = h.flatten(1)
        largest, where = flat.topk(self.k, dim=1)
        z = torch.zeros_like(flat).scatter(1, where, largest)
        return Code(z=z.reshape(h.shape), cost=h.new_zeros(len(h)))

    def project(self, z: Tensor) -> Tensor:
        flat = z.flatten(1)
        where = flat.abs().topk(self.k, dim=1).indices
        return torch.zeros_like(flat).scatter(1, where, flat.gather(1, where)).reshape(z.shape)
