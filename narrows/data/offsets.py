"""Columns so far from zero that float64 cannot tell their values from rounding errors."""

from __future__ import annotations

import numpy as np

from narrows.data.columns import Columns
from narrows.data.source import Source
from narrows.errors import DataWarning, warn
from narrows.numerics.rounding import ROUNDING

__all__ = ["warn_of_offsets"]

_SAMPLE = 4096
_NOISE = 1e-6  # of the usual spread of columns: those that vary less among others are rounding errors


def warn_of_offsets(source: Source, *, fill_value: float | None = None) -> None:
    """Warn of columns of the training data that vary too little, relative to their mean, to be learned.

    Columns that vary far less than the others of a table are taken for rounding errors, without a warning. At most
    4,096 rows are looked at, evenly spaced.
    """
    if len(source.shape) != 1 or source.dtype.itemsize < 8:
        return
    columns = Columns.of(source.values[:: -(-len(source) // _SAMPLE)], fill_value=fill_value)
    spread, varies = columns.high / 2 - columns.low / 2, columns.deviation > 0
    usual = float(np.median(spread[varies])) if varies.any() else 0.0
    lost = ~varies & (spread > _NOISE * usual)
    if not lost.any():
        return
    n, first = int(lost.sum()), int(np.argmax(lost))
    what = f"1 column of {source.name} varies" if n == 1 else f"{n:,} columns of {source.name} vary"
    text = (
        f"{what} by less than {ROUNDING:.0e} of the mean, which float64 cannot tell from rounding errors: for example "
        f"from {columns.low[first]:.17g} to {columns.high[first]:.17g}. They are treated as constant. If their values "
        "mean something, subtract an offset from them before training."
    )
    warn(DataWarning(text, kind="offset", count=n))
