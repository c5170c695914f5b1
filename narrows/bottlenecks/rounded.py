"""The rounded bottleneck: codes of whole numbers, and their cost in a file."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.logistic_prior import LogisticPrior
from narrows.bottlenecks.quantisation import Distortion, Quantisation, Scaling
from narrows.codec.operating_point import to_symbols
from narrows.numerics.record_noise import Noise, uniform_like
from narrows.parts.options import Choice, Integer, Real, option

__all__ = ["Rounded", "RoundedModule"]

_STEPS = tuple(2.0 ** (k / 4) for k in (12, 10, 8, 6, 4, 2, 1, 0, -1, -2, -4, -6, -8))
"""Steps of the quantisations, over the one that the code was trained for."""

_COUNTED = 4096  # records on which the tables of other steps than that one are counted

_HALVINGS = 7
_MARGIN_DB = 0.02  # for the difference between float and integer decoder


class Rounded(Bottleneck, name="rounded"):
    """Round the code to whole numbers s = round(h), at their cost in a file: −log P(s), in nats.

    In training, uniform noise of one unit replaces the rounding, h̃ = h + U(−½, ½), and P is the mass of a logistic
    distribution on the unit interval around h̃, so that rate and distortion have gradients (Ballé, Laparra and
    Simoncelli 2017). With the normal likelihood the loss of the chain is rate + λ · squared error, λ = 1 / 2σ². With
    others, a ``weight`` of the rate below 1 asks for fewer errors.

    The "autoregressive" prior predicts mean and scale of each number from the numbers before it, by one shared hidden
    layer (NADE; Larochelle and Murray 2011). In a map, these are the previous channels at the same position and all
    channels of the four neighbours that are coded before (Minnen, Ballé and Toderici 2018, here a small version). The
    "independent" prior has a mean and a scale for each number.

    Examples
    --------
    >>> Rounded(prior="independent")
    Rounded(prior='independent')
    """

    prior: str = option(
        Choice("autoregressive", "independent"),
        "'autoregressive': each number's distribution given those before it; 'independent': one for each",
        default="autoregressive",
    )
    n_hidden: int = option(Integer(1), "hidden units of the autoregressive prior", default=64)
    unit: float = option(
        Real(0, open_low=True),
        "quantisation step of the code; a small step starts the training at a high rate",
        default=1.0,
    )

    weight: float = option(
        Real(0, open_low=True), "weight of the rate in the loss; below 1 the code takes more bits", default=1.0
    )

    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        return RoundedModule(z_shape, self.n_hidden if self.prior == "autoregressive" else 0, self.unit, self.weight)


class RoundedModule(BottleneckModule):
    """h (n, *shape) → whole numbers of the same shape, and the prior for coding them."""

    def __init__(self, shape: tuple[int, ...], n_hidden: int, unit: float, weight: float = 1.0) -> None:
        super().__init__(shape, shape)
        self.unit, self.rate_weight = unit, weight
        self.prior = LogisticPrior(shape, n_hidden)

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        s = h / self.unit
        if generator is None:
            s = torch.round(s)
            return Code(s * self.unit, self.rate_weight * self.prior.nats(s), s.to(torch.int32))
        s = s + uniform_like(h, generator) - 0.5
        return Code(s * self.unit, self.rate_weight * self.prior.nats(s))

    def continuous_code(self, h: Tensor) -> Tensor:
        return h

    def project(self, z: Tensor) -> Tensor:
        return torch.round(z / self.unit) * self.unit

    def symbols_to_z(self, symbols: Tensor) -> Tensor:
        return symbols.to(self.prior.mean.dtype) * self.unit

    def quantisations(self, codes: NDArray[np.float64], distortion: Distortion) -> list[Quantisation]:
        """Return steps from eight times to a quarter of the one that the code was trained for, from coarse to fine."""
        quantisations: list[Quantisation] = []
        own = self._own_step(distortion)
        for times in _STEPS:
            step = own * times
            steps = np.full(codes.shape[1], step * self.unit)
            some = codes if times == 1 else codes[:_COUNTED]
            entropy = self.prior.freeze(to_symbols(some, steps), step)
            quantisations.append(Scaling(steps=steps, entropy=entropy, trained_for=times == 1))
        return quantisations

    def _own_step(self, distortion: Distortion) -> float:
        """Return the step, in units, at which records come back with the PSNR that the model was trained for."""
        if distortion.psnr is None:
            return 1.0
        low, high = 0.5, 2.0
        for _ in range(_HALVINGS):
            step = math.sqrt(low * high)
            psnr = distortion.psnr_of(torch.round(distortion.codes / (step * self.unit)) * (step * self.unit))
            low, high = (low, step) if psnr < distortion.psnr + _MARGIN_DB else (step, high)
        return low
