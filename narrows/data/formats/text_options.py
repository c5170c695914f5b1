"""Options of all formats of text."""

from __future__ import annotations

from typing import Any

from narrows.parts.options import Choice, Integer, option, optional

__all__ = ["length_option"]


def length_option() -> Any:
    """Return the option for the length of records."""
    return option(
        optional(Integer(1, 1 << 16) | Choice("auto")),
        "bytes of a record of text; longer texts are cut; auto: so that few are cut, up to 256",
        default=None,
    )
