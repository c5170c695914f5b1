"""Options of all formats of tables."""

from __future__ import annotations

from typing import Any

from narrows.parts.options import Text, option, optional

__all__ = ["columns_option"]


def columns_option() -> Any:
    """Return the option for what columns have."""
    return option(
        optional(Text()),
        "what columns of a table have, for example price:decimal,id:text, or skip to leave them out; by default it is "
        "found",
        default=None,
    )
