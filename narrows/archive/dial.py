"""The way to store records: by measured bytes, the smallest that reaches a PSNR, or the best within a size.

::

    code alone        at each quality of the model
    in levels         pixels rounded to the levels of a network of residuals
    within a bound    by the code and its residual, from neighbouring values, by a network of residuals, or by zstd
    lossless          the bound 0

A size or a quality of training data is where the search begins; what counts is measured on the records at hand.
"""

from __future__ import annotations

import math

import numpy as np

from narrows.archive.record_sample import RecordSample
from narrows.archive.way import Way
from narrows.codec.residual.bound_choice import bounds_for
from narrows.errors import InvalidParameterError

__all__ = ["REACHED_DB", "best_within", "default_way", "smallest_reaching"]

REACHED_DB = 0.05
"""A PSNR that is lower by this, 1 % of the squared error, counts as reached."""

_CLOSE_ENOUGH_DB = 0.25  # to the quality that a model was trained for
_COUNTED = 1 << 22  # values that are counted at most
_TRIED = 3  # bounds on bytes, of those that reach a PSNR
_HOPELESS = (
    1.6  # a bound with more than this multiple of the bytes of the code, on few records, is not measured on more
)
_WORTHWHILE = 0.97  # of the bytes of the code, if none is asked for: a bound makes single records slower to read
_AS_SMALL = (
    1.05  # few records do not tell such sizes apart: the bound of the training is taken, which has a higher PSNR
)
_STEPS = 5  # of the search for a bound
_NEARLY = 0.98  # of a size, since other records differ
_MARGIN_DB = 0.01  # for the same reason


def smallest_reaching(
    hand: RecordSample, psnr: float, start: int, max_error: float | None = None, *, has_bounds: bool = True
) -> list[Way]:
    """Return the ways that were measured, the one with the fewest bytes that reaches a PSNR first.

    Parameters
    ----------
    hand : RecordSample
        Some of the records.
    psnr : float
        The wanted PSNR in dB, over the records' own range.
    start : int
        The quality that has it on training data.
    max_error : float or None
        The largest error allowed besides; with it, the code alone is no way.
    has_bounds : bool
        Whether the records may be stored within a bound.
    """
    ways = [] if max_error is not None else [_coarsest_reaching(hand, psnr, start)]
    if has_bounds and hand.is_predictable and hand.peak > 0:
        fewest = ways[0].bytes_per_record if ways and _reaches(ways[0], psnr) else math.inf
        ways.append(_smallest_pixels(hand, psnr, fewest, max_error))
    elif max_error is not None:
        ways.append(hand.within(max_error, hand.quality_within(max_error)))
    return sorted(ways, key=lambda way: (not _reaches(way, psnr), way.bytes_per_record))


def best_within(
    hand: RecordSample, n_bytes: float, start: int, max_error: float | None = None, *, has_bounds: bool = True
) -> list[Way]:
    """Return the ways that were measured, the one with the highest PSNR in at most so many bytes a record first.

    Parameters
    ----------
    hand, start, max_error, has_bounds
        As for `smallest_reaching`.
    n_bytes : float
        The size of a record.

    Raises
    ------
    InvalidParameterError
        If the records do not fit in this size within the largest error.
    """
    if max_error is None:
        first = _finest_within(hand, n_bytes, start)
    else:
        first = hand.within(max_error, hand.quality_within(max_error))
        if first.bytes_per_record > n_bytes:
            raise InvalidParameterError(
                f"Within a 'max_error' (--max-error) of {max_error:g} each record takes {first.bytes_per_record:.1f} "
                f"bytes. Got the 'bytes_per_record' (--bytes-per-record) {n_bytes:g}. "
                "Give more bytes, or a larger error."
            )
    if not (has_bounds and hand.is_predictable and math.isfinite(first.psnr_db)):
        return [first]
    best = _best_pixels(hand, n_bytes, first, max_error)
    return [first] if best is first else [best, first]


def default_way(hand: RecordSample, psnr: float | None, *, always: bool) -> list[Way]:
    """Return the ways that were measured if nothing is asked for: the default quality, or a bound that is better.

    Parameters
    ----------
    hand : RecordSample
        Some of the records.
    psnr : float or None
        The PSNR that the model was trained for; None if there is none.
    always : bool
        Whether that PSNR is wanted even if the code misses it.
    """
    code = hand.code(hand.codec.default)
    is_reached = psnr is None or code.psnr_db >= psnr - _CLOSE_ENOUGH_DB
    is_enough = is_reached or not always
    wanted = psnr if psnr is not None and (is_reached or always) else code.psnr_db
    if not (hand.is_predictable and math.isfinite(wanted)):
        return [code]
    fewest = code.bytes_per_record * _WORTHWHILE if is_enough else math.inf
    within = _smallest_pixels(hand, wanted, fewest, None)
    is_better = _reaches(within, wanted) and within.bytes_per_record < fewest
    return [within, code] if is_better else [code, within]


def _coarsest_reaching(hand: RecordSample, psnr: float, start: int) -> Way:
    """Return the coarsest quality that reaches a PSNR; the finest if none does."""
    last = len(hand.codec.qualities) - 1
    while start < last and not _reaches(hand.code(start), psnr):
        start += 1
    while start > 0 and _reaches(hand.code(start - 1), psnr):
        start -= 1
    return hand.code(start)


def _finest_within(hand: RecordSample, n_bytes: float, start: int) -> Way:
    """Return the finest quality within a size; the coarsest if none is."""
    while start > 0 and hand.code(start).bytes_per_record > n_bytes:
        start -= 1
    while start < len(hand.codec.qualities) - 1 and hand.code(start + 1).bytes_per_record <= n_bytes:
        start += 1
    return hand.code(start)


def _smallest_pixels(hand: RecordSample, psnr: float, fewest: float, max_error: float | None) -> Way:
    """Return the way without code alone that reaches a PSNR: pixels in levels, or within a bound where these do not."""
    if max_error is not None or not hand.can_round:
        return _smallest_bound(hand, psnr, fewest, math.inf if max_error is None else max_error)
    found, is_by_network = hand.in_levels(psnr)
    if is_by_network and _reaches(found, psnr):
        return found
    within = _smallest_bound(hand, psnr, fewest, math.inf)
    return min(found, within, key=lambda way: (not _reaches(way, psnr), way.bytes_per_record))


def _smallest_bound(hand: RecordSample, psnr: float, fewest: float, max_error: float) -> Way:
    """Return the bound that reaches a PSNR with the fewest bytes. It is measured well if it may beat ``fewest``."""
    tried = {(bound, quality): hand.quick_size(bound, quality) for bound, quality in _candidates(hand, psnr, max_error)}
    bound, quality = min(tried, key=lambda one: tried[one])
    trained = hand.encoder.trained_bound
    if trained is not None and tried.get((float(trained), None), math.inf) <= _AS_SMALL * tried[bound, quality]:
        bound, quality = float(trained), None
    if tried[bound, quality] > _HOPELESS * fewest:
        return hand.within(bound, hand.codec.default if quality is None else quality)
    if hand.codec.dtype.kind == "f":
        bound = min(hand.bound_reaching(psnr + _MARGIN_DB, quality), max_error)
    found = hand.within(bound, hand.codec.default if quality is None else quality)
    for _ in range(_STEPS):  # whether the code is used changes the errors
        if _reaches(found, psnr) or found.error_bound == 0:
            break
        bound *= 10 ** (min(found.psnr_db - psnr, -_MARGIN_DB) / 20)
        found = hand.within(bound if hand.codec.dtype.kind == "f" else float(math.floor(bound)), found.quality)
    return found


def _candidates(hand: RecordSample, psnr: float, max_error: float) -> list[tuple[float, int | None]]:
    """Return bounds with which values keep a PSNR, each with a quality of the code, or None without it."""
    with_code = hand.some_qualities() if hand.codec.causal is None else [hand.codec.default]
    found = [(hand.bound_reaching(psnr, quality, quickly=True), quality) for quality in (*with_code, None)]
    if hand.codec.dtype == np.uint8:
        values = np.asarray(hand.source.values[:: -(-hand.source.values.size // _COUNTED)])
        bounds = [bound for bound in bounds_for(np.bincount(values.ravel(), minlength=256), psnr) if bound <= max_error]
        found += [(float(bound), None) for bound in bounds[:_TRIED]]
    trained = hand.encoder.trained_bound
    if trained is not None and trained < max(bound for bound, quality in found if quality is None):
        found.append((float(trained), None))
    return [(min(bound, max_error), quality) for bound, quality in found]


def _best_pixels(hand: RecordSample, n_bytes: float, first: Way, max_error: float | None) -> Way:
    """Return the levels or the bound with the highest PSNR in a size, or ``first`` if none is better.

    The search begins at the PSNR of ``first``. A byte more for each value is 48 dB more.
    """
    best, n_values = first, math.prod(hand.layout.shape)
    low, high = (first.psnr_db, first.bytes_per_record), (math.inf, math.inf)
    psnr = first.psnr_db
    for step in range(_STEPS):
        way = _smallest_pixels(hand, psnr, n_bytes if step == 0 else math.inf, max_error)
        if way.bytes_per_record <= n_bytes:
            best = max(best, way, key=lambda one: one.psnr_db)
            low = psnr, way.bytes_per_record
        elif step == 0:
            break
        else:
            high = psnr, way.bytes_per_record
        if math.isinf(way.psnr_db) and way.bytes_per_record <= n_bytes:
            break
        share = (n_bytes * _NEARLY - low[1]) / (high[1] - low[1])
        more = (high[0] - low[0]) * share if math.isfinite(high[0]) else (n_bytes * _NEARLY - low[1]) * 48 / n_values
        if more < REACHED_DB:
            break
        psnr = low[0] + more
    return best


def _reaches(way: Way, psnr: float) -> bool:
    return way.psnr_db >= psnr - REACHED_DB
