"""Some of the labels of records, the same number of each class, as if the others were missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.labels import missing_labels
from narrows.errors import DataError
from narrows.numerics.randomness import Stream, rng

__all__ = ["check_classes", "few_labels", "rows_of_each_class"]

_SHOWN = 5


def check_classes(labels: NDArray[Any], name: str) -> None:
    """Refuse labels of less than two classes, or one that a single record has.

    Raises
    ------
    DataError
        Names the labels.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise DataError(
            f"A classifier needs records of at least two classes. All of {name} have the label {classes.tolist()[0]!r}."
        )
    once = classes[counts == 1].tolist()
    if once:
        shown = ", ".join(map(repr, once[:_SHOWN])) + " …" * (len(once) > _SHOWN)
        these = f"each of {len(once):,} labels: {shown}" if len(once) > 1 else f"the label {shown}"
        raise DataError(
            f"Each label must be that of at least two records. In {name} there is one record with {these}. Leave such "
            "records out, correct the label, or leave it empty if it is unknown. Numbers that are no classes cannot be "
            "predicted."
        )


def rows_of_each_class(labels: NDArray[Any], n: int, drawn_by: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows of n labels drawn at random, in order, of each class as many, or as many as there are.

    What cannot be divided by the number of classes falls to classes drawn at random.
    """
    classes, positions = np.unique(labels, return_inverse=True)
    of_classes = [drawn_by.permutation(np.flatnonzero(positions == c)) for c in range(len(classes))]
    order = drawn_by.permutation(len(classes))
    turns = [
        (turn, place, int(of_classes[c][turn])) for place, c in enumerate(order) for turn in range(len(of_classes[c]))
    ]
    return np.sort(np.array([row for _, _, row in sorted(turns)[:n]], np.int64))


def few_labels(labels: NDArray[Any], n: int, *, seed: int) -> NDArray[Any]:
    """Return labels (m,) of which n are left, the same number of each class, and the others None.

    Raises
    ------
    DataError
        If there are fewer labels, or n is smaller than the number of classes.

    Examples
    --------
    >>> few_labels(np.array(["a", "a", "b", "b"]), 2, seed=0).tolist()
    ['a', None, 'b', None]
    """
    known = np.flatnonzero(~missing_labels(labels))
    classes = np.unique(labels[known].tolist())
    if not len(classes) <= n <= len(known):
        raise DataError(
            f"The number of labels must be at least that of the classes, {len(classes)}, and at most that of the known "
            f"labels, {len(known):,}. Got {n:,}."
        )
    rows = known[rows_of_each_class(np.array(labels[known].tolist()), n, rng(seed, Stream.FEW_LABELS))]
    left = np.full(len(labels), None, object)
    left[rows] = np.asarray(labels, object)[rows]
    return left
