"""Training records for networks of residuals, rounded as the archives are that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.lossless.pixel_levels import PixelLevels
from narrows.training import Records

__all__ = ["rounded_records", "some_values"]

_SOME = 20_000  # records that levels are fitted to, at most


def some_values(records: Records) -> NDArray[Any]:
    """Return the values of records, evenly spaced if there are many, shape (n, *shape)."""
    places = np.unique(np.linspace(0, len(records) - 1, min(len(records), _SOME)).round().astype(np.int64))
    return _values(records.only(places if records.rows is None else records.rows.cpu().numpy()[places]))


def rounded_records(records: Records, rounding: PixelLevels | None) -> Records:
    """Return records with each value replaced by a level; the same records without levels."""
    if rounding is None:
        return records
    made = Records(rounding.rounded(_values(records)), records.device)
    made.weights = records.weights_of()
    return made


def _values(records: Records) -> NDArray[Any]:
    found = records.tensor if records.rows is None else records.tensor[records.rows]
    return np.asarray(found.cpu().numpy())
