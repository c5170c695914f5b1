"""Options of all formats of series."""

from __future__ import annotations

from typing import Any

from narrows.parts.options import Choice, Integer, option, optional

__all__ = ["stride_option", "window_option"]


def window_option() -> Any:
    """Return the option for the length of windows."""
    return option(
        optional(Integer(1) | Choice("auto")),
        "steps of the windows that a series is cut into; auto: by the period of the series",
        default=None,
    )


def stride_option() -> Any:
    """Return the option for the distance of windows."""
    return option(optional(Integer(1)), "steps from one window of a series to the next", default=None)
