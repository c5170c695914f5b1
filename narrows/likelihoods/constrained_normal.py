"""The normal likelihood whose scale is adjusted in training to reach a target quality."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.normal import NormalModule
from narrows.parts.options import Real, option

__all__ = ["USUAL_ERRORS", "ConstrainedNormal"]

# At the target mean squared error, σ² is this multiple of the error, as at the end of rate–distortion training. It is
# limited to a smallest and a largest multiple if the error is above or below the target.
USUAL_ERRORS, _LEAST, _MOST = 3.5, 2.0, 8.0
_MEMORY = 0.99  # the running error averages about a hundred steps


class ConstrainedNormal(Likelihood, name="constrained-normal"):
    """Squared error with a target quality: the normal likelihood with λ = 1 / 2σ² found in training.

    The loss of a chain, rate + λ · squared error, is the Lagrangian of "the lowest rate at this error". With e the
    running mean squared error and w = 10^(−psnr / 10) the target, in units where the data's range is 1, each training
    step sets σ² = 3.5 w · w / e, between 2 w and 8 w. That is more stable than a multiplier that integrates
    the deviation (Rezende and Viola 2018), which still changes when the learning rate is too low for the rate to
    follow. The codec corrects the remaining deviation from the target by its quantisation steps. In eval mode
    σ² = 3.5 w: this is the normal likelihood, and losses of all epochs and models with one target can be compared.

    Examples
    --------
    >>> ConstrainedNormal(psnr=26.5)
    ConstrainedNormal(psnr=26.5)
    """

    psnr: float = option(Real(0, 100), "target peak signal-to-noise ratio of the training data, in dB", default=25.0)

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _ConstrainedNormalModule(10 ** (-self.psnr / 10))


class _ConstrainedNormalModule(NormalModule):
    log_variance: Tensor
    log_error: Tensor

    def __init__(self, wanted: float) -> None:
        super().__init__()
        self.log_wanted = math.log(wanted)
        self.log_usual = self.log_wanted + math.log(USUAL_ERRORS)
        self.register_buffer("log_variance", torch.tensor(self.log_usual, dtype=torch.float64))
        self.register_buffer("log_error", torch.tensor(self.log_wanted, dtype=torch.float64))

    @property
    def log_scale(self) -> Tensor:
        return 0.5 * (self.log_variance if self.training else self.log_variance.new_tensor(self.log_usual))

    def adapt(self, parameters: Tensor, x: Tensor) -> None:
        self.adapt_to((x - parameters.detach()).square())

    def statistic(self, parameters: Tensor, x: Tensor) -> Tensor:
        return (x - parameters.detach()).square().flatten(1).mean(1)

    def adapt_to(self, statistics: Tensor) -> None:
        error = statistics.mean().clamp_min(1e-12).log().to(self.log_error.dtype)
        self.log_error.lerp_(error, 1 - _MEMORY)
        times = math.log(USUAL_ERRORS) + self.log_wanted - self.log_error
        self.log_variance.copy_(self.log_wanted + times.clamp(math.log(_LEAST), math.log(_MOST)))
