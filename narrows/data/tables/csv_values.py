"""The values that the cells of a file of text stand for, as Python's own values and as Arrow arrays."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narrows.data.tables.dialect import Dialect
from narrows.data.tables.inference import NULLS
from narrows.data.tables.moments import MomentRule
from narrows.data.tables.rules import CategoryRule, Encoded, FloatRule, NumberRule, Rule, unordered
from narrows.records.columns import Ids, Numbers, Texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_values", "is_true", "number_values", "python_values"]

_TRUE = {"true", "t", "yes", "y", "on", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "off", "0", "0.0"}
_EXACT = 1 << 53  # up to which whole numbers are floats
_UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}  # by the digits of a second
_MIDNIGHT = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Values:
    """A column of values: numbers or texts, where values are missing, and what the exceptions stand for.

    Attributes
    ----------
    values : ndarray (n,) or list of str or bool
    missing : ndarray of bool, shape (n,)
    others : dict of int to value
        What exceptions stand for, by their rows; None for those that are no value of the column's kind.
    """

    values: Any
    missing: npt.NDArray[np.bool_]
    others: dict[int, Any]


def python_values(rule: Rule, dialect: Dialect, one: Encoded) -> list[Any]:
    """Return the values of a column: numbers, booleans, dates, texts, and None for missing ones.

    Exceptions that are no values of the column's kind are texts.
    """
    found = _values(rule, dialect, one)
    if isinstance(rule, MomentRule):
        made = _moments(rule, found.values)
    else:
        made = found.values.tolist() if isinstance(found.values, np.ndarray) else list(found.values)
    for row in np.flatnonzero(found.missing).tolist():
        made[row] = None
    for row, text in zip(one.rows.tolist(), one.texts, strict=True):
        other = found.others.get(row)
        made[row] = dialect.shown(text) if other is None and text != rule.null else other
    return made


def arrow_values(rule: Rule, dialect: Dialect, one: Encoded) -> pa.Array:
    """Return the values of a column as an Arrow array. Exceptions that are no values of the column's kind are null."""
    import pyarrow as pa

    found = _values(rule, dialect, one)
    missing, values = found.missing.copy(), found.values
    for row in one.rows.tolist():
        missing[row] = found.others.get(row) is None
    if isinstance(rule, CategoryRule) and rule.kind != "boolean" and isinstance(one.column, Ids) and not len(one.rows):
        words = pa.array([_shown(rule, dialect, text) for text in rule.dictionary], pa.string())
        ids = pa.array(np.minimum(one.column.values, max(0, len(rule.dictionary) - 1)).astype(np.int32), mask=missing)
        return pa.DictionaryArray.from_arrays(ids, words)
    if isinstance(values, np.ndarray):
        values = values.copy()
        for row, other in found.others.items():
            if other is not None:
                values[row] = other
        made = pa.array(values, mask=missing)
        return _cast(made, rule) if isinstance(rule, MomentRule) else made
    listed = list(values)
    for row, other in found.others.items():
        listed[row] = other
    kind = pa.bool_() if rule.kind == "boolean" else pa.string()
    made = pa.array([None if absent else value for value, absent in zip(listed, missing.tolist(), strict=True)], kind)
    return made.dictionary_encode() if isinstance(rule, CategoryRule) and rule.kind != "boolean" else made


def number_values(rule: Rule, dialect: Dialect, one: Encoded) -> tuple[Any, int]:
    """Return numbers (n,) as floats with NaN where one is missing, or a list of texts with None there.

    Dates and times are in the units of their rule.

    Returns
    -------
    values : ndarray of float64 or list
    n_wrong : int
        The number of exceptions that are no values of the column's kind; they are missing.
    """
    found = _values(rule, dialect, one)
    missing, n_wrong = found.missing.copy(), 0
    if not isinstance(found.values, np.ndarray):
        listed = [None if gone else text for text, gone in zip(found.values, missing.tolist(), strict=True)]
        for row, text in found.others.items():
            listed[row] = text
        return listed, 0
    numbers = found.values.astype(np.float64)
    for row, text in zip(one.rows.tolist(), one.texts, strict=True):
        other = found.others.get(row)
        missing[row] = other is None
        numbers[row] = 0.0 if other is None else other
        n_wrong += other is None and text != rule.null and text not in NULLS
    numbers[missing | ~np.isfinite(numbers)] = np.nan
    return numbers, n_wrong


def _values(rule: Rule, dialect: Dialect, one: Encoded) -> Values:
    column = one.column
    n = len(column.values)
    missing = np.zeros(n, bool) if column.missing is None else column.missing.copy()
    if isinstance(column, Numbers):
        values, read = _numbers(rule, column)
        others = {row: read(dialect.shown(text)) for row, text in zip(one.rows.tolist(), one.texts, strict=True)}
        missing[one.rows] = False
        return Values(values, missing, others)
    if isinstance(column, Ids):
        assert isinstance(rule, CategoryRule), "categories have a dictionary"
        entries, ids = [*rule.dictionary, b""], np.clip(column.values, 0, len(rule.dictionary))
        words = {i: _shown(rule, dialect, entries[i]) for i in np.unique(ids).tolist()}
        listed = [words[i] for i in ids.tolist()]
        missing |= np.array([word is None for word in listed], bool)
    else:
        assert isinstance(column, Texts), "the column has texts"
        mark = bytes([dialect.quote]) if rule.quoted else b""
        listed = [dialect.shown(mark + text + mark) for text in column.values]
    texts = {row: dialect.shown(text) for row, text in zip(one.rows.tolist(), one.texts, strict=True)}
    if rule.kind == "boolean":
        return Values([None if word is None else is_true(word) is True for word in listed], missing, {})
    missing[one.rows] = False
    return Values(listed, missing, texts)


def is_true(word: str) -> bool | None:
    """Return whether a word of a column of booleans stands for true; None for other words."""
    small = word.lower()
    return True if small in _TRUE else False if small in _FALSE else None


def _shown(rule: CategoryRule, dialect: Dialect, text: bytes) -> str | None:
    return None if text == rule.absent else dialect.shown(text)


def _numbers(rule: Rule, column: Numbers) -> tuple[npt.NDArray[Any], Callable[[str], Any]]:
    """Return the numbers of a column, and what reads one from a text; it returns None for other texts."""
    if isinstance(rule, FloatRule):
        return unordered(column.values), _float
    if isinstance(rule, NumberRule):
        values = rule.numbers(column)
        if not rule.digits:
            return values, _integer
        if np.abs(values).max(initial=0) < _EXACT:
            return values / 10.0**rule.digits, _float
        return np.array([float(text) for text in rule.written(values).texts()]), _float
    assert isinstance(rule, MomentRule), "the column has dates or times"
    return rule.numbers(column), lambda text: None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _integer(text: str) -> int | None:
    try:
        found = int(text)
    except ValueError:
        number = _float(text)  # 7.0 is a whole number, too
        found = int(number) if number is not None and abs(number) < _EXACT and number.is_integer() else 1 << 63
    return found if abs(found) < 1 << 63 else None


def _scaled(rule: MomentRule) -> tuple[int, str]:
    """Return the factor from the units of a rule to those of Arrow and NumPy, and the latter."""
    if not rule.per_second:
        return (1, "D") if rule.per_day == 1 else (60, "s")
    digits = len(str(rule.per_second)) - 1
    unit = next(known for known in _UNITS if known >= digits)
    return 10 ** (unit - digits), _UNITS[unit]


def _moments(rule: MomentRule, values: npt.NDArray[np.int64]) -> list[Any]:
    """Return dates and times as Python's; those with nanoseconds as `numpy.datetime64`."""
    factor, unit = _scaled(rule)
    if rule.kind == "time":
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        micro = np.mod(values * factor, per_second * 86_400) * 10**6 // per_second
        return [(_MIDNIGHT + datetime.timedelta(microseconds=one)).time() for one in micro.tolist()]
    made = (values * factor).astype(f"M8[{unit}]")
    return list(made) if unit == "ns" else made.tolist()


def _cast(made: pa.Array, rule: MomentRule) -> pa.Array:
    """Return whole numbers as dates or times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    factor, unit = _scaled(rule)
    if unit == "D":
        return made.cast(pa.int32(), safe=False).cast(pa.date32())
    made = pc.multiply(made, factor) if factor > 1 else made
    if rule.kind == "time":
        kind = pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
        return (made.cast(pa.int32()) if unit in {"s", "ms"} else made).cast(kind)
    is_utc = rule.pattern.endswith(("'Z'", "' UTC'"))
    return made.cast(pa.timestamp(unit, "UTC" if is_utc else None))
