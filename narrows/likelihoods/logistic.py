"""The discretised logistic likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.point_estimate import PointEstimate
from narrows.likelihoods.scale import Scale
from narrows.likelihoods.whole_numbers import WholeNumbersModule

__all__ = ["Logistic"]

# A scale stays above e^-3 of the distance of two whole numbers, where a number has a probability of 0.9999.
_FLOOR = -3.0
_OUTPUTS = 2  # for each value: the location, and the logarithm of the scale relative to the scale of all values


class Logistic(Likelihood, name="logistic"):
    """Whole numbers with a location and a scale of their own: p(v) = σ((v + ½ − μ) / s) − σ((v − ½ − μ) / s).

    The mass of a logistic distribution on the unit interval around v (Salimans, Karpathy, Chen and Kingma 2017,
    equation 2, with one component). The decoder has two outputs for each value, the location μ in preprocessed units
    and the logarithm of the scale; a learned scale of all values is added to the latter. The reconstruction is μ. The
    mass beyond the range of the training data's dtype belongs to its ends, if that has at most 16 bits.

    Examples
    --------
    >>> Logistic()
    Logistic()
    """

    outputs_are_values = False

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _LogisticModule(shape)


class _LogisticModule(WholeNumbersModule):
    n_parameters = _OUTPUTS

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.scale = Scale("learned", of_mean=1.0)

    def set_dtype(self, dtype: np.dtype) -> None:
        if dtype == np.bool_:
            self.lowest, self.highest = 0.0, 1.0
        elif dtype.kind in "iu" and dtype.itemsize <= 2:
            self.lowest, self.highest = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)

    def point_estimate(self, shape: tuple[int, ...]) -> PointEstimate:
        return PointEstimate(positions=np.arange(math.prod(shape), dtype=np.int64) * _OUTPUTS)

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        # The mean of |x − μ| is 2 s log 2.
        self.scale.fit(((x - p[..., 0]).abs() for p, x in batches), lambda mean: mean / (2 * math.log(2)))

    def log_scale(self, parameters: Tensor) -> Tensor:
        """Return the logarithm of s, in whole numbers, shape (n, *shape)."""
        wanted = parameters[..., 1] + self.scale.log.to(parameters.dtype) + self.unit.log().to(parameters.dtype)
        return _FLOOR + functional.softplus(wanted - _FLOOR)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_of_values(parameters, x).flatten(1).sum(1)

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        narrowness = (-self.log_scale(parameters)).exp()
        away = (x - parameters[..., 0]) * self.unit.to(parameters.dtype)
        above, below = (away + 0.5) * narrowness, (away - 0.5) * narrowness
        # σ(b) − σ(a) = σ(b) σ(−a) (1 − e^(a − b)), without cancellation.
        nats = functional.logsigmoid(above) + functional.logsigmoid(-below) + (-torch.expm1(-narrowness)).log()
        if math.isfinite(self.highest):
            v = self.whole(x)
            nats = torch.where(v <= self.lowest, functional.logsigmoid(above), nats)
            nats = torch.where(v >= self.highest, functional.logsigmoid(-below), nats)
        return nats

    def is_probability_of(self, x: Tensor) -> bool:
        return True

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the locations."""
        return parameters[..., 0]

    def parameters_of(self, mean: Tensor) -> Tensor:
        return torch.stack([mean, torch.zeros_like(mean)], -1)

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        location = parameters[..., 0]
        uniform = torch.rand(location.shape, generator=generator, dtype=location.dtype, device=location.device)
        drawn = self.log_scale(parameters).exp() * uniform.clamp(torch.finfo(uniform.dtype).eps).logit()
        whole = (self.exact(location) + drawn).round().clamp(self.lowest, self.highest)
        return self.preprocessed(whole)
