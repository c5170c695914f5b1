"""Distributions of a model's numbers around zero, as integer mixtures of logistic distributions.

A *form* is a mixture whose mean magnitude is that of the logistic distribution of scale 1. It is scaled by the mean
magnitude of the numbers around, which gives the index of a scale of `narrows.codec.residual.mixture`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.mixture import N_SCALES, TOTAL

__all__ = ["FORMS", "LEVELS", "PER_VALUE", "WIDTHS", "components", "components_of_all", "scales_of"]

PER_VALUE = 256
"""Mean magnitudes are in units of 1/256."""

_MEAN_MAGNITUDE = 2 * np.log(2)  # of a logistic distribution of scale 1
_SCALES = 2.0 ** (np.arange(N_SCALES) / 4 - 2) / 16  # in values

LEVELS: NDArray[np.int64] = np.rint(PER_VALUE * _MEAN_MAGNITUDE * _SCALES[1:] * 2.0**-0.125).astype(np.int64)
"""The mean magnitudes from which on the scales 1 … 63 are used."""

WIDTHS: NDArray[np.int64] = np.rint(16 * PER_VALUE * _SCALES).astype(np.int64)
"""The scales in units of 1/256 of a sixteenth."""

# Of each component: weight of 2^15, mean in sixteenths of the scale, and distance from the scale's index.
FORMS: tuple[tuple[tuple[int, int, int], ...], ...] = (
    ((32768, 0, 0),),  # logistic
    ((10256, 0, -5), (22512, 0, 1)),  # Laplace
    ((13172, -12, -2), (13172, 12, -2), (3212, -38, -3), (3212, 38, -3)),  # normal
    ((12616, 0, -3), (10076, -21, 0), (10076, 21, 0)),  # between both
    ((5276, 0, -12), (16580, 0, -3), (10912, 0, 4)),  # many small and a few large
    ((6520, -24, -8), (6520, 24, -8), (5686, -8, -7), (5686, 8, -7), (4178, -37, -12), (4178, 37, -12)),  # uniform
)
"""The forms, by their numbers in files."""

assert all(sum(weight for weight, _, _ in form) == TOTAL for form in FORMS)


def scales_of(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the scales of mean magnitudes in units of 1/256."""
    return np.searchsorted(LEVELS, levels, side="right")


def components(form: int, scales: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Return weights, means and scales, each (K, n), of the mixtures of a form with scales (n,), each 0 to 63."""
    weights, means, offsets = (np.array(values)[:, None] for values in zip(*FORMS[form], strict=True))
    shape = len(weights), len(scales)
    return (
        np.broadcast_to(weights, shape).astype(np.int32),
        means * WIDTHS[scales] + (1 << 11) >> 12,
        np.clip(scales + offsets, 0, N_SCALES - 1).astype(np.int32),
    )


def components_of_all(
    scales: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Return weights, means and scales, each (K, forms · n), of the mixtures of all forms, one form after the other.

    Forms with fewer components than others have components of weight 0.
    """
    weights, means, indices = (table[:, :, scales].reshape(len(table), -1) for table in _OF_ALL_FORMS)
    return weights, means, indices


def _of_all_forms() -> list[NDArray[Any]]:
    """Return the tables of `components_of_all` for all scales, each (K, forms, scales)."""
    of_forms = [components(form, np.arange(N_SCALES)) for form in range(len(FORMS))]
    most = max(len(weights) for weights, _, _ in of_forms)
    padded = [[np.pad(one, ((0, most - len(one)), (0, 0))) for one in of_form] for of_form in of_forms]
    return [np.stack(tables, axis=1) for tables in zip(*padded, strict=True)]


_OF_ALL_FORMS = _of_all_forms()
