"""Scales on which the numbers of a table are learned: strictly increasing functions of each column, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["N_KNOTS", "Asinh", "Levels", "Scale", "knots_of"]

_FARTHEST = 40.0  # asinh of a number, whose square is then a float
_NARROW = 0.01  # half of a width up to which an interval is as wide as its tangent says
_TAIL = 4.0  # logits for each unit of asinh x outside the knots
_FREQUENT, _REST = 64, 96  # frequent values of a column; quantiles of the others, or these if they are fewer
N_KNOTS = 2 * (_FREQUENT + _REST)
"""The number of knots of each column."""
_EMPTY = 0.1  # count of each interval before any value


class Scale(Protocol):
    """A strictly increasing function y of numbers x (..., C), for each of C columns."""

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., C) of x (..., C)."""

    def inverse(self, y: Tensor) -> Tensor:
        """Return x (..., C) of y (..., C)."""

    def interval(self, x: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ends of the interval x ± half in y, and its width in y, (..., C) each; ``half`` is (C,)."""


class Asinh:
    """y = asinh x for all columns."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.asinh(x)

    def inverse(self, y: Tensor) -> Tensor:
        return torch.sinh(y.clamp(-_FARTHEST, _FARTHEST))

    def interval(self, x: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = half.to(x.dtype)
        low, high = torch.asinh(x - half), torch.asinh(x + half)
        return low, high, torch.where(half < _NARROW, 2 * half * (1 + x.square()).rsqrt(), high - low)


@dataclass(frozen=True)
class Levels:
    """y = logit F(x), where F(x) is the share of the column's training values up to x.

    It is linear between knots, and in asinh x outside. The column's own distribution is then logistic with location 0
    and scale 1, however heavy its tails are, and however frequent some of its values.

    Attributes
    ----------
    knots, levels : Tensor of shape (C, K), float64
        x and y of the knots, increasing; the last ones may be equal.
    """

    knots: Tensor
    levels: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self._levels_of(x).to(x.dtype)

    def inverse(self, y: Tensor) -> Tensor:
        flat = _by_column(y)
        first, last = self.levels[:, :1], self.levels[:, -1:]
        below = torch.asinh(self.knots[:, :1]) + (flat - first) / _TAIL
        above = torch.asinh(self.knots[:, -1:]) + (flat - last) / _TAIL
        outside = torch.sinh(torch.where(flat < first, below, above).clamp(-_FARTHEST, _FARTHEST))
        inside = _interpolated(flat, self.levels, self.knots)
        return torch.where((flat < first) | (flat > last), outside, inside).T.reshape(y.shape).to(y.dtype)

    def interval(self, x: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = (self._levels_of(x.double() + sign * half.double()) for sign in (-1, 1))
        return low.to(x.dtype), high.to(x.dtype), (high - low).to(x.dtype)

    def _levels_of(self, x: Tensor) -> Tensor:
        flat = _by_column(x)
        first, last = self.knots[:, :1], self.knots[:, -1:]
        far = torch.asinh(flat)
        below = self.levels[:, :1] + _TAIL * (far - torch.asinh(first))
        above = self.levels[:, -1:] + _TAIL * (far - torch.asinh(last))
        outside = torch.where(flat < first, below, above)
        inside = _interpolated(flat, self.knots, self.levels)
        return torch.where((flat < first) | (flat > last), outside, inside).T.reshape(x.shape)


def _by_column(x: Tensor) -> Tensor:
    """Return x (..., C) as (C, n) in float64."""
    return x.double().reshape(-1, x.shape[-1]).T.contiguous()


def _interpolated(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Return what lies between the values (C, K) of the knots (C, K) next to x (C, n)."""
    place = torch.searchsorted(knots, x).clamp(1, knots.shape[1] - 1)
    x0, x1 = knots.gather(1, place - 1), knots.gather(1, place)
    y0, y1 = values.gather(1, place - 1), values.gather(1, place)
    share = torch.where(x1 > x0, (x - x0) / (x1 - x0).clamp_min(1e-300), 0.0)
    return y0 + share.clamp(0, 1) * (y1 - y0)


def knots_of(known: NDArray[np.float64], half: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the knots and levels (K,) of `Levels` for the values (n,) of a column.

    Frequent values v have an interval of their own, from v − half to v + half. All others have if they are few;
    otherwise the intervals end at their quantiles.

    Examples
    --------
    >>> knots, levels = knots_of(np.array([0.0, 0.0, 0.0, 2.0]), 0.5)
    >>> knots[:5].tolist(), (1 / (1 + np.exp(-levels[:5]))).round(2).tolist()
    ([-0.5, 0.5, 1.5, 2.5, 2.5], [0.09, 0.68, 0.7, 0.91, 0.91])
    """
    known = np.sort(known) if len(known) else np.zeros(1)
    values, times = np.unique(known, return_counts=True)
    order = np.argsort(-times, kind="stable")[:_FREQUENT]
    own = values[order[times[order] * 2 * _FREQUENT >= len(known)]]
    rest = known[~np.isin(known, own)]
    others, ends = np.unique(rest), np.zeros(0)
    if len(others) > _REST:
        quantiles = np.quantile(rest, np.linspace(0, 1, _REST), method="nearest")
        others, times = np.unique(quantiles, return_counts=True)
        ends, others = others + half, others[times > 1]
    own = np.concatenate([own, others])
    edges = np.unique(np.concatenate([values[:1] - half, own - half, own + half, ends, values[-1:] + half]))
    edges = edges[np.diff(edges, prepend=-np.inf) > half / 4][:N_KNOTS]  # those of neighbours are one
    counts = np.searchsorted(known, edges, side="right") + _EMPTY * np.arange(len(edges))
    share = (counts + 0.5) / (counts[-1] + 1)
    levels = np.log(share) - np.log1p(-share)
    return np.pad(edges, (0, N_KNOTS - len(edges)), mode="edge"), np.pad(levels, (0, N_KNOTS - len(edges)), mode="edge")
