"""Mixtures of logistic distributions on intervals: for numbers of a column, whose units become probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["log_mass", "mean_location", "median", "of_median", "sample", "squashed", "unsquashed"]

_FLOOR = -7.0  # the smallest logarithm of a scale
_NARROW = 0.01  # half of a width up to which an interval is as wide as its tangent says


def squashed(x: Tensor) -> Tensor:
    """Return asinh x, in which far values are near: heavy tails become moderate ones."""
    return torch.asinh(x)


def unsquashed(t: Tensor) -> Tensor:
    """Return sinh t; the inverse of `squashed`."""
    return torch.sinh(t)


def _parts(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log weights, locations and log scales, each (..., M), of parameters (..., 3 M)."""
    weights, locations, scales = parameters.reshape(*parameters.shape[:-1], 3, -1).unbind(-2)
    # Components that all start alike would stay alike.
    start = torch.linspace(-1.5, 1.5, weights.shape[-1], dtype=parameters.dtype, device=parameters.device)
    start = start if weights.shape[-1] > 1 else torch.zeros_like(start)
    return weights.log_softmax(-1), locations + start, _FLOOR + functional.softplus(scales - _FLOOR)


def log_mass(parameters: Tensor, x: Tensor, half: Tensor) -> Tensor:
    """Return the logarithm of the probability of [x − half, x + half], in the shape of x.

    The mixture is of asinh x. σ(b) − σ(a) = σ(b) σ(−a) (1 − e^(a − b)) has no cancellation.

    Parameters
    ----------
    parameters : Tensor of shape (..., 3 M)
    x : Tensor of shape (...)
    half : Tensor that can be broadcast to that shape
    """
    weights, locations, log_scales = _parts(parameters)
    low, high = squashed(x - half), squashed(x + half)
    width = torch.where(half < _NARROW, 2 * half * (1 + x.square()).rsqrt(), high - low).unsqueeze(-1)
    narrowness = (-log_scales).exp()
    below, above = (one.unsqueeze(-1) - locations for one in (low, high))
    nats = functional.logsigmoid(above * narrowness) + functional.logsigmoid(-below * narrowness)
    nats = nats + (-torch.expm1(-width * narrowness)).clamp_min(torch.finfo(x.dtype).tiny).log()
    return torch.logsumexp(weights + nats, -1)


def median(parameters: Tensor) -> Tensor:
    """Return the location of the component that holds the median of the locations, x of the shape (...)."""
    weights, locations, _ = _parts(parameters)
    ordered, order = locations.sort(-1)
    below = weights.exp().gather(-1, order).cumsum(-1)
    place = (below < 0.5).sum(-1, keepdim=True).clamp_max(locations.shape[-1] - 1)
    return unsquashed(ordered.gather(-1, place).squeeze(-1))


def mean_location(parameters: Tensor) -> Tensor:
    """Return the mean of asinh x, shape (...); it changes smoothly with all parameters."""
    weights, locations, _ = _parts(parameters)
    return (weights.exp() * locations).sum(-1)


def of_median(x: Tensor, n_components: int) -> Tensor:
    """Return parameters (..., 3 M) of a mixture with the median x, all of whose components are there."""
    start = torch.linspace(-1.5, 1.5, n_components, dtype=x.dtype, device=x.device)
    start = start if n_components > 1 else torch.zeros_like(start)
    locations = squashed(x).unsqueeze(-1) - start
    nothing = torch.zeros_like(locations)
    return torch.stack([nothing, locations, nothing], -2).flatten(-2)


def sample(parameters: Tensor, uniform: Tensor) -> Tensor:
    """Return draws of x of the shape (...), given uniform numbers of the shape (2, ...)."""
    weights, locations, log_scales = _parts(parameters)
    below = weights.exp().cumsum(-1)
    place = (below < uniform[0].unsqueeze(-1)).sum(-1, keepdim=True).clamp_max(locations.shape[-1] - 1)
    location, log_scale = (one.gather(-1, place).squeeze(-1) for one in (locations, log_scales))
    drawn = uniform[1].clamp(torch.finfo(uniform.dtype).eps, 1 - torch.finfo(uniform.dtype).eps).logit()
    return unsquashed(location + log_scale.exp() * drawn)
