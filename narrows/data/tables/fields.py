"""Columns of a table as the values of records, by the fields that a model learned, and back."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from narrows.data.tables.cells import Cells
from narrows.data.tables.csv_table import CsvSource
from narrows.data.tables.csv_values import is_true
from narrows.data.tables.moments import USUAL_PATTERNS, MomentRule
from narrows.data.tables.typed import Typed, TypedTable, typed_table
from narrows.errors import DataError, DataWarning, warn
from narrows.records.fields import CATEGORIES, NUMBERS, Field

__all__ = ["MOST_CATEGORIES", "fields_of", "table_for", "values_of", "warn_of_unknown"]

MOST_CATEGORIES = 1024
"""The largest number of categories of a field: the most frequent. Others count as missing."""

_PLAIN = ("integer", "decimal", "float")
_DATES = ("date", "datetime")
_DAY = 86_400.0
_SHOWN = 5
_FREQUENT, _LEAST_TIMES, _MOST_FREQUENT = 0.01, 5, 32  # share and number of cells with a frequent number
_STEPPED = 1 << 50  # numbers up to which floats have a step


def fields_of(table: TypedTable) -> tuple[list[Field], list[Field]]:
    """Return the fields of the columns of a table, and those of columns of texts."""
    found = [replace(_field(one), place=place) for place, one in enumerate(table.columns)]
    return [one for one in found if not one.is_text], [one for one in found if one.is_text]


def _field(column: Typed) -> Field:
    if column.numbers is None:
        words = column.words or []
        counts = Counter(word for word in words if word is not None)
        nulls = 1 - counts.total() / max(len(words), 1)
        if column.kind not in CATEGORIES:
            return Field(column.name, column.kind, nulls=nulls)
        kept = sorted(word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_CATEGORIES])
        return Field(column.name, column.kind, tuple(kept), nulls=nulls)
    start, step = _grid(column)
    written = column.pattern or (f"{column.digits}.{column.least}" if column.kind == "decimal" else "")
    grid = Field(column.name, column.kind, start=start, step=step, atoms=_frequent(column.numbers), written=written)
    return grid.measured(column.numbers)


def _frequent(numbers: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Return the numbers that make a share of the cells that are there, the most frequent first."""
    values, times = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    order = np.argsort(-times, kind="stable")[:_MOST_FREQUENT]
    are = times[order] >= max(_FREQUENT * times.sum(), _LEAST_TIMES)
    return tuple(values[order][are].tolist())


def _grid(column: Typed) -> tuple[float, float]:
    """Return the start and the step of numbers that are all on a grid; 0, 0 for others."""
    assert column.numbers is not None, "the column has numbers"
    known = column.numbers[~np.isnan(column.numbers)] * 10.0**column.digits
    if not len(known) or np.abs(known).max() > _STEPPED:
        return 0.0, 0.0
    whole = np.round(known)
    if column.kind == "float" or np.abs(known - whole).max() > 1e-3:
        return 0.0, 0.0
    low = int(whole.min())
    step = int(np.gcd.reduce(whole.astype(np.int64) - low)) or 1
    return low / 10.0**column.digits, step / 10.0**column.digits


def table_for(
    table: TypedTable,
    fields: Sequence[Field],
    texts: Sequence[Field],
    skipped: Sequence[str],
    source: str,
    *,
    advice: str = "",
) -> TypedTable:
    """Return a table with the columns that a model learned, by their names, in their order and of their kinds.

    Parameters
    ----------
    table : TypedTable
    fields, texts : sequence of Field
        The columns that the model learned.
    skipped : sequence of str
        The names of columns that its training left out, and that are left out here.
    source : str
        The name of the data in messages.
    advice : str
        What else to do with additional columns.

    Raises
    ------
    DataError
        If columns are missing, or there are more; columns of texts may be missing.
    """
    known = [one.name for one in (*fields, *texts)]
    lacking = [one.name for one in fields if one.name not in table.names]
    more = [name for name in table.names if name not in known and name not in skipped]
    if lacking or more:
        words = [
            f"{word}: {', '.join(map(repr, names[:_SHOWN]))}{' …' if len(names) > _SHOWN else ''}"
            for word, names in (("missing", lacking), ("additional", more))
            if names
        ]
        raise DataError(
            f"The columns of {source} are not those that the model learned from ({'; '.join(words)}). Their order may "
            "differ. Give data with the same columns; leave additional ones out by columns='NAME:skip' "
            f"(--columns NAME:skip).{advice if more else ''}"
        )
    kinds = {one.name: one.kind for one in (*fields, *texts) if one.name in table.names}
    other = {name: kind for name, kind in kinds.items() if not _alike(kind, table.column(name).kind)}
    if other and isinstance(table.source, CsvSource):
        table = typed_table(table.source.read_again(other))
    return replace(table, columns=tuple(table.column(one) for one in known if one in table.names))


def _alike(wanted: str, found: str) -> bool:
    """Return whether a column of one kind is read as one of another kind is."""
    return wanted == found or any(wanted in kinds and found in kinds for kinds in (_PLAIN, _DATES))


def values_of(table: TypedTable, fields: Sequence[Field]) -> tuple[npt.NDArray[np.float64], dict[str, int]]:
    """Return the records (n, n_fields) of a table with these columns.

    Returns
    -------
    values : ndarray of float64, shape (n, n_fields)
    unknown : dict of str to int
        The numbers of cells that count as missing since they are no values of their column, by its name.
    """
    n = len(table.columns[0]) if table.columns else 0
    values = np.full((n, len(fields)), np.nan)
    unknown: dict[str, int] = {}
    for place, field in enumerate(fields):
        column = table.column(field.name)
        values[:, place], n_unknown = _encoded(field, column)
        if n_unknown:
            unknown[field.name] = n_unknown
    return values, unknown


def warn_of_unknown(unknown: Mapping[str, int], source: str) -> None:
    """Warn of cells that count as missing although they are not, by the names of their columns, if there are some."""
    if not unknown:
        return
    listed = ", ".join(f"{n:,} in '{name}'" for name, n in list(unknown.items())[:_SHOWN])
    total = sum(unknown.values())
    warn(
        DataWarning(
            f"{source}: {total:,} cell{'s' if total > 1 else ''} of new or rare categories, or of texts in a column of "
            f"other values, count as missing: {listed}{' …' if len(unknown) > _SHOWN else ''}.",
            kind="cells",
            count=total,
            first=next(iter(unknown)),
        )
    )


def _encoded(field: Field, column: Typed) -> tuple[npt.NDArray[np.float64], int]:
    """Return the cells of a column as values of a field, and how many of them it does not know."""
    if field.kind in NUMBERS:
        if column.numbers is not None and _alike(field.kind, column.kind):
            return _in_units(field, column), column.n_wrong
        if column.numbers is not None:
            return np.full(len(column), np.nan), len(column) - column.n_missing + column.n_wrong
        words = column.words or []
        is_moment = field.kind in USUAL_PATTERNS
        read = _moments(field, words) if is_moment else np.array([_number(word) for word in words])
        return read, int(np.isnan(read).sum()) - column.n_missing
    known: dict[str | None, float] = {None: np.nan} | {word: float(i) for i, word in enumerate(field.categories)}
    meanings = {meaning: known[word] for word in reversed(field.categories) for meaning in _meanings(field, word)}
    words = column.words if column.words is not None else _as_words(column)
    for word in set(words) - known.keys():  # written in another way, such as 7 and 7.0
        assert word is not None, "a missing cell is known"
        known[word] = next((meanings[one] for one in _meanings(field, word) if one in meanings), np.nan)
    coded = np.array([known[word] for word in words], np.float64)
    return coded, int(np.isnan(coded).sum()) - column.n_missing + column.n_wrong


def _meanings(field: Field, word: str) -> list[float | bool]:
    """Return the number that a category is, and whether it is true in a column of booleans."""
    meaning = is_true(word) if field.kind == "boolean" else _number(word)
    return [] if meaning is None or np.isnan(meaning) else [meaning]


def _in_units(field: Field, column: Typed) -> npt.NDArray[np.float64]:
    """Return the numbers of a column in the units of a field: dates are in days, dates with times in seconds."""
    assert column.numbers is not None, "the column has numbers"
    if (field.kind, column.kind) == ("date", "datetime"):
        return np.floor(column.numbers / _DAY)
    return column.numbers * _DAY if (field.kind, column.kind) == ("datetime", "date") else column.numbers


def _moments(field: Field, words: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """Return the dates or times that texts have, written as the field writes them; NaN for others."""
    rule = MomentRule(kind=field.kind, pattern=field.written or USUAL_PATTERNS[field.kind])
    whole, wrong = rule.whole(Cells.of([(word or "").encode() for word in words]))
    return np.where(wrong, np.nan, whole / (1.0 if field.kind == "date" else rule.units))


def _number(word: str | None) -> float:
    with contextlib.suppress(ValueError, TypeError):
        value = float(word)  # type: ignore[arg-type]
        return value if np.isfinite(value) else np.nan
    return np.nan


def _as_words(column: Typed) -> list[str | None]:
    """Return numbers as texts, as categories that look like numbers are written."""
    assert column.numbers is not None, "the column has numbers"
    digits = column.digits if column.kind == "decimal" else 0
    return [None if np.isnan(one) else f"{one:.{digits}f}" for one in column.numbers.tolist()]
