"""The effort of a compression: its check, and the choice of a quality by what records are like with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.contract import Encoder
from narrows.archive.layouts import Layout
from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.errors import InvalidParameterError

__all__ = ["MOST_EFFORT", "check_effort", "quality_with_effort"]

MOST_EFFORT = 9

_SAMPLE_RECORDS = 64


def check_effort(effort: object, *, is_bounded: bool) -> None:
    """Raise InvalidParameterError unless an effort is a whole number from 0 to 9, and 0 with an error bound."""
    if isinstance(effort, bool) or not isinstance(effort, int | np.integer) or not 0 <= effort <= MOST_EFFORT:
        raise InvalidParameterError(
            f"The 'effort' (--effort) of compress must be a whole number from 0 to {MOST_EFFORT}. Got {effort!r}."
        )
    if effort and is_bounded:
        raise InvalidParameterError(
            f"'effort' (--effort) has no effect with an error bound, 'max_error' or 'lossless', where the residuals "
            f"take most of the bytes. Got {effort!r}. Omit it."
        )


def quality_with_effort(
    encoder: Encoder,
    source: Source,
    layout: Layout,
    chosen: int,
    *,
    psnr: float | None,
    bytes_per_record: float | None,
) -> int:
    """Return the quality that the effort of an encoder makes the right one for a PSNR or a size.

    The effort changes PSNR and size of each quality, and a few records show by how much. With a PSNR, the result is the
    coarsest quality that reaches it; with a size, the finest within it. Both are as measured on training data, plus
    these changes.

    Parameters
    ----------
    encoder : Encoder
        With an effort above 0.
    source : Source
        The records.
    layout : Layout
        How items are cut into records.
    chosen : int
        The quality without effort.
    psnr, bytes_per_record : float or None
        As for `compress`; None, both: the result is ``chosen``.
    """
    if psnr is None and bytes_per_record is None:
        return chosen
    records = _sample(source, layout)
    qualities = encoder.codec.qualities
    if psnr is not None:
        while chosen > 0:
            more_db, _ = _changes(encoder, records, chosen - 1)
            if qualities[chosen - 1].psnr_db + more_db < psnr:
                break
            chosen -= 1
        return chosen
    assert bytes_per_record is not None
    while chosen < len(qualities) - 1:
        _, factor = _changes(encoder, records, chosen + 1)
        if qualities[chosen + 1].bytes_per_record * factor * layout.n_records > bytes_per_record:
            break
        chosen += 1
    return chosen


def _sample(source: Source, layout: Layout) -> NDArray[Any]:
    values = np.asarray(source.values[:: -(-len(source) // _SAMPLE_RECORDS)])
    return layout.cut(values)[:_SAMPLE_RECORDS]


def _changes(encoder: Encoder, records: NDArray[Any], quality: int) -> tuple[float, float]:
    """Return by how many dB records are better with the effort of an encoder, and the factor of their bits."""
    bits, error = [], []
    for effort in (0, encoder.effort):
        symbols = encoder.symbols(records, quality, effort=effort)
        restored = encoder.codec.decode(symbols, quality)
        difference = (restored.astype(np.float64) - records.astype(np.float64)) / (encoder.codec.peak or 1.0)
        if encoder.fill_value is not None:
            difference[is_fill(records, encoder.fill_value)] = 0.0
        error.append(float(np.square(difference).sum()))
        bits.append(float(encoder.codec.qualities[quality].entropy.bits(symbols).sum()))
    more_db = 10 * math.log10(error[0] / error[1]) if error[0] > 0 and error[1] > 0 else 0.0
    return more_db, bits[1] / bits[0] if bits[0] > 0 else 1.0
