"""Bounds on the errors of columns of numbers, as they are asked for."""

from __future__ import annotations

import math

from narrows.data.tables.rules import Rule, Stepped
from narrows.errors import InvalidParameterError

__all__ = ["bound_in_units", "parse_bounds"]


def parse_bounds(text: str) -> dict[str, str]:
    """Return bounds by the names of columns, from a text such as ``"price=1%,carat=0.01"``.

    Raises
    ------
    InvalidParameterError
        If the text has another form.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, bound = part.strip().rpartition("=")
        number = bound.strip().removesuffix("%")
        try:
            is_bound = bool(equals) and bool(name) and 0 <= float(number) < math.inf
        except ValueError:
            is_bound = False
        if not is_bound:
            raise InvalidParameterError(
                "The 'max_error' (--max-error) of a table has bounds ≥ 0 for columns, in their units, in seconds for "
                f"dates and times, or as shares of their range: price=1%,carat=0.01. Got {part!r:.80}."
            )
        found[name.strip()] = bound.strip()
    return found


def bound_in_units(name: str, rule: Rule, text: str, ends: tuple[int, int], scale: tuple[float, int]) -> int:
    """Return a bound as a whole number of units of a column, rounded down.

    Parameters
    ----------
    name : str
        The name of the column, for messages.
    rule : Rule
        Its rule.
    text : str
        The bound, as `parse_bounds` has it.
    ends : two ints
        The smallest and the largest whole number of the column.
    scale : float and int
        Its units, and the largest number; see `TableSource.scale`.

    Raises
    ------
    InvalidParameterError
        If the column has no numbers, dates or times.
    """
    if not isinstance(rule, Stepped):
        raise InvalidParameterError(
            f"The column {name!r} is a column of the kind {rule.kind}, which is restored exactly. 'max_error' "
            "(--max-error) is for integers, decimals, dates and times. Leave it out."
        )
    share, (low, high) = text.endswith("%"), ends
    bound = float(text.removesuffix("%"))
    units = bound / 100 * (high - low) if share else bound * scale[0]
    nearest = round(units)
    # 0.01 · 100 is a little less than 1 in binary64.
    whole = nearest if math.isclose(units, nearest, rel_tol=1e-12) else math.floor(units)
    return max(min(whole, 1 << 60, scale[1] - high), 0)
