"""The categorical likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional

from narrows.errors import InvalidParameterError
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.point_estimate import PointEstimate
from narrows.likelihoods.whole_numbers import WholeNumbersModule
from narrows.numerics.batches import batch_size
from narrows.numerics.record_noise import Noise, RecordNoise
from narrows.parts.options import Choice, Integer, Real, option

__all__ = ["Categorical"]

_MOST = 2**15  # archives store the position of the largest score as a 16-bit integer
_BATCH = 4096


class Categorical(Likelihood, name="categorical"):
    """Values that are numbers 0 … K − 1 of categories: log p = Σ log softmax(a)_v, with K scores a for each value v.

    The categories have no order. The reconstruction is the category with the largest score. The decoder has K outputs
    for each value of a record.

    Examples
    --------
    >>> Categorical(n_categories=10)
    Categorical(n_categories=10)
    """

    outputs_are_values = False
    n_categories: int | str = option(
        Integer(2, _MOST) | Choice("auto"),
        "number of categories K, or 'auto' for one more than the largest number in the training data",
        default="auto",
    )
    substitution: float = option(
        Real(0, 1),
        "probability with which a value other than 0 is replaced by a random one in training, in what is encoded and "
        "in what is to be restored, so that the model also restores records unlike those of the training data",
        default=0.0,
    )

    def for_values(self, values: NDArray[Any]) -> Self:
        if self.n_categories != "auto":
            return self
        size = batch_size(values.shape[1:], _BATCH)
        highest = max(float(values[start : start + size].max()) for start in range(0, len(values), size))
        if not highest < _MOST:
            raise InvalidParameterError(
                f"The 'categorical' likelihood needs category numbers from 0 to at most {_MOST - 1:,}. "
                f"Got up to {highest:g}. Number the categories from 0, or set another likelihood."
            )
        return replace(self, n_categories=max(int(highest) + 1, 2))

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        if isinstance(self.n_categories, str):
            raise InvalidParameterError("The 'n_categories' of Categorical must be a number where no data are known.")
        return _CategoricalModule(shape, self.n_categories, self.substitution)


class _CategoricalModule(WholeNumbersModule):
    def __init__(self, shape: tuple[int, ...], n_categories: int, substitution: float) -> None:
        super().__init__(shape)
        self.substitution = substitution
        self.n_parameters, self.highest, self.lowest = n_categories, float(n_categories - 1), 0.0

    def point_estimate(self, shape: tuple[int, ...]) -> PointEstimate:
        return PointEstimate(lengths=np.array([self.n_parameters], np.int32))

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_of_values(parameters, x).flatten(1).sum(1)

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        codes = self.whole(x).long().clamp(0, self.n_parameters - 1)
        scores = parameters.reshape(-1, self.n_parameters)
        return -functional.cross_entropy(scores, codes.flatten(), reduction="none").reshape(x.shape)

    def sample_input(self, x: Tensor, noise: Noise) -> Tensor:
        if isinstance(noise, RecordNoise) or not (self.substitution and self.training):
            return x
        codes = self.whole(x)
        place, code = torch.rand(2, *x.shape, generator=noise, dtype=x.dtype, device=x.device)
        drawn = self.preprocessed(1 + (code * (self.n_parameters - 1)).floor().clamp_max(self.n_parameters - 2))
        return torch.where((codes > 0) & (place < self.substitution), drawn.to(x.dtype), x)

    def is_probability_of(self, x: Tensor) -> bool:
        return True

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the categories with the largest scores."""
        return self.preprocessed(parameters.argmax(-1))

    def parameters_of(self, mean: Tensor) -> Tensor:
        """Return scores that are largest for the category number that is nearest to the mean."""
        codes = torch.arange(self.n_parameters, dtype=torch.float64, device=mean.device)
        return (-0.5 * (self.exact(mean).unsqueeze(-1) - codes).square()).to(mean.dtype)

    def coordinates(self, parameters: Tensor) -> Tensor:
        """Return 2 √p, whose squared distances are those of the Fisher information."""
        return 2 * (0.5 * parameters.log_softmax(-1)).exp()

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        uniform = torch.rand(parameters.shape, generator=generator, dtype=parameters.dtype, device=parameters.device)
        gumbel = -(-uniform.clamp_min(torch.finfo(uniform.dtype).tiny).log()).log()
        return self.preprocessed((parameters + gumbel).argmax(-1))
