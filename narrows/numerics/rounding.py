"""How much values vary by rounding alone."""

from __future__ import annotations

__all__ = ["ROUNDING"]

ROUNDING = 2.0**-42
"""Values whose deviation is at most this multiple of their mean are constant: about a thousand times the precision."""
