"""What a file of series needs besides the values of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from narrows.data.series.times import Times

__all__ = ["SeriesRows"]


@dataclass(frozen=True, eq=False)
class SeriesRows:
    """What belongs to some steps of series.

    Attributes
    ----------
    origin : dict
        The format that the series was read from; see `WholeSeries`.
    channels : sequence of str, optional
        The names of the channels.
    times : Times, optional
        The times of the steps.
    groups : sequence of str, optional
        The name of the series that each step belongs to.
    """

    origin: dict[str, Any] = field(default_factory=dict)
    channels: Sequence[str] | None = None
    times: Times | None = None
    groups: Sequence[str] | None = None
