"""What a likelihood is: what the decoder's output means, as a distribution over records."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Generator, Tensor, nn

from narrows.numerics.record_noise import Noise
from narrows.parts.part import Part

__all__ = ["Likelihood", "LikelihoodModule"]


class LikelihoodModule(nn.Module, ABC):
    """p(x | z), given the parameters that the decoder returns for it.

    The values of a record are independent given the code. With ``n_parameters`` = 1, parameters have the records' shape
    (n, *shape); with more, (n, *shape, n_parameters).

    Attributes
    ----------
    n_parameters : int
        Numbers that the decoder returns for each value.
    support : (float, float)
        Between which bounds values must be.
    mean_activation : str
        The activation function that makes parameters the mean, where there is one for each value.
    draws : bool
        Whether what is observed of a record is a draw.
    couples_records : bool
        Whether the probability of a record depends on the others of its batch, but for what `adapt` learns.
    """

    n_parameters: int = 1
    support: tuple[float, float] = (-math.inf, math.inf)
    mean_activation: str = "identity"
    draws: bool = False
    couples_records: bool = False

    @property
    def is_bounded(self) -> bool:
        """Whether there are values that the likelihood says nothing of."""
        return self.support != (-math.inf, math.inf)

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) of each record, shape (n,), in nats; normalised over what ``x`` can be."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the distribution's mean, shape (n, *shape): the reconstruction."""

    @abstractmethod
    def parameters_of(self, mean: Tensor) -> Tensor:
        """Return parameters under which the mean is this one, kept finite; the inverse of `mean`."""

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """Return what is observed of preprocessed records x (n, *shape): they themselves, or a draw."""
        return x

    @abstractmethod
    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Return one draw for each record, shape (n, *shape)."""

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set a learned scale to the most likely one of records, given as batches of (parameters, x).

        Most likelihoods have no scale to set.
        """

    def adapt(self, parameters: Tensor, x: Tensor) -> None:
        """Learn from a training batch what no gradient teaches; most have nothing to learn so."""

    def evidence(self, parameters: Tensor, x: Tensor) -> Tensor | None:
        """Return what `adapt_to` needs of each record, shape (n,); None where there is nothing to learn."""
        return None

    def adapt_to(self, evidence: Tensor) -> None:
        """Do as `adapt` does, for a batch that was cut into shards: from the evidence (n,) of all its records."""


class Likelihood(Part, ABC, axis="likelihood"):
    """Settings of a likelihood."""

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        """Return the likelihood for records of this shape."""
