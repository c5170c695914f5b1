"""The adversary of codes: an adversarial autoencoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Generator, Tensor, nn

from narrows.adversaries.contract import Adversary, Contest, Forward, contest
from narrows.adversaries.discriminators import DenseDiscriminator
from narrows.parts.options import Integer, Real, SequenceOf, option

if TYPE_CHECKING:
    from narrows.chain import Chain

__all__ = ["Codes"]


class Codes(Adversary, name="codes"):
    """Match the distribution of the codes to N(0, I): the discriminator tells codes from draws of the prior.

    The adversarial autoencoder of Makhzani, Shlens, Jaitly, Goodfellow and Frey (2016), with a normal prior. Draws from
    N(0, I) are the real samples, and codes of records those that the chain makes. The encoder learns from the
    reconstruction and against the discriminator at once, where the paper alternates between the two.

    Examples
    --------
    >>> Codes(weight=10).normal_prior
    True
    """

    judges: ClassVar[str] = "codes"

    weight: float = option(Real(0, open_low=True), "nats for each unit of the adversarial cost", default=10.0)
    widths: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "units of the discriminator's hidden layers", default=(256, 256)
    )

    @property
    def normal_prior(self) -> bool:
        return True

    def discriminator(self, chain: Chain, generator: Generator) -> nn.Module:
        return DenseDiscriminator(math.prod(chain.bottleneck.z_shape), self.widths, generator)

    def contest(self, chain: Chain, discriminator: nn.Module, forward: Forward, generator: Generator) -> Contest:
        z = forward.z.flatten(1)
        prior = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
        scores: Tensor = discriminator(torch.cat([prior, z]))
        of_prior, of_codes = scores.chunk(2)
        return contest(self, discriminator, (prior, of_prior), (z, of_codes), None)
