"""A chain that is trained against a discriminator, as a learner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Generator, Tensor, nn

from narrows.adversaries import Adversary, Contest
from narrows.chain import Chain, Loss
from narrows.numerics.batches import Labelled
from narrows.numerics.randomness import Stream, generator
from narrows.numerics.record_noise import is_training_step
from narrows.training.opponent import Opponent
from narrows.training.optimisers import Adam

__all__ = ["AdversarialChain", "AdversarialLoss"]

_BETA1, _BETA2 = 0.5, 0.99  # little momentum, since the other side moves (Radford et al. 2016)


@dataclass(frozen=True)
class AdversarialLoss(Loss):
    """The loss of the chain, whose penalty includes the cost of the contest."""

    contest: Contest | None = None


class AdversarialChain(nn.Module):
    """A chain and its discriminator.

    The weights that the learner's optimiser changes are those of the chain. Measurements have no contest, since the
    discriminator is no part of the model.

    Parameters
    ----------
    chain : Chain
        A chain with an adversary.
    seed : int
        Seed of the discriminator's initial weights.
    """

    def __init__(self, chain: Chain, seed: int) -> None:
        super().__init__()
        assert chain.parts.adversary is not None
        self.adversary: Adversary = chain.parts.adversary
        discriminator = self.adversary.discriminator(chain, generator(seed, Stream.DISCRIMINATOR_WEIGHTS))
        self.chain, self.discriminator = chain, discriminator.to(chain.device, chain.dtype)
        self.user_code = chain.user_code

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""
        return self.chain.shape

    @property
    def couples_records(self) -> bool:
        """True: the records of a batch are judged together."""
        return True

    def opponent(self) -> Opponent:
        """Return the discriminator with an optimiser that has taken no step."""
        optimiser = Adam(learning_rate=self.adversary.learning_rate, beta1=_BETA1, beta2=_BETA2)
        return Opponent.of(self.discriminator, optimiser, self.adversary.judges)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return the weights of the chain."""
        return self.chain.parameters(recurse)

    def loss(self, batch: Tensor | Labelled, generator: Generator | None = None) -> Loss:
        """Return the loss of the chain, in training with the cost of the contest; see `Chain.loss`."""
        loss = self.chain.loss(batch, generator)
        if generator is None or not is_training_step(self.chain, generator):
            return loss
        assert loss.forward is not None
        contest = self.adversary.contest(self.chain, self.discriminator, loss.forward, generator)
        terms = vars(replace(loss, penalty=loss.penalty + contest.cost))
        return AdversarialLoss(**terms, contest=contest)

    def shard_loss(self, batch: Tensor | Labelled, generator: Generator) -> Loss:
        """As in `narrows.training.Learner`; batches of this learner are not split."""
        return self.loss(batch, generator)

    def adapt(self, statistics: Tensor) -> None:
        """As in `narrows.training.Learner`."""
        self.chain.adapt(statistics)
