"""Predictions of a classifier for many records: a table, and what is taken for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.data import Source
from narrows.data.labels import missing_labels
from narrows.errors import DataError
from narrows.estimators.classifier import AutoencoderClassifier
from narrows.uses.score_files import write_rows

__all__ = ["Predictions", "predict_classes"]

_ROWS = 1 << 14


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for n records.

    Attributes
    ----------
    source : Source
        The records.
    classes : ndarray of shape (n_classes,)
    probabilities : ndarray of shape (n, n_classes)
        Of each class.
    labels : ndarray of shape (n,), or None
        The labels that the records have, None where one is missing.
    """

    source: Source
    classes: NDArray[Any]
    probabilities: NDArray[np.float64]
    labels: NDArray[Any] | None

    @property
    def predicted(self) -> NDArray[Any]:
        """The most probable class of each record."""
        predicted: NDArray[Any] = self.classes[self.probabilities.argmax(axis=1)]
        return predicted

    @property
    def known(self) -> NDArray[np.int64]:
        """The records whose label is known."""
        return np.zeros(0, np.int64) if self.labels is None else np.flatnonzero(~missing_labels(self.labels))

    @property
    def error(self) -> float | None:
        """The share of the records with a label that are taken for another class; None if no record has one."""
        known = self.known
        if self.labels is None or not len(known):
            return None
        return float(np.mean(np.array(self.labels[known].tolist()) != self.predicted[known]))

    def confusion(self) -> NDArray[np.int64]:
        """Return how many records of each class (row) are taken for each class (column).

        Raises
        ------
        DataError
            If no record has a label.
        """
        known = self.known
        if self.labels is None or not len(known):
            raise DataError(f"{self.source.name} has no labels, with which predictions could be compared.")
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        rows = np.searchsorted(self.classes, np.array(self.labels[known].tolist()))
        np.add.at(counts, (rows, self.probabilities[known].argmax(axis=1)), 1)
        return counts

    def write(self, path: str, *, force: bool = False) -> None:
        """Write a table with the columns index, file (of images), label, predicted, and p of each class.

        Parameters
        ----------
        path : str
            As for `narrows.uses.score_files.write_rows`.
        force : bool
            Replace an existing file.
        """
        write_rows(path, self.columns, self._rows(), force=force)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of the table."""
        files = ["file"] if self.source.files is not None else []
        labels = ["label"] if self.labels is not None else []
        return ["index", *files, *labels, "predicted", *(f"p({one})" for one in self.classes.tolist())]

    def _rows(self) -> Iterator[list[list[Any]]]:
        predicted, n = self.predicted, len(self.source)
        for start in range(0, n, _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            columns: list[list[Any]] = [list(range(rows.start, rows.stop))]
            if self.source.files is not None:
                columns.append([str(one) for one in self.source.files[rows]])
            if self.labels is not None:
                columns.append([_plain(one) for one in self.labels[rows].tolist()])
            columns.append([_plain(one) for one in predicted[rows].tolist()])
            yield [*columns, *(column.tolist() for column in self.probabilities[rows].T)]


def predict_classes(model: AutoencoderClassifier, source: Source, y: ArrayLike | None = None) -> Predictions:
    """Return the predictions of a classifier for records, beside the labels that they have.

    Raises
    ------
    DataError
        If their number is another, or one of them is no class of the model.
    """
    labels = None if y is None else np.asarray(y)
    if labels is not None and labels.shape != (len(source),):
        raise DataError(
            f"Each record needs one label. Got {len(source):,} records in {source.name} and {len(labels):,} labels."
        )
    if labels is not None:
        model.check_labels(np.array(labels[~missing_labels(labels)].tolist()))
    return Predictions(source, model.classes_, model.predict_proba(source), labels)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
