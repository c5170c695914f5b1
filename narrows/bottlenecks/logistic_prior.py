"""The prior of a rounded bottleneck: a logistic distribution for each whole number, and the same in integers."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.bottlenecks.spread import spread
from narrows.codec.entropy_models import Autoregressive, EntropyModel, Independent, Predictor
from narrows.codec.entropy_models.coarse_predictor import coarser_predictor
from narrows.codec.entropy_models.predictor import NEIGHBOURS

__all__ = ["LogisticPrior"]

# The scale of a logistic stays within e^±5 symbols: narrower ones are certain, wider ones too expensive for a file.
_LOG_SCALE = 5.0
_SMALLEST_PROBABILITY = 1e-9
_FIRST_LOG_SCALE = 0.5
_FIRST_WEIGHT = 0.15

_PRECISION = 12
_PHASES = 8
# Scale k of the tables is 2^((k - 16) / 4) symbols: from a sixteenth to 32.
_SCALES, _UNIT_SCALE, _PER_OCTAVE = 37, 16, 4
_LARGEST_WEIGHT = 32_767
_LARGEST_SHIFT = 20


class LogisticPrior(nn.Module):
    """A logistic distribution for each latent dimension; given those before it if ``n_hidden`` > 0.

    A code of shape (C, H, W) is a map of H · W places with C channels, any other is one place with all its numbers as
    channels. Places come row by row, channels in order within a place. For channel c at place p

        a = max(0, b_p + Σ_neighbours s v + Σ_{j<c} s_j w_j)
        mean = μ_pc + m_c · a,   log-scale = l_pc + k_c · a

    with the neighbours above left, above, above right and left, zero beyond the edge.
    """

    def __init__(self, shape: tuple[int, ...], n_hidden: int) -> None:
        super().__init__()
        n_channels, self.height, self.width = shape if len(shape) == 3 else (math.prod(shape), 1, 1)
        self.n_channels, self.n_hidden = n_channels, n_hidden
        n_places = self.height * self.width
        self.mean = nn.Parameter(torch.zeros(n_places, n_channels))
        self.log_scale = nn.Parameter(torch.full((n_places, n_channels), _FIRST_LOG_SCALE))
        if n_hidden:
            self.weights_in = nn.Parameter(spread(n_channels, n_hidden, scale=_FIRST_WEIGHT))
            self.weights_out = nn.Parameter(torch.zeros(n_channels, 2, n_hidden))
            self.bias = nn.Parameter(torch.zeros(n_places, n_hidden))
            n_near = len(NEIGHBOURS) * n_channels * self.is_map
            self.weights_near = nn.Parameter(spread(n_near, n_hidden, scale=_FIRST_WEIGHT))

    @property
    def is_map(self) -> bool:
        """Whether codes are maps with neighbours."""
        return self.height * self.width > 1

    def moments(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-scale of each number of codes s (n, *shape), each (n, places, channels)."""
        s = self._by_place(s)
        if not self.n_hidden:
            return self.mean.expand_as(s), self.log_scale.expand_as(s)
        # Few large products: all channels read all numbers of their place, and zero weights keep them from later ones.
        before = self._where_earlier().unsqueeze(-1) * self.weights_in.unsqueeze(1)  # (channels, channels, hidden)
        start = self.bias + self._near(s) @ self.weights_near if self.is_map else self.bias
        hidden = torch.relu((s @ before.flatten(1)).view(*s.shape, self.n_hidden) + start.unsqueeze(-2))
        own = torch.eye(self.n_channels, dtype=s.dtype, device=s.device)[:, None, :, None]
        out = hidden.flatten(2) @ (own * self.weights_out.transpose(1, 2).unsqueeze(2)).flatten(2).flatten(0, 1)
        out = out.view(*s.shape, 2)
        return self.mean + out[..., 0], self.log_scale + out[..., 1]

    def nats(self, s: Tensor) -> Tensor:
        """Return −log P of codes s (n, *shape), the mass on the unit interval around each number; shape (n,)."""
        mean, log_scale = self.moments(s)
        narrowness = torch.exp(-log_scale.clamp(-_LOG_SCALE, _LOG_SCALE))
        distance = (self._by_place(s) - mean).abs()  # the logistic is symmetric, and its lower tail keeps its digits
        mass = torch.sigmoid((0.5 - distance) * narrowness) - torch.sigmoid((-0.5 - distance) * narrowness)
        return -mass.clamp_min(_SMALLEST_PROBABILITY).log().flatten(1).sum(1)

    def freeze(self, symbols: NDArray[np.int32], step: float = 1.0) -> EntropyModel:
        """Return the prior in whole numbers, with tables counted on training symbols (n, n_symbols).

        The prior was trained on codes in steps of 1; symbols may count steps of another width.
        """
        if not self.n_hidden:
            return Independent.fit(symbols, precision=_PRECISION)
        return _model(coarser_predictor(_predictor(self, step), symbols, _model), symbols)

    def _where_earlier(self) -> Tensor:
        """Return 1 where the channel of the row comes before that of the column, otherwise 0."""
        return torch.ones(self.n_channels, self.n_channels).to(self.mean).triu(1)

    def _by_place(self, s: Tensor) -> Tensor:
        """Return codes (n, *shape) as (n, places, channels)."""
        return s.reshape(len(s), self.n_channels, -1).transpose(1, 2)

    def _near(self, s: Tensor) -> Tensor:
        """Return the neighbours' numbers, (n, places, 4 · channels), of codes (n, places, channels)."""
        grid = nn.functional.pad(s.reshape(len(s), self.height, self.width, -1), (0, 0, 1, 1, 1, 0))
        near = [grid[:, 1 + y : 1 + y + self.height, 1 + x : 1 + x + self.width] for y, x in NEIGHBOURS]
        return torch.cat(near, -1).flatten(1, 2)


def _model(predictor: Predictor, symbols: NDArray[np.int32]) -> EntropyModel:
    """Return the entropy model of a predictor, with tables counted on training symbols."""
    return Autoregressive.with_tables_counted(predictor, symbols, unit_scale=_UNIT_SCALE, precision=_PRECISION)


def _predictor(prior: LogisticPrior, step: float) -> Predictor:
    """Round weights to 16 bits under a power of two each for the inputs, the means and the scales."""
    inwards = [step * _numbers(prior.weights_in), step * _numbers(prior.weights_near)]
    shift_in = min(_shift_of(values) for values in inwards)
    weights_in, weights_near = (np.rint(values * 2.0**shift_in).astype(np.int16) for values in inwards)
    # Means are told in phases, scales in steps of the tables.
    outwards = _numbers(prior.weights_out) * np.array([_PHASES / step, _PER_OCTAVE / math.log(2)])[:, None]
    means = _numbers(prior.mean) * _PHASES / step
    scales = (_numbers(prior.log_scale) - math.log(step)) * _PER_OCTAVE / math.log(2) + _UNIT_SCALE
    shifts = [_shift_of(outwards[:, kind]) for kind in range(2)]
    weights_out = np.rint(outwards * 2.0 ** np.array(shifts)[:, None]).astype(np.int16)
    to_sums = [shift + shift_in for shift in shifts]
    biases_out = np.stack([np.rint(means * 2.0 ** to_sums[0]), np.rint(scales * 2.0 ** to_sums[1])], -1)
    return Predictor(
        weights_in=weights_in,
        weights_near=weights_near,
        biases=np.rint(_numbers(prior.bias) * 2.0**shift_in).astype(np.int64),
        weights_out=weights_out,
        biases_out=biases_out.astype(np.int64),
        grid=(prior.height, prior.width),
        shifts=(to_sums[0], to_sums[1]),
        n_scales=_SCALES,
        n_phases=_PHASES,
    )


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().cpu().numpy()


def _shift_of(values: NDArray[np.float64]) -> int:
    """Return the largest power of two by which values can be multiplied and still fit 16 bits."""
    largest = float(np.abs(values).max(initial=2.0**-_LARGEST_SHIFT))
    return min(math.floor(math.log2(_LARGEST_WEIGHT / largest)), _LARGEST_SHIFT)
