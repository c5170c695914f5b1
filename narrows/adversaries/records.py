"""The adversary of records: the game of a VAE-GAN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Generator, Tensor, nn

from narrows.adversaries.contract import Adversary, Contest, Forward, contest
from narrows.adversaries.discriminators import DenseDiscriminator, Discriminator, ImageDiscriminator
from narrows.errors import InvalidParameterError
from narrows.parts.options import Choice, Integer, Real, SequenceOf, option

if TYPE_CHECKING:
    from narrows.chain import Chain, Parts

__all__ = ["Records"]


class Records(Adversary, name="records"):
    """Make decoded draws from the prior look like records, and reconstructions like their record.

    With the bottleneck 'gaussian' it makes the VAE-GAN of Larsen, Sønderby, Larochelle and Winther (2016). The
    discriminator tells records from decoded draws from N(0, I) and from reconstructions. With its last hidden layer f,
    the cost of a record x with the reconstruction x̂ is

        weight · s⁺(−D(decoder(z))) + feature_weight / 2 · ‖f(x) − f(x̂)‖²,    z ~ N(0, I)

    The paper has the second term in place of the likelihood of the values. Here both count; a large scale of the
    likelihood takes that of the values out. Only decoded draws play against the discriminator, so that the encoder does
    not learn from the contest, as in the paper.

    Examples
    --------
    >>> Records(channels=(32, 64)).kernel
    5
    """

    judges: ClassVar[str] = "records"

    feature_weight: float = option(
        Real(0), "weight of the squared distance of features between record and reconstruction", default=1.0
    )
    kind: str = option(
        Choice("dense", "convolutional"),
        "layers of the discriminator; 'convolutional' needs images",
        default="dense",
    )
    widths: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "units of the hidden layers of a dense discriminator", default=(512, 256)
    )
    channels: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "channels of a convolutional discriminator, whose stride is 2", default=(16, 32, 64)
    )
    kernel: int = option(Choice(3, 5, 7), "height and width of the convolutions", default=5)

    def _check(self) -> None:
        super()._check()
        if not (self.widths if self.kind == "dense" else self.channels):
            name = "widths" if self.kind == "dense" else "channels"
            raise InvalidParameterError(f"The '{name}' of Records must have at least one entry. Got ().")

    def check_parts(self, parts: Parts) -> None:
        if parts.n_classes:
            raise InvalidParameterError(
                "The adversary 'records' cannot be used for conditional models. Set conditional=False, or "
                "adversary=None."
            )
        if parts.fill_value is not None:
            raise InvalidParameterError(
                "The adversary 'records' cannot be used for records with missing values, which the decoder never "
                "makes. Leave fill_value unset, or set adversary=None."
            )

    def discriminator(self, chain: Chain, generator: Generator) -> nn.Module:
        is_normal = chain.bottleneck.normal_prior or any(penalty.normal_prior for penalty in chain.penalties)
        if not is_normal:
            raise InvalidParameterError(
                "The adversary 'records' needs codes that follow N(0, I), from which it decodes draws. Got "
                f"bottleneck='{chain.parts.bottleneck.name}'. Set bottleneck='gaussian' or penalties='mmd'."
            )
        if not _has_means_like_records(chain):
            raise InvalidParameterError(
                "The adversary 'records' needs a likelihood whose mean may look like a record. Got "
                f"likelihood='{chain.parts.likelihood.name}'. Set likelihood='normal', or 'bernoulli' without dynamic."
            )
        if self.kind == "dense":
            return DenseDiscriminator(math.prod(chain.shape), self.widths, generator)
        if len(chain.shape) not in {2, 3}:
            raise InvalidParameterError(
                f"The adversary 'records' with kind='convolutional' needs images. Got records of shape {chain.shape}. "
                "Set kind='dense'."
            )
        return ImageDiscriminator(chain.shape, self.channels, self.kernel, generator)

    def contest(self, chain: Chain, discriminator: nn.Module, forward: Forward, generator: Generator) -> Contest:
        assert isinstance(discriminator, Discriminator)
        x, x_hat = forward.x, chain.likelihood.mean(forward.parameters)
        z = torch.randn(forward.z.shape, generator=generator, dtype=x.dtype, device=x.device)
        new = chain.likelihood.mean(chain.decode(z))
        f, f_hat, f_new = discriminator.features(torch.cat([x, x_hat, new])).chunk(3)
        real, restored, made = (discriminator.score(features) for features in (f, f_hat, f_new))
        game = contest(self, discriminator, (x, real), (new, made), restored)
        apart: Tensor = (f.detach() - f_hat).square().flatten(1).sum(1)
        return Contest(game.cost + self.feature_weight / 2 * apart, game.loss, game.accuracy, game.spread)


def _has_means_like_records(chain: Chain) -> bool:
    """Return whether the mean of the likelihood is a differentiable function that can be equal to a record."""
    if chain.likelihood.draws or chain.likelihood.columns is not None:
        return False
    parameters = torch.zeros(1, *chain.likelihood.out_shape(chain.shape), device=chain.device, requires_grad=True)
    return chain.likelihood.mean(parameters).requires_grad
