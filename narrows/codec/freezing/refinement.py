"""Refinement of symbols: fewer bits and smaller errors for the same decoder.

An encoder returns the code of a record in one pass, and it is seldom the best code that the decoder has for this
record. The difference is called the amortisation gap (Cremer, Li and Duvenaud 2018). Here the symbols are changed by
one at a time, against the frozen decoder and the frozen entropy model themselves, which stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.codec.entropy_models import MAX_SYMBOL, EntropyModel
from narrows.codec.entropy_models.escapes import packed_bytes
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.data.fill import is_fill
from narrows.errors import InvalidParameterError
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import Stream, rng
from narrows.training.workers import over_workers

__all__ = ["Refinement", "check_refinable"]

_ROUNDS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12)  # at each effort
_BATCH = 64
_FIRST_MOVES = 8  # the largest number of symbols of a record that the first round changes
_ESCAPE_BITS = 8.0  # of a symbol that is not in its table, beside the escape itself
_TRAINING_GOLDEN, _ALL_GOLDEN = 4, 8  # golden symbols: the first of all are those of training records
_PROBES = 32


@dataclass(eq=False)
class _State:
    """The symbols of n records during the search, each (n, ...).

    Attributes
    ----------
    symbols : ndarray of shape (n, D), int32
        The best symbols so far.
    errors : ndarray of shape (n, values)
        The errors of the records that are restored from them, relative to the peak.
    cost : ndarray of shape (n,)
        Their J.
    down, up : ndarray of shape (n, D)
        Changes of bits if each symbol alone is lower or higher by one.
    slope : ndarray of shape (n, D)
        Derivative of the distortion with respect to the symbols.
    is_old : ndarray of shape (n,), bool
        Whether the slope belongs to earlier symbols.
    most : ndarray of shape (n,), int64
        The largest number of symbols that the next round changes.
    tried : ndarray of shape (n, D), bool
        Symbols whose change alone has not lowered J since the last success.
    """

    symbols: NDArray[np.int32]
    errors: NDArray[np.float64]
    cost: NDArray[np.float64]
    down: NDArray[np.float64]
    up: NDArray[np.float64]
    slope: NDArray[np.float64]
    is_old: NDArray[np.bool_]
    most: NDArray[np.int64]
    tried: NDArray[np.bool_]


class Refinement:
    """Lowers J = bits + λ · distortion of each record by changes of its symbols by ±1.

    The distortion is the squared error of the integer decoder's records, relative to the squared peak. A round predicts
    the change of J for each symbol d and each sign from three numbers::

        ΔJ ≈ Δbits + λ (± slope_d + curvature_d)

    Δbits is read from the tables in the present context, the slope is computed by the decoder's network, and the
    curvature is that of training records. The round changes the most promising symbols of a record at once, computes J
    by the integer decoder and the entropy model, and keeps the changes if J is lower. Then half as many more are
    changed, otherwise a third. So J never rises, and the symbols at an effort are those at a lower effort, or better.

    The result for a record does not depend on others: each of its decisions is made by its own numbers, in float64.

    Parameters
    ----------
    chain : Chain
        The trained chain in float64.
    codec : FrozenCodec
        Its codec.
    quality : int
        Index of the operating point.

    Raises
    ------
    InvalidParameterError
        If the symbols are no rounded numbers, or the records are categories.
    """

    def __init__(self, chain: Chain, codec: FrozenCodec, quality: int) -> None:
        check_refinable(chain)
        self.chain, self.codec, self.quality = chain, codec, quality
        self.point: OperatingPoint = codec.qualities[quality]
        _, scale = chain.preprocessor.offset_and_scale(chain.shape, chain.device)
        self._scale = scale.double() / codec.peak if codec.peak > 0 else torch.zeros_like(scale, dtype=torch.float64)
        self._curvature = self._curvatures()
        self.rate = rate_of_distortion(codec, quality, self._curvature)

    def refined(self, records: NDArray[Any], symbols: NDArray[np.int32], effort: int) -> NDArray[np.int32]:
        """Return better symbols of records.

        Parameters
        ----------
        records : ndarray of shape (n, *shape)
            The records, in their dtype.
        symbols : ndarray of shape (n, D), int32
            Their rounded codes.
        effort : int
            0 to 9; 0 returns the symbols.
        """
        if self.codec.peak <= 0:
            return symbols
        result = symbols.copy()
        size = batch_size(self.chain.shape, 16 * _BATCH)
        for start in range(0, len(records), size):
            part = slice(start, start + size)
            result[part] = self._refined(records[part], symbols[part], _ROUNDS[effort])
        return result

    def costs(self, records: NDArray[Any], symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return J of each record in bits, shape (n,)."""
        bits = self.point.entropy.bits(symbols)
        return self._cost(bits, self._errors(records, symbols))

    def _refined(self, records: NDArray[Any], symbols: NDArray[np.int32], n_rounds: int) -> NDArray[np.int32]:
        n = len(records)
        errors = self._errors(records, symbols)
        bits, down, up = _rates(self.point.entropy, symbols)
        state = _State(
            symbols=symbols.copy(),
            errors=errors,
            cost=self._cost(bits, errors),
            down=down,
            up=up,
            slope=np.zeros(symbols.shape),
            is_old=np.ones(n, np.bool_),
            most=np.full(n, _FIRST_MOVES),
            tried=np.zeros(symbols.shape, np.bool_),
        )
        for _ in range(n_rounds):
            old = np.flatnonzero(state.is_old)
            state.slope[old] = self._slopes(state.symbols[old], state.errors[old])
            state.is_old[old] = False
            moves = self._moves(state)
            rows = np.flatnonzero(moves.any(1))
            if len(rows) == 0:
                break
            self._try(state, records, rows, moves[rows])
        return state.symbols

    def _try(self, state: _State, records: NDArray[Any], rows: NDArray[np.int64], moves: NDArray[np.int32]) -> None:
        """Make the moves (m, D) of some records that lower their J."""
        symbols = state.symbols[rows] + moves
        errors = self._errors(records[rows], symbols)
        bits, down, up = _rates(self.point.entropy, symbols)
        cost = self._cost(bits, errors)
        is_better = cost < state.cost[rows]
        better, worse = rows[is_better], rows[~is_better]
        n_moves = np.count_nonzero(moves, axis=1)
        state.symbols[better], state.errors[better] = symbols[is_better], errors[is_better]
        state.cost[better], state.is_old[better] = cost[is_better], True
        state.down[better], state.up[better] = down[is_better], up[is_better]
        state.tried[better] = False
        state.tried[worse] |= (moves[~is_better] != 0) & (n_moves[~is_better] == 1)[:, None]
        state.most[better] += (state.most[better] + 1) // 2
        state.most[worse] = np.maximum(1, np.minimum(state.most[worse], n_moves[~is_better]) // 3)

    def _moves(self, state: _State) -> NDArray[np.int32]:
        """Return the most promising changes (n, D) of symbols, −1, 0 or 1."""
        down = state.down + self.rate * (self._curvature - state.slope)
        up = state.up + self.rate * (self._curvature + state.slope)
        down[state.symbols <= -MAX_SYMBOL] = np.inf
        up[state.symbols >= MAX_SYMBOL] = np.inf
        change = np.minimum(down, up)
        change[state.tried | ~np.isfinite(change)] = np.inf
        order = np.argsort(change, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None], axis=1)
        chosen = (rank < state.most[:, None]) & (change < 0)
        return np.where(chosen, np.where(up < down, 1, -1), 0).astype(np.int32)

    def _errors(self, records: NDArray[Any], symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return restored − original values, relative to the peak, (n, values); 0 for missing values."""
        restored = self.codec.decode(symbols, self.quality).astype(np.float64)
        errors = (restored - records.astype(np.float64)) / self.codec.peak
        if self.chain.parts.fill_value is not None:
            errors[is_fill(records, self.chain.parts.fill_value)] = 0.0
        return errors.reshape(len(records), -1)

    def _cost(self, bits: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
        cost: NDArray[np.float64] = bits + self.rate * np.einsum("nv,nv->n", errors, errors)
        return cost

    def _slopes(self, symbols: NDArray[np.int32], errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivatives (n, D) of the distortion: 2 Jᵀ error, J of the decoder's network."""
        chain = self.chain

        def of_batch(start: int) -> NDArray[np.float64]:
            part = slice(start, start + _BATCH)
            codes = torch.from_numpy(symbols[part] * self.point.steps).to(chain.device)
            wanted = torch.from_numpy(errors[part]).to(chain.device).view(-1, *chain.shape)
            return _pulled_back(chain, codes, 2 * wanted * self._scale) * self.point.steps

        parts = over_workers(of_batch, range(0, len(symbols), _BATCH), chain.device)
        return np.concatenate([np.zeros((0, symbols.shape[1])), *parts])

    def _curvatures(self) -> NDArray[np.float64]:
        """Return the squared error (D,) that a change of each symbol by one adds, in the mean of some training codes.

        The squared length of column d of J is the expectation of (Jᵀ v)_d², v of standard normal numbers.
        """
        golden = self.codec.golden[: _TRAINING_GOLDEN if len(self.codec.golden) == _ALL_GOLDEN else 1]
        codes = torch.from_numpy(golden * self.codec.qualities[-1].steps).to(self.chain.device)
        noise = rng(0, Stream.CODEC_PROBES)
        total = np.zeros(golden.shape[1])
        for _ in range(_PROBES):
            v = torch.from_numpy(noise.standard_normal((len(golden), *self.chain.shape))).to(self.chain.device)
            total += np.square(_pulled_back(self.chain, codes, v * self._scale)).mean(0)
        curvature: NDArray[np.float64] = total / _PROBES * np.square(self.point.steps)
        return curvature


def rate_of_distortion(codec: FrozenCodec, quality: int, curvature: NDArray[np.float64]) -> float:
    """Return λ, in bits for a unit of distortion: the bits by which the next qualities buy a smaller error.

    It is the slope −dR/dD between the coarser and the finer quality, on training data. A codec with a single quality
    has the slope of uniform quantisation, 6 / (ln 2 · curvature), for D = curvature / 12 and 6.02 dB a bit.

    Parameters
    ----------
    codec : FrozenCodec
        Has the qualities.
    quality : int
        Index of the quality.
    curvature : ndarray of shape (D,)
        The distortion that a change of each symbol by one adds.
    """
    qualities = codec.qualities
    n_values = math.prod(codec.shape)
    points = [(8 * one.bytes_per_record, n_values * 10 ** (-one.psnr_db / 10)) for one in qualities]
    bits, distortion = points[quality]
    coarser = [point for point in points if point[0] < bits and point[1] > distortion]
    finer = [point for point in points if point[0] > bits and point[1] < distortion]
    low = max(coarser, default=points[quality])
    high = min(finer, default=points[quality])
    if low != high:
        return (high[0] - low[0]) / (low[1] - high[1])
    used = curvature[curvature > 0]
    return 6 / (math.log(2) * float(used.mean())) if len(used) else 0.0


def check_refinable(chain: Chain) -> None:
    """Raise InvalidParameterError if the symbols of a chain cannot be refined."""
    if chain.bottleneck.n_codes is not None:
        raise InvalidParameterError(
            "The 'effort' of compress must be 0 for a model with a vector-quantised code, since indices of codewords "
            "have no neighbours to try. Omit it (--effort), or train a model with the recipe codec."
        )
    lengths = chain.likelihood.point_estimate(chain.shape).lengths
    if lengths is not None and (lengths > 1).any():
        raise InvalidParameterError(
            "The 'effort' of compress must be 0 for a model that restores categories, since their errors are not "
            "squared. Omit it (--effort)."
        )


def _pulled_back(chain: Chain, codes: torch.Tensor, v: torch.Tensor) -> NDArray[np.float64]:
    """Return Jᵀ v, (n, D), J the derivative of the preprocessed reconstructions with respect to codes (n, D)."""
    with torch.enable_grad():
        codes.requires_grad_()
        z = chain.bottleneck.continuous_to_z(codes).reshape(-1, *chain.bottleneck.z_shape)
        (pulled,) = torch.autograd.grad(chain.likelihood.mean(chain.decode(z)), codes, v)
    result: NDArray[np.float64] = pulled.cpu().numpy()
    return result


def _rates(
    entropy: EntropyModel, symbols: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the bits of records, (n,), and their changes if each symbol is lower or higher by one, each (n, D).

    The changes are those of one symbol in its present context, without the effect on the contexts of later symbols.
    Symbols beyond their tables count as unchanged.
    """
    tables, order = entropy.tables, entropy.order
    in_order = np.ascontiguousarray(symbols.T[order])
    placed = entropy.intervals(in_order)
    now = tables.bits.take(placed.entries)
    bits = now.sum(0)
    np.add.at(bits, np.nonzero(placed.escaped)[1], 8.0 * packed_bytes(in_order[placed.escaped]))
    numbers = np.searchsorted(tables.escapes, placed.entries)
    escapes, firsts = tables.escapes[numbers], tables.firsts[numbers]
    changes = []
    for step in (-1, 1):
        entries = placed.entries + step
        is_beyond = (entries < firsts) | (entries >= escapes)
        others = np.where(is_beyond, tables.bits[escapes] + _ESCAPE_BITS, tables.bits.take(entries, mode="clip"))
        by_symbol = np.zeros(symbols.shape)
        with np.errstate(invalid="ignore"):  # a constant table has an infinite cost
            by_symbol.T[order] = np.where(placed.escaped, 0.0, others - now)
        changes.append(by_symbol)
    return bits, changes[0], changes[1]
