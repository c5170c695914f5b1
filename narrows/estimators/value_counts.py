"""How often the records have each of the values 0 to 255, and the few that they have."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.training import Records

__all__ = ["few_levels", "value_counts"]

_COUNTED = 10_000  # records
_FEW = 128  # values


def value_counts(records: Records) -> NDArray[np.int64]:
    """Return how many values of each size 0 to 255 there are in uint8 records, in a sample if there are many."""
    places = np.linspace(0, len(records) - 1, min(len(records), _COUNTED)).round().astype(np.int64)
    rows = torch.from_numpy(np.unique(places)).to(records.device)
    values = records.tensor[rows if records.rows is None else records.rows[rows]]
    return np.bincount(values.cpu().numpy().ravel(), minlength=256)


def few_levels(records: Records, held_out: Records | None) -> tuple[int, ...] | None:
    """Return the values that uint8 records have, in ascending order; None if they are many, or one, or not known.

    Held-out records must have no other values: else new records are likely to have others too.
    """
    if records.tensor.dtype != torch.uint8:
        return None
    is_level = value_counts(records) > 0
    if not 2 <= is_level.sum() <= _FEW:
        return None
    if held_out is not None and (value_counts(held_out) > 0)[~is_level].any():
        return None
    return tuple(np.flatnonzero(is_level).tolist())
