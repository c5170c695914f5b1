"""New rows of a table, and rows whose missing and impossible cells are filled, by a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.data.tables.fields import values_of
from narrows.data.tables.new_texts import new_texts
from narrows.data.tables.restored import values_in_place
from narrows.data.tables.typed import Typed, TypedTable
from narrows.errors import DataError, UnknownNameError
from narrows.estimators.learned import LearnedAttributes
from narrows.model.artefacts import ColumnBaselines
from narrows.model.columns import filled, sample_rows
from narrows.model.inference import noise_of
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Integer, check
from narrows.records import Field

if TYPE_CHECKING:
    from narrows.estimators.table_rows import Fields

__all__ = ["NewRows", "Repaired", "new_rows", "repaired"]

Floats = NDArray[np.float64]
_MOST_SHOWN = 8


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows that were drawn.

    Attributes
    ----------
    values : ndarray of shape (n, n_columns)
    texts : dict of str to list of str
        The columns of texts.
    n_known : int or None
        How many of the rows are rows of the training table, apart from texts; None if that is not known.
    """

    values: Floats
    texts: dict[str, list[str | None]]
    n_known: int | None


def new_rows(
    model: LearnedAttributes, n: int, fields: Fields, *, given: Mapping[str, Any] | None = None, seed: int = 0
) -> NewRows:
    """Return n rows that a model of a table draws, column by column, with missing cells as often as in training.

    Parameters
    ----------
    model : Autoencoder
        A fitted model of a table.
    n : int
    fields : tuple
        Its columns.
    given : mapping of str to value, optional
        Values of some columns, by their names.
    seed : int

    Raises
    ------
    UnknownNameError
        If there is no column of such a name.
    DataError
        If a given value is none of its column.
    """
    check("sample", "n", n, Integer(1))
    columns, texts, _ = fields
    start = np.tile(_given(columns, given or {}), (n, 1))
    fixed = ~np.isnan(start)
    drawn = sample_rows(model.chain_, start, noise_of(model.chain_, seed, Stream.SAMPLED_RECORDS))
    values = np.where(fixed, start, values_in_place(columns, drawn))
    numbers = rng(seed, Stream.SAMPLED_CODES)
    shares = np.array([one.nulls for one in columns])
    values[(numbers.random(values.shape) < shares) & ~fixed] = np.nan
    words: dict[str, list[str | None]] = {
        one.name: list(new_texts(model.model_.arrays, number, n, numbers)) for number, one in enumerate(texts)
    }
    base = model.model_.measured(ColumnBaselines.name)
    return NewRows(values, words, base.n_known_rows(values) if isinstance(base, ColumnBaselines) else None)


def _given(fields: tuple[Field, ...], given: Mapping[str, Any]) -> Floats:
    """Return a row (n_columns,) with the given values, and NaN elsewhere."""
    row, names = np.full(len(fields), np.nan), [one.name for one in fields]
    for name, value in given.items():
        if name not in names:
            raise UnknownNameError("column of the model", str(name), names)
        place = names.index(name)
        field, word = fields[place], str(value)
        column = Typed(name, "text", words=[word])
        number = values_of(TypedTable((column,)), [field])[0][0, 0]
        if np.isnan(number):
            listed = ", ".join(field.categories[:_MOST_SHOWN]) + " …" * (len(field.categories) > _MOST_SHOWN)
            what = f"one of {listed}" if field.n_categories else f"a number, of a column with {field.kind}s"
            raise DataError(f"The value of '{name}' must be {what}. Got {word!r:.60}.")
        row[place] = number
    return row


@dataclass(frozen=True, eq=False)
class Repaired:
    """Rows (n, n_columns) whose cells are all there, and which of them were missing, and which impossible."""

    values: Floats
    were_missing: NDArray[np.bool_]
    were_impossible: NDArray[np.bool_]


def repaired(model: LearnedAttributes, source: Source, fields: tuple[Field, ...]) -> Repaired:
    """Return rows in which a model fills missing cells, and replaces impossible ones, by the others of their row.

    Numbers are impossible if they are beyond the range of the training data by more than a tenth of it. Texts in a
    column of numbers, and categories that the training data lack, are missing.
    """
    values = np.asarray(source.values, np.float64)
    missing = np.isnan(values)
    possible = np.stack([one.are_possible(column) for one, column in zip(fields, values.T, strict=True)], 1)
    known = np.where(missing | ~possible, np.nan, values)
    restored = values_in_place(fields, filled(model.chain_, known))
    return Repaired(np.where(np.isnan(known), restored, values), missing, ~missing & ~possible)
