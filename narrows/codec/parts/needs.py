"""What the chunks of an archive need of a model."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["ALL", "Needs"]


class Needs(IntFlag):
    """Parts of a model that a chunk needs, and that a MODEL block contains, as bits."""

    NOTHING = 0
    CODE = 1  # decoder and quality
    NETWORK = 2  # the network that codes residuals


ALL = Needs.CODE | Needs.NETWORK
"""All parts."""
