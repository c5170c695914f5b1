"""Gaussian corruption."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.corruptions.contract import Corruption
from narrows.parts.options import Boolean, Real, option

__all__ = ["Gaussian"]


class Gaussian(Corruption, name="gaussian"):
    """Add normal noise to every value: x̃ = x + scale · ε, ε ~ N(0, 1).

    Vincent et al. (2010), section 3.3. With ``clip``, the result is clipped to [0, 1], as in the Keras lesson.
    With ``vary``, the scale of each record is drawn uniformly from 0 to ``scale``: codes of such a model depend little
    on how strong the noise is, so that noisy records can be searched among clean ones.

    Examples
    --------
    >>> Gaussian(scale=0.1)
    Gaussian(scale=0.1)
    """

    scale: float = option(Real(0), "standard deviation of the noise, in preprocessed units", default=0.5)
    clip: bool = option(Boolean(), "clip the noisy values to [0, 1]", default=False)
    vary: bool = option(Boolean(), "draw the scale of each record from 0 to `scale`", default=False)

    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        scale: float | Tensor = self.scale
        if self.vary:
            each = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
            scale = self.scale * each.reshape(-1, *(1,) * (x.ndim - 1))
        x_tilde = noise.mul_(scale).add_(x)
        return x_tilde.clamp_(0, 1) if self.clip else x_tilde
