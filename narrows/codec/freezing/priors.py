"""A trained prior as an entropy model in whole numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrows.bottlenecks.rounded import NEIGHBOURS, LogisticPrior
from narrows.bottlenecks.vector_quantised import VectorQuantisedModule
from narrows.codec.entropy_models import Autoregressive, Context, EntropyModel, Independent, Predictor
from narrows.codec.entropy_models import predictor as integer
from narrows.codec.rans import MAX_PRECISION
from narrows.numerics.randomness import Stream, rng

__all__ = ["freeze_indices", "freeze_prior"]

_PRECISION = 12
_PHASES = 8
_HELD_OUT = 5  # one record of so many, to compare tables on
_MOST_CODES_IN_CONTEXT = 1024  # of more, a file could hold too few tables for the neighbours to choose from
# Scale k of the tables is 2^((k - 16) / 4) symbols: from a sixteenth to 32.
_SCALES, _UNIT_SCALE, _PER_OCTAVE = 37, 16, 4
_LARGEST_WEIGHT = 32_767
_LARGEST_SHIFT = 20


def freeze_prior(prior: LogisticPrior, symbols: NDArray[np.int32], step: float = 1.0) -> EntropyModel:
    """Return the prior in whole numbers, with tables counted on training symbols (n, n_symbols).

    The prior was trained on codes in steps of 1; symbols may count steps of another width.
    """
    if not prior.n_hidden:
        return Independent.fit(symbols, precision=_PRECISION)
    return Autoregressive.with_tables_counted(
        _predictor(prior, step), symbols, unit_scale=_UNIT_SCALE, precision=_PRECISION
    )


def freeze_indices(bottleneck: VectorQuantisedModule, symbols: NDArray[np.int32]) -> EntropyModel:
    """Return tables counted on the indices (n, n_symbols) of training records: one for each, or by their neighbours.

    Whichever says a fifth of the records in fewer bits when counted on the others; then it is counted on all. On
    records that they are counted on the more tables look the better.
    """
    n_codes = len(bottleneck.codebook)
    # As many values as a table has without making any of them rare.
    precision = min(max(_PRECISION, (n_codes - 1).bit_length() + 2), MAX_PRECISION)

    def alone(symbols: NDArray[np.int32]) -> EntropyModel:
        return Independent.fit(symbols, precision=precision)

    def by_context(symbols: NDArray[np.int32]) -> EntropyModel:
        *groups, height, width = (1, *bottleneck.symbols_shape)
        return Context.fit(symbols, (groups[-1], height, width), n_codes, precision=precision)

    if bottleneck.n_places == 1 or n_codes > _MOST_CODES_IN_CONTEXT or len(symbols) < _HELD_OUT:
        return alone(symbols)
    # Drawn, for records may take turns; by the same numbers each time.
    order = rng(0, Stream.CODEC_HELD_OUT).permutation(len(symbols))
    held_out, counted = np.split(symbols[order], [len(symbols) // _HELD_OUT])
    best = min(by_context, alone, key=lambda count: float(count(counted).bits(held_out).mean()))
    return best(symbols)


def _predictor(prior: LogisticPrior, step: float) -> Predictor:
    """Round weights to 16 bits under a power of two each for the inputs, the means and the scales."""
    assert NEIGHBOURS == integer.NEIGHBOURS, "trained and coded with the same neighbours, in the same order"
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
