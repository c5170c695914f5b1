"""The contract of adversaries, which train a discriminator against the chain (Goodfellow et al. 2014).

A discriminator D scores samples: high if they are real, low if the chain has made them. Both sides learn from the same
forward pass. With s⁺(a) = log(1 + eᵃ),

    loss of the discriminator  =  s⁺(−D(real)) + s⁺(D(made)) + γ/2 ‖∂D(real)/∂real‖²
    cost of the chain          =  weight · s⁺(−D(made))

The cost is the non-saturating one. The last term, of Mescheder et al. (2018), makes such games converge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.numerics.floats import wide
from narrows.parts.loss_term import LossTerm
from narrows.parts.options import Real, option

if TYPE_CHECKING:
    from narrows.chain import Chain

__all__ = ["Adversary", "Contest", "Forward", "contest"]

_PENALISED = 4  # the gradient of one in so many real samples is penalised, since it takes as long as all the rest


@dataclass(frozen=True)
class Forward:
    """The tensors of a forward pass of n records, with their graph.

    Attributes
    ----------
    x : Tensor of shape (n, *shape)
        The preprocessed records, without corruption.
    z : Tensor of shape (n, *z_shape)
        The codes.
    parameters : Tensor of shape (n, *out_shape)
        The output of the decoder.
    """

    x: Tensor
    z: Tensor
    parameters: Tensor


@dataclass(frozen=True)
class Contest:
    """Both sides of a step of training.

    Attributes
    ----------
    cost : Tensor of shape (n,)
        What is added to the loss of each record, in nats.
    loss : Tensor of shape (n,)
        The loss of the discriminator. Its gradient is for the weights of the discriminator alone.
    accuracy : Tensor of shape ()
        The share of the samples that the discriminator tells right.
    spread : Tensor of shape ()
        The variance of the samples that the chain has made, divided by that of the real ones; both are summed over all
        values.
    """

    cost: Tensor
    loss: Tensor
    accuracy: Tensor
    spread: Tensor


class Adversary(LossTerm, ABC, axis="adversary"):
    """Settings of a discriminator and of its training.

    Attributes
    ----------
    judges : str
        What it judges, in the plural, for messages.
    """

    judges: ClassVar[str]

    weight: float = option(Real(0, open_low=True), "nats for each unit of the adversarial cost", default=1.0)
    gradient_penalty: float = option(
        Real(0), "γ, the weight of the squared gradient at real samples in the discriminator's loss", default=1.0
    )
    learning_rate: float = option(
        Real(0, open_low=True),
        "learning rate of the discriminator's optimiser (adam) at the peak of the schedule",
        default=5e-4,
    )

    @abstractmethod
    def discriminator(self, chain: Chain, generator: Generator) -> nn.Module:
        """Return the discriminator of a chain, with random weights from the generator, on the CPU.

        Raises
        ------
        InvalidParameterError
            If there is none for the shape or the likelihood of the chain.
        """

    @abstractmethod
    def contest(self, chain: Chain, discriminator: nn.Module, forward: Forward, generator: Generator) -> Contest:
        """Return both sides of a step of training.

        Parameters
        ----------
        chain : Chain
            The chain under training.
        discriminator : Module
            The result of `discriminator`, on the device of the chain.
        forward : Forward
            The forward pass of a batch through the chain.
        generator : Generator
            Source of all randomness.
        """


def contest(
    part: Adversary,
    score: nn.Module,
    real: tuple[Tensor, Tensor],
    made: tuple[Tensor, Tensor],
    more_made: Tensor | None,
) -> Contest:
    """Return the contest of scored samples.

    Parameters
    ----------
    part : Adversary
        The settings.
    score : Module
        Maps samples (n, ...) to scores (n,).
    real, made : pair of Tensor
        Samples (n, ...) and their scores (n,).
    more_made : Tensor of shape (n,) or None
        Scores of further samples that the chain has made. They count in the loss of the discriminator only.
    """
    of_real, of_made = real[1], made[1]
    every_made = of_made if more_made is None else torch.cat([of_made, more_made])
    against = functional.softplus(every_made).reshape(-1, len(of_made)).mean(0)
    loss = functional.softplus(-of_real) + against
    if part.gradient_penalty:
        loss = loss + part.gradient_penalty / 2 * _squared_gradient(score, real[0])
    right = ((of_real > 0).float().mean() + (every_made < 0).float().mean()) / 2
    spread = _variance(made[0]) / _variance(real[0]).clamp_min(1e-30)
    return Contest(part.weight * functional.softplus(-of_made), loss, right.detach(), spread)


def _squared_gradient(score: nn.Module, real: Tensor) -> Tensor:
    """Return the mean of ‖∂D/∂x‖² over the first of some real samples, in random order, shape ()."""
    with torch.enable_grad():
        few = real[: -(-len(real) // _PENALISED)].detach().requires_grad_()
        (slope,) = torch.autograd.grad(score(few).sum(), few, create_graph=True)
    return slope.flatten(1).square().sum(1).mean()


def _variance(samples: Tensor) -> Tensor:
    """Return the variance of samples (n, ...), summed over their values, shape ()."""
    return wide(samples.detach().flatten(1)).var(0, correction=0).sum()
