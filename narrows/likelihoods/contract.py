"""The contract of likelihoods: distributions of records. The decoder outputs their parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from narrows.likelihoods.point_estimate import PointEstimate
from narrows.numerics.column_scales import Levels
from narrows.numerics.record_noise import Noise
from narrows.parts.part import Part

__all__ = ["Likelihood", "LikelihoodModule"]

_ROUNDING = 1e-6  # tolerance of scaled values: in float32 a value just above 1 is 1


class LikelihoodModule(nn.Module, ABC):
    """The distribution p(x | z), given its parameters, the output of the decoder.

    The values of a record are independent given the code. The likelihood determines the shape of the parameters
    (`out_shape`) and which of them belong to which value. Most likelihoods have one or several for each value.

    Attributes
    ----------
    n_parameters : int
        Number of parameters for each value. If there are several, they are the last axis.
    support : (float, float)
        Bounds of the values.
    mean_activation : str
        The activation function that maps parameters to the mean, for likelihoods with one parameter for each value.
    needs_units : bool
        Whether the distribution depends on how preprocessed values are related to those of the records; see
        `fit_units`.
    draws : bool
        Whether the observation of a record is drawn at random; see `sample_input`.
    couples_records : bool
        Whether the probability of a record depends on the other records of its batch, apart from updates by `adapt`.
    columns : tuple of int or None
        For rows of a table: the number of categories of each column, 0 for numbers. Missing cells are then
        `narrows.numerics.absent.ABSENT`. None: other records.
    has_levels : bool
        Whether the numbers of these rows have a scale that is measured, see `fit_columns`.
    """

    n_parameters: int = 1
    support: tuple[float, float] = (-math.inf, math.inf)
    mean_activation: str = "identity"
    needs_units: bool = False
    draws: bool = False
    couples_records: bool = False
    columns: tuple[int, ...] | None = None
    has_levels: bool = False

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the parameters of one record of the given shape."""
        return shape if self.n_parameters == 1 else (*shape, self.n_parameters)

    def point_estimate(self, shape: tuple[int, ...]) -> PointEstimate:
        """Return how `mean` follows from the parameters of a record of the given shape; archives compute it."""
        return PointEstimate(activation=self.mean_activation)

    @property
    def is_bounded(self) -> bool:
        """Whether there are values that the likelihood does not support."""
        return self.support != (-math.inf, math.inf)

    @property
    def domain(self) -> str:
        """The values that the likelihood supports, for messages."""
        return f"preprocessed values in [{self.support[0]:g}, {self.support[1]:g}]"

    def is_supported(self, x: Tensor) -> Tensor:
        """Return for each preprocessed value of x, of shape ``shape`` or (n, *shape), whether it is in the domain."""
        low, high = self.support
        return (x >= low - _ROUNDING) & (x <= high + _ROUNDING)

    def set_dtype(self, dtype: np.dtype) -> None:
        """Adapt to the dtype of the records; by default it does not matter."""

    def fit_units(self, offset: Tensor, unit: Tensor) -> None:
        """Store how preprocessed values x are related to those of the records, x · unit + offset, if this is needed.

        Parameters
        ----------
        offset, unit : Tensor of shape ``shape``, float64
            The unit of values that are constant in the training data is 0.
        """

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) of each record, shape (n,), in nats; the distribution is normalised."""

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p of each value, shape (n, *shape), whose sum over a record is `log_prob`.

        It is needed for scores of outliers and for records with missing values. Chains refuse the latter before if
        `takes_missing` is false.

        Raises
        ------
        NotImplementedError
            If the likelihood has no density of single values.
        """
        raise NotImplementedError

    @property
    def has_gradient(self) -> bool:
        """Whether `loss_and_gradient` is defined, and nothing else of the likelihood is trained."""
        return False

    def loss_and_gradient(self, parameters: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of −`log_prob` of records, shape (), and its gradient by the parameters, without autograd.

        Parameters
        ----------
        parameters : Tensor of shape (n, values)
            Parameters, one for each value; the gradient may replace them.
        x : Tensor of shape (n, values)
            Preprocessed records, not changed.

        Raises
        ------
        NotImplementedError
            If `has_gradient` is false.
        """
        raise NotImplementedError

    @property
    def has_values(self) -> bool:
        """Whether `log_prob_of_values` is defined."""
        return type(self).log_prob_of_values is not LikelihoodModule.log_prob_of_values

    @property
    def takes_missing(self) -> bool:
        """Whether values of records may be missing."""
        return self.has_values

    def is_probability_of(self, x: Tensor) -> bool:
        """Return whether `log_prob` of observations x (n, *shape) is a probability, not a density."""
        return False

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the distribution's mean, median or mode, shape (n, *shape): the reconstruction."""

    @abstractmethod
    def parameters_of(self, mean: Tensor) -> Tensor:
        """Return finite parameters of a distribution with this mean; the inverse of `mean`."""

    def coordinates(self, parameters: Tensor) -> Tensor:
        """Return coordinates of the distribution, (n, ...), whose squared distances measure errors of the parameters.

        They are differentiable. By default they are the mean. The codec derives from them how finely it quantises.
        """
        return self.mean(parameters)

    def sample_input(self, x: Tensor, noise: Noise) -> Tensor:
        """Return observations of preprocessed records x (n, *shape): the records themselves, or random draws."""
        return x

    @abstractmethod
    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Return one draw for each record, shape (n, *shape)."""

    def fit_columns(self, x: Tensor) -> Levels | None:
        """Measure the scale of the numbers of a table on preprocessed rows (n, *shape), and return it; None: no such.

        The encoder then gets numbers on this scale.
        """
        return None

    def marginals(self, x: Tensor) -> Tensor:
        """Return the parameters of each column's own distribution over preprocessed rows (n, *shape) of a table.

        Raises
        ------
        NotImplementedError
            If the records are no rows of a table.
        """
        raise NotImplementedError

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set a learned scale to its maximum-likelihood value for records, given as batches of (parameters, x).

        By default there is no learned scale.
        """

    def adapt(self, parameters: Tensor, x: Tensor) -> None:
        """Update quantities that are learned without gradients from a training batch; by default there are none."""

    def statistic(self, parameters: Tensor, x: Tensor) -> Tensor | None:
        """Return the statistic of each record that `adapt_to` needs, shape (n,); None if it needs none."""
        return None

    def adapt_to(self, statistics: Tensor) -> None:
        """Do the same as `adapt` for a batch that was split into shards, given the statistics (n,) of its records."""


class Likelihood(Part, ABC, axis="likelihood"):
    """Settings of a likelihood."""

    outputs_are_values: ClassVar[bool] = True
    """Whether the decoder has one output for each value, its mean, so that an output activation can limit it."""

    def for_values(self, values: NDArray[Any]) -> Self:
        """Return the settings with "auto" replaced by what fits training records (n, *shape), in their stored dtype."""
        return self

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        """Return the likelihood for records of this shape."""
