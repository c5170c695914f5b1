"""Tables as typed columns for models: numbers as floats, and texts, with what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.tables.arrow_table import ArrowSource
from narrows.data.tables.asked import n_unlike
from narrows.data.tables.csv_table import CsvSource
from narrows.data.tables.csv_values import number_values
from narrows.data.tables.form import TableSource
from narrows.data.tables.moments import MomentRule
from narrows.data.tables.rules import CategoryRule, Encoded, NumberRule, Rule
from narrows.records.columns import Ids
from narrows.records.fields import NUMBERS, Field

__all__ = ["Typed", "TypedTable", "typed_table"]

_ROWS = 1 << 16
_DAY = 86_400.0
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Typed:
    """One column.

    Attributes
    ----------
    name, kind : str
        As in `narrows.records.Field`.
    numbers : ndarray of float64, shape (n,), or None
        The numbers, NaN where one is missing: dates are days since 1970, other moments seconds. None for texts.
    words : list of str or None, or None
        The texts, None where one is missing. None for numbers.
    digits, least : int
        Digits after the point of decimals, and how many of them are always written.
    pattern : str
        How a date or time is written in a file of text; empty for other columns.
    n_wrong : int
        The number of cells that are no values of the column's kind. They count as missing.
    """

    name: str
    kind: str
    numbers: npt.NDArray[np.float64] | None = None
    words: list[str | None] | None = None
    digits: int = 0
    least: int = 0
    pattern: str = ""
    n_wrong: int = 0

    def __len__(self) -> int:
        return len(self.words if self.numbers is None else self.numbers)  # type: ignore[arg-type]

    def take(self, rows: npt.NDArray[np.int64]) -> Typed:
        """Return some of the cells."""
        words = None if self.words is None else [self.words[row] for row in rows.tolist()]
        return replace(self, numbers=None if self.numbers is None else self.numbers[rows], words=words)

    @property
    def n_missing(self) -> int:
        """The number of cells that are missing."""
        if self.numbers is not None:
            return int(np.isnan(self.numbers).sum())
        return sum(word is None for word in self.words or ())


@dataclass(frozen=True, eq=False)
class TypedTable:
    """The columns of a table, all of n rows.

    Attributes
    ----------
    columns : tuple of Typed
    source : TableSource or None
        What they were read from; None for columns of an array.
    fields, texts : tuple of Field
        What the columns are for a model; see `narrows.data.tables.fields.fields_of`.
    skipped : tuple of str
        The names of columns that are left out.
    unknown : dict of str to int
        The numbers of cells that count as missing although they are not, by the names of their columns.
    """

    columns: tuple[Typed, ...]
    source: TableSource | None = None
    fields: tuple[Field, ...] = ()
    texts: tuple[Field, ...] = ()
    skipped: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)

    def take(self, rows: npt.NDArray[np.int64]) -> TypedTable:
        """Return some of the rows."""
        return replace(self, columns=tuple(one.take(rows) for one in self.columns), source=None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(one.name for one in self.columns)

    def column(self, name: str) -> Typed:
        """Return the column of a name."""
        return self.columns[self.names.index(name)]

    @property
    def is_plain(self) -> bool:
        """Whether all columns are numbers, none of them a date, and no cell is missing."""
        plain = ("integer", "decimal", "float")
        return all(one.kind in plain and not one.n_missing for one in self.columns)


def typed_table(source: TableSource) -> TypedTable:
    """Return all columns of a table."""
    if isinstance(source, ArrowSource):
        names = source.form.names
        made = [_of_arrow(name, source.form.rules[f], source.table.column(f)) for f, name in enumerate(names)]
        return TypedTable(tuple(made), source, skipped=source.skipped)
    assert isinstance(source, CsvSource), "tables are in files of text, or of Arrow"
    found: list[list[tuple[Any, int]]] = [[] for _ in source.form.names]
    dialect = source.form.dialect
    for group in source.groups(_ROWS):
        for rule, one, pieces in zip(source.form.rules, group.columns, found, strict=True):
            pieces.append(_piece(rule, dialect, one))
    columns = zip(source.form.names, source.form.rules, found, strict=True)
    made = [_of_text(name, rule, pieces) for name, rule, pieces in columns]
    return TypedTable(tuple(made), source, skipped=source.skipped)


def _piece(rule: Rule, dialect: Any, one: Encoded) -> tuple[Any, int]:
    """Return some cells of a file of text as numbers or words, and how many are no values of their kind."""
    if isinstance(rule, CategoryRule):
        assert isinstance(one.column, Ids), "the column has categories"
        words = [None if text == rule.absent else dialect.shown(text) for text in rule.dictionary]
        known: list[str | None] = [*words, None]
        listed = [known[i] for i in np.clip(one.column.values, 0, len(rule.dictionary)).tolist()]
        is_boolean = rule.kind == "boolean"
        for row, text in zip(one.rows.tolist(), one.texts, strict=True):
            listed[row] = None if is_boolean else dialect.shown(text)
        return listed, n_unlike(rule, dialect, one)
    return number_values(rule, dialect, one)


def _of_text(name: str, rule: Rule, pieces: list[tuple[Any, int]]) -> Typed:
    n_wrong = sum(n for _, n in pieces)
    if rule.kind not in NUMBERS:
        words = [word for words, _ in pieces for word in words]
        return _numbers_in(name, words) or Typed(name, rule.kind, words=words, n_wrong=n_wrong)
    numbers = np.concatenate([values for values, _ in pieces])
    if isinstance(rule, MomentRule):
        per = 1.0 if rule.kind == "date" else rule.units
        return Typed(name, rule.kind, numbers / per, pattern=rule.pattern, n_wrong=n_wrong)
    digits, least = (rule.digits, rule.least) if isinstance(rule, NumberRule) else (0, 0)
    return Typed(name, rule.kind, numbers, digits=digits, least=least, n_wrong=n_wrong)


def _numbers_in(name: str, words: list[str | None]) -> Typed | None:
    """Return a column whose words are all numbers, some with an exponent; archives store these as texts."""
    given = [word.strip() for word in words if word is not None]
    if not any("e" in word.lower() for word in given) or not all(_NUMBER.fullmatch(word) for word in given):
        return None
    return Typed(name, "float", np.array([np.nan if word is None else float(word) for word in words]))


def _of_arrow(name: str, rule: Rule, column: Any) -> Typed:
    """Return a column of a `pyarrow.Table`."""
    import pyarrow as pa

    kind = column.type
    if rule.kind not in NUMBERS:
        return Typed(name, rule.kind, words=[_word(one) for one in column.to_pylist()])
    per = 1.0
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        per = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        per *= _DAY if rule.kind == "date" else 1.0
    elif pa.types.is_date64(kind):
        per = _DAY * 1e3
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    digits, least = (rule.digits, rule.least) if isinstance(rule, NumberRule) else (0, 0)
    is_moment = rule.kind in {"date", "time", "datetime"}
    return Typed(name, rule.kind, numbers / per, digits=0 if is_moment else digits, least=0 if is_moment else least)


def _word(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
