"""How a page shows records: images as thumbnails, series as lines, texts as words, rows of a table as lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.pictures.map_page.payload import Payload
from narrows.pictures.map_page.sprites import Sheets
from narrows.pictures.records import as_records, value_range

__all__ = ["add_images", "add_lines", "add_rows", "add_texts"]

_LONGEST_TEXT = 300
_MOST_STEPS, _MOST_CHANNELS, _MOST_LINE_VALUES = 128, 4, 12_000_000
_MOST_COLUMNS, _MOST_ROW_VALUES = 40, 3_000_000


def add_images(payload: Payload, values: NDArray[Any]) -> None:
    """Add images (n, height, width) or (n, height, width, channels), as thumbnails."""
    images = as_records("images", values)
    low, high = value_range(images)
    if images.ndim == 4 and images.shape[3] == 4:
        images = images[..., :3]  # without transparency
    if images.dtype != np.uint8:
        images = np.clip((images.astype(np.float64) - low) * (255 / (high - low)), 0, 255).round().astype(np.uint8)
    sheets = Sheets.of(np.ascontiguousarray(images))
    for at, sheet in enumerate(sheets):
        payload.add(f"sheet-{at}", sheet)
    payload.facts["record"] = {"kind": "image", **sheets.facts()}


def add_lines(payload: Payload, values: NDArray[Any]) -> None:
    """Add series (n, steps) or (n, steps, channels): up to 128 steps of four channels, in 256 levels of their range."""
    series = np.asarray(values, np.float64).reshape(*values.shape[:2], -1)[..., :_MOST_CHANNELS]
    n, length, channels = series.shape
    steps = max(2, min(length, _MOST_STEPS, _MOST_LINE_VALUES // (n * channels)))
    places = np.linspace(0, length - 1, steps).round().astype(np.intp)
    series = series[:, places].swapaxes(1, 2)
    low, high = series.min(axis=(0, 2), keepdims=True), series.max(axis=(0, 2), keepdims=True)
    levels = np.round((series - low) / np.where(high > low, high - low, 1) * 255).astype(np.uint8)
    payload.add("records", levels)
    payload.facts["record"] = {"kind": "line", "steps": steps, "channels": channels}


def add_texts(payload: Payload, texts: Sequence[str]) -> None:
    """Add texts, each with up to 300 characters."""
    payload.facts["record"] = {"kind": "text", "texts": [text[:_LONGEST_TEXT] for text in texts]}


def add_rows(
    payload: Payload, values: NDArray[Any], names: Sequence[str], words: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Add rows (n, d) of a table with the names of the columns: up to the first 40 columns.

    The cells of some columns are ``words`` (n,) instead of numbers.
    """
    n_columns = max(1, min(values.shape[1], _MOST_COLUMNS, _MOST_ROW_VALUES // len(values)))
    shown, listed = values[:, :n_columns].astype(np.float32), list(names[:n_columns])
    entries: list[list[str] | None] = [None] * n_columns
    for name, of_column in (words or {}).items():
        if name in listed:
            different, index = np.unique(of_column, return_inverse=True)
            entries[listed.index(name)] = [str(word) for word in different]
            shown[:, listed.index(name)] = index
    payload.add("records", shown)
    payload.facts["record"] = {"kind": "row", "names": listed, "words": entries}
