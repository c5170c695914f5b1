"""Scores of records: how unlike the training records each of them is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.finite import check_finite
from narrows.data.opening import open as open_data
from narrows.errors import DataError
from narrows.parts.options import Integer, check
from narrows.records import check_shape
from narrows.uses.coders import LinearCoder
from narrows.uses.novelty import Calibration, Novelty

__all__ = ["score_records"]

_FEWEST = 8  # training records


def score_records(records: Any, train: Any, *, n_restored: int = 2, n_code: int = 4) -> npt.NDArray[np.float64]:
    """Return how odd each record is, compared with training records without outliers, shape (n,). High is odd.

    Two linear autoencoders are fitted to the training records. The score is the sum of two terms: the squared error of
    the reconstruction from a short code, and the distance of a longer code to the nearest codes of training records.
    Each is compared, by its logarithm, with its values on the training records. Values above 5 are outliers: 0 is the
    median of the training records, and 1 a standard deviation.

    Parameters
    ----------
    records : array_like of shape (n, *shape), path, name or Source
        The records.
    train : array_like of shape (m, *shape), path, name or Source
        At least 8 records like those that are usual.
    n_restored, n_code : int
        Latent dimensions of the two autoencoders. A short code restores what most records have in common, and little
        of what is odd.

    Raises
    ------
    DataError
        If there are too few training records, all are equal, shapes differ, or values are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> waves = np.sin(np.linspace(0, 6, 50) + rng.normal(0, 0.2, (200, 1)))
    >>> odd = waves[:3] * np.array([[1], [-1], [1]])
    >>> score_records(odd, waves) > 5
    array([False,  True, False])
    """
    check("score_records", "n_restored", n_restored, Integer(1))
    check("score_records", "n_code", n_code, Integer(1))
    known, given = open_data(train), open_data(records)
    check_shape(given.shape, known.shape)
    for source in (known, given):
        check_finite(source)
    if len(known) < _FEWEST:
        raise DataError(f"Scores of records need at least {_FEWEST} training records. Got {len(known)}.")
    flat = np.asarray(known.values, np.float64).reshape(len(known), -1, 1)
    scale = np.sqrt(flat.var(axis=0).mean(axis=0))
    if not scale > 0:
        raise DataError("All training records are equal, so nothing can be compared with them. Give others.")
    coder = LinearCoder.fit(flat, scale, n_restored, n_code)
    measured, positions = coder.measure(flat), np.arange(len(flat))
    novelty = Novelty.fit(measured, positions, 1, use_mean=False, use_log=True)
    calibration = Calibration.fit(novelty.compare(measured, positions, 1)[0].sum(axis=1))
    values = np.asarray(given.values, np.float64).reshape(len(given), -1, 1)
    return calibration(novelty.compare(coder.measure(values))[0].sum(axis=1))
