"""The contract of likelihoods: distributions of records. The decoder outputs their parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Generator, Tensor, nn

from narrows.numerics.record_noise import Noise
from narrows.parts.part import Part

__all__ = ["Likelihood", "LikelihoodModule"]


class LikelihoodModule(nn.Module, ABC):
    """The distribution p(x | z), given its parameters, the output of the decoder.

    The values of a record are independent given the code. The likelihood determines the shape of the parameters: most
    likelihoods have one or several parameters for each value.

    Attributes
    ----------
    n_parameters : int
        Number of parameters for each value. If there are several, they are the last axis.
    support : (float, float)
        Bounds of the values.
    mean_activation : str
        The activation function that maps parameters to the mean, for likelihoods with one parameter for each value.
        Archives restore the mean.
    draws : bool
        Whether the observation of a record is drawn at random; see `sample_input`.
    couples_records : bool
        Whether the probability of a record depends on the other records of its batch, apart from updates by `adapt`.
    """

    n_parameters: int = 1
    support: tuple[float, float] = (-math.inf, math.inf)
    mean_activation: str = "identity"
    draws: bool = False
    couples_records: bool = False

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the parameters of one record of the given shape."""
        return shape if self.n_parameters == 1 else (*shape, self.n_parameters)

    @property
    def is_bounded(self) -> bool:
        """Whether there are values outside the support."""
        return self.support != (-math.inf, math.inf)

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) of each record, shape (n,), in nats; the distribution is normalised."""

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p of each value, shape (n, *shape), whose sum over a record is `log_prob`.

        It is needed only for records with missing values.
        """
        raise NotImplementedError

    @property
    def has_values(self) -> bool:
        """Whether `log_prob_of_values` is defined."""
        return type(self).log_prob_of_values is not LikelihoodModule.log_prob_of_values

    def is_probability_of(self, x: Tensor) -> bool:
        """Return whether `log_prob` of observations x (n, *shape) is a probability, not a density."""
        return False

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the distribution's mean, shape (n, *shape): the reconstruction."""

    @abstractmethod
    def parameters_of(self, mean: Tensor) -> Tensor:
        """Return finite parameters of a distribution with this mean; the inverse of `mean`."""

    def sample_input(self, x: Tensor, noise: Noise) -> Tensor:
        """Return observations of preprocessed records x (n, *shape): the records themselves, or random draws."""
        return x

    @abstractmethod
    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Return one draw for each record, shape (n, *shape)."""

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set a learned scale to its maximum-likelihood value for records, given as batches of (parameters, x).

        By default there is no learned scale.
        """

    def adapt(self, parameters: Tensor, x: Tensor) -> None:
        """Update quantities that are learned without gradients from a training batch; by default there are none."""

    def evidence(self, parameters: Tensor, x: Tensor) -> Tensor | None:
        """Return the input of `adapt_to` for each record, shape (n,); None if it needs none."""
        return None

    def adapt_to(self, evidence: Tensor) -> None:
        """Do the same as `adapt` for a batch that was split into shards, given the evidence (n,) of all its records."""


class Likelihood(Part, ABC, axis="likelihood"):
    """Settings of a likelihood."""

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        """Return the likelihood for records of this shape."""
