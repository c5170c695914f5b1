"""Mixtures of logistic distributions and of frequent values, for numbers of a column whose units are probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from narrows.numerics.column_scales import Levels, Scale

__all__ = ["NO_ATOM", "Mixture"]

NO_ATOM = 2.0**60
"""The place of an atom that a column does not have."""

_FLOOR = -7.0  # the smallest logarithm of a scale
_MOST = 1 << 17  # values that a mixture is fitted to
_NEVER = -1e9  # logit of an atom that is not there
_UNUSED = -20.0
_NARROWER = -0.7  # logarithm of the scale of parts of a standard logistic distribution


@dataclass(frozen=True)
class Mixture:
    """M logistic distributions of y, a scale of x, and atoms: intervals around frequent values of each column.

    The parameters (..., C, 3 M + A) of C columns are logits of the distributions, their locations and the logarithms of
    their scales, and the logits of A atoms.

    Attributes
    ----------
    n : int
        M.
    half : Tensor of shape (C,)
        Half of the width of an interval.
    atoms : Tensor of shape (C, A)
        The frequent values; `NO_ATOM` where a column has fewer.
    scale : Scale
        y as a function of x.
    """

    n: int
    half: Tensor
    atoms: Tensor
    scale: Scale

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return log weights of distributions and of atoms, locations and log scales."""
        logits, locations, scales = (parameters[..., i * self.n : (i + 1) * self.n] for i in range(3))
        of_atoms = parameters[..., 3 * self.n :]
        of_atoms = of_atoms.masked_fill(self.atoms == NO_ATOM, _NEVER)
        weights = torch.cat([logits, of_atoms], -1).log_softmax(-1)
        scales = _FLOOR + functional.softplus(scales - _FLOOR)
        return weights[..., : self.n], weights[..., self.n :], locations + self._start(locations), scales

    def _start(self, like: Tensor) -> Tensor:
        """Return the locations (M,) of distributions whose outputs are 0: those that start alike would stay alike."""
        start = torch.linspace(-1.5, 1.5, self.n, dtype=like.dtype, device=like.device)
        return start if self.n > 1 else torch.zeros_like(start)

    def log_mass(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return the logarithm of the probability of [x − half, x + half], for x (..., C).

        σ(b) − σ(a) = σ(b) σ(−a) (1 − e^(a − b)) has no cancellation.
        """
        weights, of_atoms, locations, log_scales = self._parts(parameters)
        half = self.half.to(x.dtype)
        low, high, width = self.scale.interval(x, self.half)
        narrowness = (-log_scales).exp()
        below, above = (one.unsqueeze(-1) - locations for one in (low, high))
        nats = functional.logsigmoid(above * narrowness) + functional.logsigmoid(-below * narrowness)
        nats = nats + (-torch.expm1(-width.unsqueeze(-1) * narrowness)).clamp_min(torch.finfo(x.dtype).tiny).log()
        there = (x.unsqueeze(-1) - self.atoms.to(x.dtype)).abs() <= half.unsqueeze(-1)
        return torch.logsumexp(torch.cat([weights + nats, of_atoms.masked_fill(~there, _NEVER)], -1), -1)

    def median(self, parameters: Tensor) -> Tensor:
        """Return the median of the locations and atoms, x (..., C)."""
        weights, of_atoms, locations, _ = self._parts(parameters)
        atoms = self._squashed_atoms(parameters).expand_as(of_atoms)
        places, order = torch.cat([locations, atoms], -1).sort(-1)
        below = torch.cat([weights, of_atoms], -1).exp().gather(-1, order).cumsum(-1)
        place = (below < 0.5).sum(-1, keepdim=True).clamp_max(places.shape[-1] - 1)
        return self.scale.inverse(places.gather(-1, place).squeeze(-1))

    def mean_location(self, parameters: Tensor) -> Tensor:
        """Return the mean of y, (..., C); it changes smoothly with all parameters."""
        weights, of_atoms, locations, _ = self._parts(parameters)
        return (weights.exp() * locations).sum(-1) + (of_atoms.exp() * self._squashed_atoms(parameters)).sum(-1)

    def _squashed_atoms(self, like: Tensor) -> Tensor:
        return self.scale.forward(self.atoms.T).T.to(like)

    def of_median(self, x: Tensor) -> Tensor:
        """Return parameters with the median x (..., C), whose atoms are not used."""
        locations = self.scale.forward(x).unsqueeze(-1) - self._start(x)
        nothing = torch.zeros_like(locations)
        unused = x.new_full((*x.shape, self.atoms.shape[1]), _UNUSED)
        return torch.cat([nothing, locations, nothing, unused], -1)

    def sample(self, parameters: Tensor, uniform: Tensor) -> Tensor:
        """Return draws of x (..., C), given uniform numbers of the shape (2, ..., C)."""
        weights, of_atoms, locations, log_scales = self._parts(parameters)
        below = torch.cat([weights, of_atoms], -1).exp().cumsum(-1)
        place = (below < uniform[0].unsqueeze(-1)).sum(-1, keepdim=True).clamp_max(below.shape[-1] - 1)
        every = torch.cat([locations, self._squashed_atoms(parameters).expand_as(of_atoms)], -1)
        tiny = torch.finfo(uniform.dtype).eps
        drawn = uniform[1].clamp(tiny, 1 - tiny).logit()
        spread = torch.cat([log_scales.exp(), torch.zeros_like(of_atoms)], -1).gather(-1, place).squeeze(-1)
        return self.scale.inverse(every.gather(-1, place).squeeze(-1) + spread * drawn)

    def marginal(self, x: Tensor, column: int) -> Tensor:
        """Return the parameters (3 M + A,) of one column that fit numbers x (n,): shares of atoms, and quantiles."""
        if isinstance(self.scale, Levels):
            return self._standard()
        x, half, atoms = x[:: max(-(-len(x) // _MOST), 1)].double(), float(self.half[column]), self.atoms[column]
        near = (x.unsqueeze(-1) - atoms.to(x)).abs() <= half
        of_atoms = (near.double().sum(0) + 0.5) / (len(x) + 1)
        rest = torch.asinh(x[~near.any(-1)])
        share = (len(rest) + 0.5) / (len(x) + 1) / self.n
        rest = rest if len(rest) else torch.asinh(x) if len(x) else x.new_zeros(1)
        levels = (torch.arange(self.n, dtype=torch.float64) + 0.5) / self.n
        locations = rest.quantile(levels.to(rest))
        broad = (rest.std(correction=0) / self.n**0.5).clamp_min(1e-2).log()
        raw = _FLOOR + torch.expm1((broad - _FLOOR).clamp_min(1e-2)).log()
        logits = torch.full_like(locations, share).log()
        return torch.cat([logits, locations - self._start(locations), raw.expand(self.n), of_atoms.log()])

    def _standard(self) -> Tensor:
        """Return the parameters (3 M + A,) of nearly a standard logistic distribution: half itself, half its parts."""
        n_parts = max(self.n - 1, 1)
        levels = (torch.arange(self.n - 1, dtype=torch.float64) + 0.5) / n_parts
        locations = functional.pad(levels.logit(), (1, 0))
        logits, scales = torch.zeros_like(locations), torch.full_like(locations, _NARROWER)
        logits[0], scales[0] = math.log(n_parts), 0.0
        raw = _FLOOR + torch.expm1(scales - _FLOOR).log()
        unused = locations.new_full((self.atoms.shape[1],), _UNUSED)
        return torch.cat([logits, locations - self._start(locations), raw, unused])
