"""The rounded bottleneck: codes of whole numbers, and their cost in a file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.spread import spread
from narrows.numerics.record_noise import Noise, uniform_like
from narrows.parts.options import Choice, Real, Whole, option

__all__ = ["NEIGHBOURS", "LogisticPrior", "Rounded", "RoundedModule"]

# The scale of a logistic stays within e^±5 symbols: narrower ones are certain, wider ones too expensive for a file.
_LOG_SCALE = 5.0
_SMALLEST_PROBABILITY = 1e-9
_FIRST_LOG_SCALE = 0.5
_FIRST_WEIGHT = 0.15

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
"""Offsets (down, right) of the neighbours that are coded before a position, in the order of the weights."""


class Rounded(Bottleneck, name="rounded"):
    """Round the code to whole numbers s = round(h), at their cost in a file: −log P(s), in nats.

    In training, uniform noise of one unit replaces the rounding, h̃ = h + U(−½, ½), and P is the mass of a logistic
    distribution on the unit interval around h̃, so that rate and distortion have gradients (Ballé, Laparra and
    Simoncelli 2017). With the normal likelihood the loss of the chain is rate + λ · squared error, λ = 1 / 2σ².

    The "autoregressive" prior predicts mean and scale of each number from the numbers before it, by one shared hidden
    layer (NADE; Larochelle and Murray 2011). In a map, these are the previous channels at the same position and all
    channels of the four neighbours that are coded before (Minnen, Ballé and Toderici 2018, here a small version). The
    "independent" prior has a mean and a scale for each number.

    Examples
    --------
    >>> Rounded(prior="independent")
    Rounded(prior='independent')
    """

    prior: str = option(
        Choice("autoregressive", "independent"),
        "'autoregressive': each number's distribution given those before it; 'independent': one for each",
        default="autoregressive",
    )
    n_hidden: int = option(Whole(1), "hidden units of the autoregressive prior", default=64)
    unit: float = option(
        Real(0, open_low=True),
        "quantisation step of the code; a small step starts the training at a high rate",
        default=1.0,
    )

    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        return RoundedModule(z_shape, self.n_hidden if self.prior == "autoregressive" else 0, self.unit)


class RoundedModule(BottleneckModule):
    """h (n, *shape) → whole numbers of the same shape, and the prior for coding them."""

    def __init__(self, shape: tuple[int, ...], n_hidden: int, unit: float) -> None:
        super().__init__(shape, shape)
        self.unit = unit
        self.prior = LogisticPrior(shape, n_hidden)

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        s = h / self.unit
        if generator is None:
            s = torch.round(s)
            return Code(s * self.unit, self.prior.nats(s), s.to(torch.int32))
        s = s + uniform_like(h, generator) - 0.5
        return Code(s * self.unit, self.prior.nats(s))

    def unquantised(self, h: Tensor) -> Tensor:
        return h

    def nearest_code(self, z: Tensor) -> Tensor:
        return torch.round(z / self.unit) * self.unit

    def symbols_to_z(self, symbols: Tensor) -> Tensor:
        return symbols.to(self.prior.mean.dtype) * self.unit


class LogisticPrior(nn.Module):
    """A logistic distribution for each number of a code; given those before it if ``n_hidden`` > 0.

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
