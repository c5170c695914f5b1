"""Numbers for JSON, which has no infinities and no NaN."""

from __future__ import annotations

import math

__all__ = ["finite_or_none"]


def finite_or_none(value: float) -> float | None:
    """Return a number, or None if it is infinite or NaN.

    Examples
    --------
    >>> finite_or_none(26.5), finite_or_none(float("inf"))
    (26.5, None)
    """
    return value if math.isfinite(value) else None
