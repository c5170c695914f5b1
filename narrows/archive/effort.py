"""The effort of a compression."""

from __future__ import annotations

import numpy as np

from narrows.errors import InvalidParameterError

__all__ = ["MOST_EFFORT", "check_effort"]

MOST_EFFORT = 9


def check_effort(effort: object, *, is_bounded: bool) -> None:
    """Raise InvalidParameterError unless an effort is a whole number from 0 to 9, and 0 with an error bound."""
    if isinstance(effort, bool) or not isinstance(effort, int | np.integer) or not 0 <= effort <= MOST_EFFORT:
        raise InvalidParameterError(
            f"The 'effort' (--effort) of compress must be a whole number from 0 to {MOST_EFFORT}. Got {effort!r}."
        )
    if effort and is_bounded:
        raise InvalidParameterError(
            f"'effort' (--effort) has no effect with an error bound, 'max_error' or 'lossless', where the residuals "
            f"take most of the bytes. Got {effort!r}. Omit it."
        )
