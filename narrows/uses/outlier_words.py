"""Values of odd records, and those that were expected, as people read them."""

from __future__ import annotations

import math

import numpy as np

from narrows.data.tables.restored import words_of
from narrows.io.text import number
from narrows.records import Field

__all__ = ["Shown", "note_of", "shown_value", "value_text"]

Shown = float | str | None

_ROUNDING = 1e-9
_LEAST_ROUNDED, _MOST_WHOLE = 1e3, 1e9
_PLAIN = ("integer", "decimal", "float")


def shown_value(field: Field | None, value: float) -> Shown:
    """Return a value as it is in a table: the name of a category, the text of a date, None if it is missing."""
    if math.isnan(value):
        return None
    return value if field is None or field.kind in _PLAIN else words_of(field, np.array([value]))[0]


def value_text(value: Shown) -> str:
    """Return a value as text: whole numbers, and others from 1,000, without decimals.

    Examples
    --------
    >>> value_text(3.0), value_text(2.51234), value_text(2007.9), value_text("red"), value_text(None)
    ('3', '2.512', '2008', 'red', 'missing')
    """
    if value is None:
        return "missing"
    if isinstance(value, str):
        return value
    is_whole = value.is_integer() or abs(value) >= _LEAST_ROUNDED
    return f"{value:.0f}" if is_whole and abs(value) < _MOST_WHOLE else number(value)


def note_of(value: Shown, expected: Shown) -> str:
    """Return what was expected of a value; 0 if it is so by rounding.

    Examples
    --------
    >>> note_of(4.0, 2.5), note_of("red", "red")
    ('expected 2.500', 'rare beside the others')
    """
    if isinstance(value, float) and isinstance(expected, float):
        expected = 0.0 if abs(expected) < _ROUNDING * abs(value) else expected
    if isinstance(value, str) and value == expected:  # the likeliest category, but not likely
        return "rare beside the others"
    return f"expected {value_text(expected)}"
