"""Probes of codes: how well simple classifiers tell labels from codes, beside the values of records and PCA."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.data.labels import missing_labels
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.base import labels_of
from narrows.estimators.checks import records_for
from narrows.model.artefacts import ColumnBaselines
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Integer, SequenceOf, check
from narrows.uses.label_draws import check_classes, rows_of_each_class

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["CODES", "PCA", "Probe", "ProbeRow", "probe_codes"]

CODES, PCA = "codes", "PCA"
LINEAR, NEIGHBOURS = "linear", "10-NN"

_K = 10
_SHARE, _MOST_TEST = 0.25, 5000  # records on which the accuracy is measured
_MOST_STEPS = 300  # of the optimiser of a linear probe

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ProbeRow:
    """The accuracy of one classifier on one kind of features.

    Attributes
    ----------
    probe : "linear" or "10-NN"
        The classifier: logistic regression, or the most frequent label of the 10 nearest records.
    features : "codes", "pixels", "values" or "PCA"
        What it tells labels from.
    labels_per_class : int or None
        How many labels of each class it learned from; None: all.
    accuracies : tuple of float
        The share of the test records that it gets right, for each draw of the labels.
    """

    probe: str
    features: str
    labels_per_class: int | None
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float | None:
        """The standard deviation of the accuracy over the draws; None for one draw."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None


@dataclass(frozen=True)
class Probe:
    """The accuracies of all probes.

    Attributes
    ----------
    rows : tuple of ProbeRow
    n_train, n_test : int
        The number of records that labels are drawn from, and of those that the accuracy is measured on.
    classes : tuple
        The labels.
    n_numbers : int
        The number of numbers of a code, and of components of PCA.
    """

    rows: tuple[ProbeRow, ...]
    n_train: int
    n_test: int
    classes: tuple[Any, ...]
    n_numbers: int


def probe_codes(
    model: Autoencoder,
    data: Data,
    y: ArrayLike | None = None,
    *,
    test: tuple[Data, ArrayLike | None] | None = None,
    counts: Sequence[int] = (1, 10, 100),
    n_draws: int = 5,
    random_state: int = 0,
) -> Probe:
    """Return how well linear and nearest-neighbour classifiers tell labels from codes, from few labels and from all.

    The features are the codes, the values of the records, and as many principal components of these as a code has
    numbers. They are centred, and those of images, series and texts are divided by one number, those of tables column
    by column. The linear classifier is a logistic regression (C = 1). The other one takes the most frequent label of
    the 10 nearest records, or of as many as each class has labels.

    Parameters
    ----------
    model : Autoencoder
        A fitted model, best of other records.
    data : array_like of shape (n, *shape), path, name or Source
        The records. Those whose label is missing are left out.
    y : array_like of shape (n,), optional
        Their labels; by default their own.
    test : pair of records and labels (or None), optional
        Records that the accuracy is measured on. By default a quarter of the data, at most 5,000 records.
    counts : sequence of int
        Numbers of labels of each class. Numbers that some class does not have are left out.
    n_draws : int
        How often the labels are drawn.
    random_state : int
        Seed of the draws.

    Raises
    ------
    DataError
        If there are no labels, less than two classes, a label of a single record, or none of the numbers is possible.
    InvalidParameterError
        If the model is conditional.

    Examples
    --------
    >>> import narrows
    >>> model = narrows.recipe("auto", training__epochs=2, random_state=0).fit("digits:train")
    >>> found = probe_codes(model, "digits:test", counts=(1, 10), n_draws=2)
    >>> found.rows[0].features, found.rows[0].labels_per_class, 0.1 < found.rows[0].mean < 1
    ('codes', 1, True)
    """
    counts = check("probe_codes", "counts", tuple(counts), SequenceOf(Integer(1)))
    check("probe_codes", "n_draws", n_draws, Integer(1))
    source, labels = _labelled(model, data, y)
    check_classes(labels, source.name)
    if test is None:
        train, held_out = _split(labels, random_state)
        tested, its_labels, source, labels = source.take(held_out), labels[held_out], source.take(train), labels[train]
    else:
        tested, its_labels = _labelled(model, *test)
    features = _features(model, source, tested)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = _rows(features, labels, its_labels, counts=counts, n_draws=n_draws, seed=random_state)
    n_numbers = features[CODES][0].shape[1]
    return Probe(tuple(rows), len(source), len(tested), tuple(np.unique(labels).tolist()), n_numbers)


def _rows(
    features: dict[str, tuple[Floats, Floats]],
    labels: NDArray[Any],
    its_labels: NDArray[Any],
    *,
    counts: Sequence[int],
    n_draws: int,
    seed: int,
) -> list[ProbeRow]:
    n_each, rows = int(np.unique(labels, return_counts=True)[1].min()), []
    for n in [*sorted({one for one in counts if one <= n_each}), None]:
        drawn = range(n_draws if n is not None else 1)
        chosen = [_drawn(labels, n, draw, seed) for draw in drawn]
        for kind in (LINEAR, NEIGHBOURS):
            for name, (x, x_test) in features.items():
                right = []
                for some in chosen:
                    predicted = _classifier(kind, len(some), n).fit(x[some], labels[some]).predict(x_test)
                    right.append(float((predicted == its_labels).mean()))
                rows.append(ProbeRow(kind, name, n, tuple(right)))
    return rows


def _labelled(model: Autoencoder, data: Data, y: ArrayLike | None) -> tuple[Source, NDArray[Any]]:
    """Return the records that have labels, and their labels."""
    source = records_for(model, data, "probe_codes")
    if model.conditional:
        raise InvalidParameterError(
            "A probe needs codes that do not depend on labels. This model is conditional: its encoder gets the label."
        )
    missing = None if y is None else missing_labels(y)
    if missing is None or missing.shape != (len(source),) or not missing.any():
        return source, labels_of(source, y, owner="A probe")
    if missing.all():
        raise DataError(f"{source.name} has no labels: all of the {len(source):,} given are missing.")
    some = source.take(np.flatnonzero(~missing))
    return some, labels_of(some, np.asarray(y)[~missing])


def _split(labels: NDArray[Any], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to draw labels from, and those to measure on: a share of each class, of at least one record."""
    share = min(_SHARE, _MOST_TEST / len(labels))
    drawn_by, held_out = rng(seed, Stream.PROBE_HELD_OUT), []
    for label in np.unique(labels):
        rows = drawn_by.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: max(1, round(share * len(rows)))])
    out = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), out), out


def _drawn(labels: NDArray[Any], n: int | None, draw: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of n labels of each class; None: all."""
    if n is None:
        return np.arange(len(labels))
    return rows_of_each_class(labels, n * len(np.unique(labels)), rng(seed, Stream.PROBE_LABELS, n, draw))


def _features(model: Autoencoder, train: Source, test: Source) -> dict[str, tuple[Floats, Floats]]:
    """Return codes, values and principal components of records, for training and test."""
    x, x_test = (_values(model, one) for one in (train, test))
    z, z_test = (np.asarray(model.transform(one)).reshape(len(one), -1) for one in (train, test))
    if len(z) != len(x):
        raise InvalidParameterError("A probe needs records that are one code each. Here a text is several codes.")
    name = "pixels" if model.record_ == "image" else "values"
    scaled = _scaled(x, x_test, by_column=model.record_ in {"columns", "vector"})
    pca = PrincipalComponents.fit(scaled[0], z.shape[1], model.model_.seed)
    return {
        CODES: _scaled(z, z_test),
        name: scaled,
        PCA: _scaled(*map(pca.encode, scaled)),
    }


def _values(model: Autoencoder, source: Source) -> NDArray[Any]:
    """Return the values of records as numbers (n, d), missing ones as the mean; rows of tables as PCA takes them."""
    values = np.asarray(source.values, np.float32 if source.dtype.itemsize <= 2 else np.float64)
    base = model.model_.measured(ColumnBaselines.name) if model.record_ == "columns" else None
    if isinstance(base, ColumnBaselines):
        return base.centred(model.chain_, values.astype(np.float64))
    flat = values.reshape(len(values), -1)
    gone = ~np.isfinite(flat)
    if model.fill_value_ is not None:
        gone |= is_fill(flat, model.fill_value_)
    if not gone.any():
        return flat
    mean = np.where(gone, 0, flat).sum(0) / np.maximum((~gone).sum(0), 1)
    return np.where(gone, mean, flat)


def _scaled(x: NDArray[Any], x_test: NDArray[Any], *, by_column: bool = False) -> tuple[Floats, Floats]:
    """Return features centred and divided by their deviation, which is one number unless columns have their own."""
    mean = x.mean(0)
    deviation = x.std(0) if by_column else np.full(x.shape[1], math.sqrt(x.var(0).mean()))
    scale = np.where(deviation > 0, deviation, 1.0)
    first, second = (((one - mean) / scale).astype(np.float32) for one in (x, x_test))
    return first, second


def _classifier(kind: str, n: int, n_each: int | None) -> Any:
    """Return an unfitted classifier for n records, of which n_each of each class; None: any number."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if kind == LINEAR:
        return LogisticRegression(max_iter=_MOST_STEPS, tol=1e-3)
    return KNeighborsClassifier(min(_K, n, n_each or _K), algorithm="brute")
