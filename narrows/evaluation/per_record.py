"""The errors of single records: what `evaluate` measures of each, and the file that lists them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.io.files import write_atomically
from narrows.model.squared_errors import summed
from narrows.numerics.squares import SquaredSum

__all__ = ["Errors", "Scale", "check_ending", "record_columns", "write_per_record"]

Scale = NDArray[np.float64] | float

_ENDINGS = (".csv", ".npy")
_ROWS = 4096


class Errors:
    """The squared errors of one method, in the units of the data and in preprocessed units.

    Parameters
    ----------
    scale : float or ndarray of shape (*shape)
        The size of one preprocessed unit.

    Attributes
    ----------
    total, preprocessed_total : SquaredSum
        The sum over all values of all records.
    """

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.total = self.preprocessed_total = SquaredSum()
        self._parts: list[NDArray[np.float64]] = []
        self._preprocessed_parts: list[NDArray[np.float64]] = []

    def add(self, errors: NDArray[np.float64]) -> None:
        """Add the errors (n, *shape) of a batch, which are 0 for missing values."""
        with np.errstate(over="ignore"):
            preprocessed = errors / self.scale
            self._parts.append(summed(np.square(errors)))
            self._preprocessed_parts.append(summed(np.square(preprocessed)))
        self.total += SquaredSum.of(errors)
        self.preprocessed_total += SquaredSum.of(preprocessed)

    @property
    def of_records(self) -> NDArray[np.float64]:
        """The sum over the values of each record, shape (n_records,)."""
        return np.concatenate(self._parts)

    @property
    def preprocessed_of_records(self) -> NDArray[np.float64]:
        """The same in preprocessed units."""
        return np.concatenate(self._preprocessed_parts)


def record_columns(
    source: Source, y: ArrayLike | None, ours: Errors, by_pca: Errors | None, log_likelihood: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return the columns of the table of records, each of shape (n_records,); `evaluate` documents them.

    Errors of records whose values are all missing are NaN, as their log-likelihood is.
    """
    labels = source.named_labels if y is None else np.asarray(y)
    columns: dict[str, NDArray[Any]] = {"index": np.arange(len(source))}
    if source.files is not None:
        columns["name"] = np.array(source.files, dtype=object)
    if labels is not None and labels.shape == (len(source),):
        columns["label"] = labels
    errors = {"squared_error": ours.of_records, "preprocessed_squared_error": ours.preprocessed_of_records}
    if by_pca is not None:
        errors["pca_squared_error"] = by_pca.of_records
        errors["pca_preprocessed_squared_error"] = by_pca.preprocessed_of_records
    columns |= {name: np.where(np.isnan(log_likelihood), np.nan, of_records) for name, of_records in errors.items()}
    columns["log_likelihood"] = log_likelihood
    return columns


def check_ending(path: str | os.PathLike[str]) -> str:
    """Return the ending of a file for the table of records, in lower case.

    Raises
    ------
    InvalidParameterError
        If it is none of ``.csv`` and ``.npy``.
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidParameterError(
            f"The file for the errors of records (--per-record) must end in .csv or .npy. Got '{os.fspath(path)}'."
        )
    return ending


def write_per_record(
    path: str | os.PathLike[str], per_record: Mapping[str, NDArray[Any]], *, force: bool = False
) -> Path:
    """Write the table of records to a file, atomically.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.csv`` (UTF-8, one line for each record below the names of the columns; numbers have all
        their digits), or in ``.npy`` (a structured array, which ``pandas.DataFrame(numpy.load(path))`` takes).
    per_record : mapping of str to ndarray of shape (n_records,)
        ``evaluate(..., per_record=True)["per_record"]``.
    force : bool
        Replace an existing file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InvalidParameterError
        If the file has another ending.
    OutputExistsError, DataNotFoundError, OutputError
        As for `narrows.io.files.write_atomically`.
    """
    ending = check_ending(path)

    def write(file: BinaryIO) -> None:
        if ending == ".npy":
            np.save(file, _structured(per_record))
            return
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(per_record)
        columns = list(per_record.values())
        for start in range(0, len(columns[0]), _ROWS):
            table.writerows(zip(*(column[start : start + _ROWS].tolist() for column in columns), strict=True))
        text.detach()

    return write_atomically(path, write, force=force)


def _structured(per_record: Mapping[str, NDArray[Any]]) -> NDArray[np.void]:
    """Return columns as one structured array; names become strings of a fixed length."""
    columns = {
        name: column.astype(np.str_) if column.dtype.kind in "OU" else column for name, column in per_record.items()
    }
    n = len(next(iter(columns.values())))
    table = np.empty(n, dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table
