"""Values of records as the cells of a table again: texts for files, and columns of data frames."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.tables.moments import USUAL_PATTERNS, MomentRule
from narrows.errors import MissingPackageError
from narrows.records.fields import Field

__all__ = ["csv_of", "frame_of", "in_order", "values_in_place", "words_of"]

_ROWS = 4096
_LARGEST = 2.0**62


def values_in_place(fields: Sequence[Field], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return restored records (n, n_fields) with the nearest values that the columns may have; NaN stays."""
    made = [one.possible(column) for one, column in zip(fields, np.asarray(values, np.float64).T, strict=True)]
    return np.stack(made, 1) if made else np.asarray(values, np.float64)


def words_of(field: Field, values: npt.NDArray[np.float64]) -> list[str | None]:
    """Return values (n,) of a column as texts, as the training data write them; None for missing ones.

    Examples
    --------
    >>> words_of(Field("price", "decimal", step=0.01, written="2.2"), np.array([1.5, np.nan]))
    ['1.50', None]
    """
    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    if field.n_categories:
        entries = field.categories or ("",)
        words = [entries[i] for i in np.clip(np.round(known), 0, len(entries) - 1).astype(int).tolist()]
    elif field.kind in USUAL_PATTERNS:
        words = _moments(field, known)
    elif field.kind == "integer":
        words = [str(int(one)) for one in np.round(np.clip(known, -_LARGEST, _LARGEST)).tolist()]
    elif field.kind == "decimal" and field.written:
        digits, least = map(int, field.written.split("."))
        words = [_trimmed(f"{one:.{digits}f}", digits - least) for one in known.tolist()]
    else:
        words = [f"{one:.12g}" for one in known.tolist()]
    return [None if gone else word for word, gone in zip(words, missing.tolist(), strict=True)]


def _trimmed(text: str, most: int) -> str:
    """Return a decimal without up to so many zeros at its end."""
    for _ in range(most):
        if not text.endswith("0"):
            break
        text = text[:-1]
    return text.removesuffix(".")


def _moments(field: Field, values: npt.NDArray[np.float64]) -> list[str]:
    rule = MomentRule(kind=field.kind, pattern=field.written or USUAL_PATTERNS[field.kind])
    per = 1.0 if field.kind == "date" else rule.units
    whole = np.round(values * per).astype(np.int64)
    if field.kind == "time":
        whole = np.mod(whole, rule.per_day)
    return [text.decode() for text in rule.written(whole).texts()]


def in_order(fields: Sequence[Field], texts: Mapping[str, Any], columns: Mapping[str, Any]) -> list[str]:
    """Return the names of columns in the order of the training table; those of texts come where it has them."""
    names = [one.name for one in sorted(fields, key=lambda one: one.place)]
    taken = {one.place for one in fields}
    free = iter([place for place in range(len(columns)) if place not in taken])
    for name in texts:
        names.insert(next(free, len(names)), name)
    return names


def csv_of(names: Sequence[str], columns: Mapping[str, Sequence[str | None]]) -> Iterator[bytes]:
    """Return the bytes of a CSV file, piece by piece; missing cells are empty.

    Parameters
    ----------
    names : sequence of str
        The names of the columns, in order.
    columns : mapping of str to sequence of str or None
        The texts of the cells of each column.
    """
    n = len(columns[names[0]]) if names else 0
    for start in range(-1, n, _ROWS):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if start < 0:
            writer.writerow(names)
        some = [columns[name][max(start, 0) : start + _ROWS] for name in names]
        writer.writerows([["" if cell is None else cell for cell in row] for row in zip(*some, strict=True)])
        yield text.getvalue().encode()


def frame_of(
    fields: Sequence[Field], values: npt.NDArray[np.float64], texts: Mapping[str, Sequence[str | None]], of: Any
) -> Any:
    """Return records as a data frame: of pandas, or of polars if ``of`` is one.

    Parameters
    ----------
    fields : sequence of Field
        One for each value of a record.
    values : ndarray of shape (n, n_fields)
        The records.
    texts : mapping of str to sequence of str or None
        Further columns, of texts.
    of : DataFrame or any other data
        Columns of this frame give the order and the dtypes, and the index.

    Raises
    ------
    MissingPackageError
        If pandas is not installed.
    """
    columns = {one.name: _column(one, values[:, place]) for place, one in enumerate(fields)}
    columns |= {name: list(words) for name, words in texts.items()}
    columns = {name: columns[name] for name in in_order(fields, texts, columns)}
    package = type(of).__module__.partition(".")[0]
    if package == "polars":
        return sys.modules["polars"].DataFrame({name: _plain(column) for name, column in columns.items()})
    try:
        pd = import_module("pandas")
    except ImportError as error:
        raise MissingPackageError(
            "A table is returned as a data frame of pandas, which is not installed. Install pandas, or set dtype=float "
            "for an array of numbers."
        ) from error
    frame = pd.DataFrame(columns)
    if package != "pandas":
        return frame
    frame = frame[[name for name in of.columns if name in columns]]
    if len(frame) == len(of):
        frame.index = of.index
    for name in frame.columns:
        try:
            frame[name] = frame[name].astype(of[name].dtype)
        except (TypeError, ValueError):  # the column of the given frame holds fewer values
            continue
    return frame


def _column(field: Field, values: npt.NDArray[np.float64]) -> Any:
    """Return a column of a data frame."""
    missing = np.isnan(values)
    if field.kind in {"date", "datetime"}:
        unit, per = ("D", 1.0) if field.kind == "date" else ("us", 1e6)
        made = (np.where(missing, 0, values) * per).round().astype("int64").astype(f"M8[{unit}]")
        made[missing] = np.datetime64("NaT")
        return made.astype("M8[s]" if unit == "D" else "M8[us]")
    if field.kind == "boolean" and {word.lower() for word in field.categories} <= {"true", "false"}:
        truths = [None if word is None else word.lower() == "true" for word in words_of(field, values)]
        return truths if missing.any() else np.array(truths, bool)
    if field.n_categories or field.kind == "time":
        return words_of(field, values)
    if field.kind == "integer" and not missing.any():
        return np.round(values).astype(np.int64)
    return values


def _plain(column: Any) -> Any:
    return column.tolist() if isinstance(column, np.ndarray) and column.dtype.kind == "M" else column
