"""Generation of new records from chosen codes.

====================  =========================================================================
`between`             linear interpolation between the codes of two records
`manifold`            a grid of codes, for latent dimension 2
`traversals`          one latent dimension after the other, from low to high
====================  =========================================================================

All return decoded records in the units and dtype of the training data; tables of whole numbers or booleans are decoded
as floats, see `Autoencoder.reconstruct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from narrows.data import Source
from narrows.data.text.pieces import texts_of
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.checks import check_autoencoder
from narrows.model.artefacts import LatentDensity
from narrows.model.inference import decode
from narrows.model.sampling import has_prior, possible_codes, records_of
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Integer, Real, check

__all__ = ["Traversals", "between", "manifold", "traversals"]

_DRAWN = 10_000  # codes drawn to estimate quantiles of the density


@dataclass(frozen=True, eq=False)
class Traversals:
    """Records along single latent dimensions.

    Attributes
    ----------
    numbers : tuple of int
        The latent dimension of each row, counted from 0; those that change records most come first.
    deviations : ndarray of shape (n,)
        The distance from the mean in each column, in standard deviations.
    changes : ndarray of shape (rows,)
        The variance of each row over the columns, summed over the values of a record, in data units.
    records : ndarray of shape (rows, n, *shape)
        Records in the units of the training data, in the dtype of `Autoencoder.reconstruct`.
    """

    numbers: tuple[int, ...]
    deviations: NDArray[np.float64]
    changes: NDArray[np.float64]
    records: NDArray[Any]


def between(
    model: Autoencoder, a: ArrayLike, b: ArrayLike, n: int = 10, *, y: ArrayLike | None = None
) -> NDArray[Any] | list[str]:
    """Interpolate linearly between the codes of two records, both ends included; shape (n, *shape).

    z_i = (1 − t_i) z_a + t_i z_b for t from 0 to 1 in equal steps. With a normal prior, codes half-way are nearer to
    zero than most draws. An arc would keep the distance, but has no justification for codes without such a prior.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
        a, b : array_like of shape (*shape), or str
        The two records. Between two texts there are texts.
    n : int
        Number of records, at least 2.
    y : label, optional
        For conditional models: the label for encoding and decoding.
    """
    check_autoencoder(model, "between")
    check("between", "n", n, Integer(2))
    ends = _encoded(model, [a, b], y)
    t = np.linspace(0, 1, n)[:, None]
    codes = possible_codes(model.model_, (1 - t) * ends[0] + t * ends[1])
    records = records_of(model.model_, codes, model.classes_for(y, n))
    return texts_of(records) if isinstance(a, str) else records


def manifold(model: Autoencoder, n: int = 20, *, y: ArrayLike | None = None) -> NDArray[Any]:
    """Decode a grid of codes with two numbers, shape (n, n, *shape).

    The first number increases from left to right, the second from bottom to top. Their values are the quantiles
    (i + ½) / n: of N(0, 1) with a prior (Kingma and Welling 2014, appendix A), otherwise of the latent density, so that
    all columns and all rows have the same probability. A conditional model needs a label ``y``.

    Raises
    ------
    InvalidParameterError
        If the latent dimension is not two.
    """
    check_autoencoder(model, "manifold")
    check("manifold", "n", n, Integer(1))
    if model.n_latent_ != 2:
        raise InvalidParameterError(
            f"A manifold needs a model with latent dimension 2. This model has latent dimension {model.n_latent_}. "
            "Train a model with n_latent=2 (--latent 2)."
        )
    levels = (np.arange(n) + 0.5) / n
    if has_prior(model.model_):
        across = up = ndtri(levels)
    else:
        drawn = model.model_.current(LatentDensity).sample(_DRAWN, rng(0, Stream.MANIFOLD))
        across, up = np.quantile(drawn, levels, axis=0).T
    codes = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
    records = records_of(model.model_, possible_codes(model.model_, codes), model.classes_for(y, len(codes)))
    return records.reshape(n, n, *records.shape[1:])


def traversals(
    model: Autoencoder,
    record: ArrayLike | None = None,
    *,
    n: int = 11,
    span: float = 3.0,
    most: int = 16,
    y: ArrayLike | None = None,
) -> Traversals:
    """Decode codes in which one number varies and the others are constant.

    Number j has the values m_j + s σ_j for s from −span to span, with mean and standard deviation over all records,
    which are 0 and 1 with a prior. The rows are sorted by how much the records change.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
        record : array_like of shape (*shape), optional
        The record whose code gives the constant numbers. None: the mean code.
    n : int
        Number of columns.
    span : float
        Largest distance from the mean, in standard deviations.
    most : int
        Largest number of rows.
    y : label, optional
        For conditional models: the label for encoding and decoding.
    """
    check_autoencoder(model, "traversals")
    check("traversals", "n", n, Integer(2))
    check("traversals", "span", span, Real(0, open_low=True))
    check("traversals", "most", most, Integer(1))
    if has_prior(model.model_):
        mean, deviation = np.zeros(model.n_latent_), np.ones(model.n_latent_)
    else:
        density = model.model_.current(LatentDensity)
        mean, deviation = density.mean, density.deviation
    start = mean if record is None else _encoded(model, [record], y)[0]
    deviations = np.linspace(-span, span, n)

    def varied(number: int) -> NDArray[Any]:
        codes = np.tile(start, (n, 1))
        codes[:, number] = mean[number] + deviations * deviation[number]
        return possible_codes(model.model_, codes)

    every, classes = range(model.n_latent_), model.classes_for(y, n)
    changes = np.array([float(decode(model.chain_, varied(number), classes).var(axis=0).sum()) for number in every])
    numbers = np.argsort(-changes, kind="stable")[:most]
    records = np.stack([records_of(model.model_, varied(int(number)), classes) for number in numbers])
    return Traversals(tuple(numbers.tolist()), deviations, changes[numbers], records)


def _text(model: Autoencoder, text: str) -> NDArray[Any]:
    """Return a text as a record of the model, cut if it is longer."""
    found: NDArray[Any] = model.records_of([text]).values[0]
    return found


def _encoded(model: Autoencoder, records: Sequence[ArrayLike], y: ArrayLike | None) -> NDArray[np.float64]:
    """Return the flat codes (n, n_latent) of records, all with one label if the model is conditional."""
    arrays = [_text(model, record) if isinstance(record, str) else np.asarray(record) for record in records]
    for array in arrays:
        if array.shape != model.shape_:
            raise ShapeMismatchError(
                f"Each record must have the shape of the training records, {model.shape_}. Got {array.shape}."
            )
    stacked = np.stack(arrays)
    classes = model.classes_for(y, len(stacked))
    labels = None if classes is None else model.classes_[classes]
    return model.transform(Source(stacked), labels).astype(np.float64)
