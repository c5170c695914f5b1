"""What ``train`` and ``info`` both print of a model: what its records were treated as, and the epoch that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from narrows.cli.console import count, shape_text

__all__ = ["kept_rows", "taken_for", "time_rows"]


def taken_for(record: str, shape: Sequence[int], asked_for: str) -> str:
    """Return what records were treated as, and why if it was not set.

    Examples
    --------
    >>> taken_for("image", (200, 16), "auto")
    'images of 200×16, by their shape (--as vector if they are not images)'
    """
    if record == "vector":
        return f"vectors of {count(math.prod(shape), 'value')}"
    if record == "series":
        channels = f" and {count(shape[1], 'channel')}" if len(shape) > 1 else ""
        return f"windows of series, of {count(shape[0], 'step')}{channels}"
    if record == "columns":
        return f"rows of a table, of {count(shape[0], 'column')}"
    if record == "text":
        return f"text, in records of up to {count(shape[0], 'byte')}"
    why = ", by their shape (--as vector if they are not images)" if asked_for == "auto" else ""
    return f"images of {shape_text(shape)}{why}"


def time_rows(durations: Mapping[str, float | None]) -> list[tuple[str, str]]:
    """Return a row with the parts of the duration of a fit, if they are known.

    Examples
    --------
    >>> time_rows({"training_seconds": 36.1, "measuring_seconds": 3.5, "epoch_seconds": 26.6})
    [('time', '36.1 s of training, of which 26.6 s are epochs, and 3.5 s of measuring')]
    """
    training, measuring = durations["training_seconds"], durations["measuring_seconds"]
    if training is None:
        return []
    epochs = f"of which {durations['epoch_seconds']:.1f} s are epochs"
    return [("time", f"{training:.1f} s of training, {epochs}, and {measuring:.1f} s of measuring")]


def kept_rows(epoch: int | None, n_epochs: int) -> list[tuple[str, str]]:
    """Return a row with the epoch whose weights were kept, if it is not the last."""
    return [] if epoch in (None, n_epochs) else [("kept", f"the weights of epoch {epoch}, the best on validation")]
