"""Numbers, counts and shapes as text, for everything that people read: tables, reports and descriptions."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["LARGEST_IN_FULL", "count", "number", "shape_text"]

LARGEST_IN_FULL = 1e15
"""From this magnitude on numbers are in scientific notation, as those below 10^-4 are."""


def count(n: int, what: str) -> str:
    """Return a number and a noun, in the plural if needed.

    Examples
    --------
    >>> count(1, "epoch"), count(1200, "number")
    ('1 epoch', '1,200 numbers')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def number(value: float | None) -> str:
    """Return a number as text: whole numbers with all digits, others with four significant ones, None as a dash.

    Numbers from 10^15, and below 10^-4, are in scientific notation.

    Examples
    --------
    >>> number(10000), number(0.0076817), number(None)
    ('10,000', '0.007682', '-')
    >>> number(2e39), number(10**19), number(3.8e-200)
    ('2.000e+39', '1.000e+19', '3.800e-200')
    """
    if value is None:
        return "-"
    if math.isfinite(value) and abs(value) >= LARGEST_IN_FULL:
        return f"{value:.3e}"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isfinite(value) and abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:#.4g}"


def shape_text(shape: Sequence[int]) -> str:
    """Return the shape of a record as text.

    Examples
    --------
    >>> shape_text((28, 28)), shape_text([64])
    ('28×28', '64')
    """
    return "×".join(str(size) for size in shape)
