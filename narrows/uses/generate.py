"""Generation: new records from codes that lie between, around and across those of records.

====================  =========================================================================
`between`             the straight line from one record's code to another's
`manifold`            codes of two numbers, all over the plane
`traversals`          one number of a code after the other, from low to high
====================  =========================================================================

All return what the decoder makes of the codes, in the units of the training data, and in their dtype unless they are
tables of whole numbers or booleans, which come back as floats: see `Autoencoder.reconstruct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted

from narrows.data import Source
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.estimators.autoencoder import Autoencoder
from narrows.model.artefacts import LatentDensity
from narrows.model.inference import decode
from narrows.model.sampling import has_prior, possible_codes, records_of
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Real, Whole, check

__all__ = ["Traversals", "between", "manifold", "traversals"]

_DRAWN = 10_000  # codes that quantiles of the density are taken from


@dataclass(frozen=True, eq=False)
class Traversals:
    """What single numbers of a code change in a record.

    Attributes
    ----------
    numbers : tuple of int
        Which number of the code each row varies, from 0; those that change records most come first.
    deviations : ndarray of shape (n,)
        How far it is from its mean, in standard deviations; the columns.
    changes : ndarray of shape (rows,)
        By how much each row's values vary: their variance over the columns, summed over the record, in data units.
    records : ndarray of shape (rows, n, *shape)
        In the units of the training data, and their dtype or floats, as `Autoencoder.reconstruct` returns them.
    """

    numbers: tuple[int, ...]
    deviations: NDArray[np.float64]
    changes: NDArray[np.float64]
    records: NDArray[Any]


def between(model: Autoencoder, a: ArrayLike, b: ArrayLike, n: int = 10, *, y: ArrayLike | None = None) -> NDArray[Any]:
    """Return the records on the straight line between two records' codes, both ends included; shape (n, *shape).

    z_i = (1 − t_i) z_a + t_i z_b for t from 0 to 1 in equal steps. Under a normal prior, codes half-way are nearer to
    zero than most draws are; an arc would keep its distance, but means nothing for codes without such a prior.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    a, b : array_like of shape (*shape)
        The two records.
    n : int
        How many steps, at least 2.
    y : label, optional
        Of a conditional model: the label that both are encoded, and all are decoded, under.
    """
    check_is_fitted(model)
    check("between", "n", n, Whole(2))
    ends = _encoded(model, [a, b], y)
    t = np.linspace(0, 1, n)[:, None]
    codes = possible_codes(model.model_, (1 - t) * ends[0] + t * ends[1])
    return records_of(model.model_, codes, model.classes_for(y, n))


def manifold(model: Autoencoder, n: int = 20, *, y: ArrayLike | None = None) -> NDArray[Any]:
    """Return the records of codes of two numbers all over the plane, shape (n, n, *shape).

    The first number grows from left to right, the second from the bottom up; each goes through its quantiles
    (i + ½) / n, those of N(0, 1) under a prior (Kingma and Welling 2014, appendix A) and of the training codes' density
    without, so that every column and every row stands for as many records. A conditional model needs a label ``y``.

    Raises
    ------
    InvalidParameterError
        If the model's codes have another length than two.
    """
    check_is_fitted(model)
    check("manifold", "n", n, Whole(1))
    if model.n_latent_ != 2:
        raise InvalidParameterError(
            f"A manifold is drawn of codes of two numbers. The model's have {model.n_latent_}. "
            "Train one with n_latent=2 (--latent 2)."
        )
    levels = (np.arange(n) + 0.5) / n
    if has_prior(model.model_):
        across = up = ndtri(levels)
    else:
        drawn = model.model_.artefact(LatentDensity).sample(_DRAWN, rng(0, Stream.MANIFOLD))
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
    """Return what changes as one number of a code goes from low to high and the others stay.

    Number j takes the values m_j + s σ_j for s from −span to span: mean and standard deviation over all records, which
    are 0 and 1 under a prior. Rows come in the order of how much they change.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    record : array_like of shape (*shape), optional
        Whose code the others stay at. None: the mean code.
    n : int
        Columns.
    span : float
        How many standard deviations to either side.
    most : int
        Rows at most.
    y : label, optional
        Of a conditional model: the label under which records are encoded and decoded.
    """
    check_is_fitted(model)
    check("traversals", "n", n, Whole(2))
    check("traversals", "span", span, Real(0, open_low=True))
    check("traversals", "most", most, Whole(1))
    if has_prior(model.model_):
        mean, deviation = np.zeros(model.n_latent_), np.ones(model.n_latent_)
    else:
        density = model.model_.artefact(LatentDensity)
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


def _encoded(model: Autoencoder, records: Sequence[ArrayLike], y: ArrayLike | None) -> NDArray[np.float64]:
    """Return the flat codes (n, n_latent) of some records, all of one label if the model is told labels."""
    arrays = [np.asarray(record) for record in records]
    for array in arrays:
        if array.shape != model.shape_:
            raise ShapeMismatchError(f"The model's records have shape {model.shape_}. Got one of {array.shape}.")
    stacked = np.stack(arrays)
    classes = model.classes_for(y, len(stacked))
    labels = None if classes is None else model.classes_[classes]
    return model.transform(Source(stacked), labels).astype(np.float64)
