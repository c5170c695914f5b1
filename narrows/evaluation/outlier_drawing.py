"""Pictures of the oddest records, and of the values that make them odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows import pictures
from narrows.errors import DataError, InvalidParameterError
from narrows.parts.options import Integer, check
from narrows.pictures.heat_curves import heat_curves
from narrows.pictures.heat_rows import heat_rows
from narrows.records import ImageLayout
from narrows.uses.outlier_words import note_of, shown_value, value_text
from narrows.uses.record_outliers import RecordOutliers, find_outliers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data import Source
    from narrows.estimators.outliers.detector import AutoencoderOutlier

__all__ = ["draw_outliers"]

Floats = NDArray[np.float64]

_MOST_COLUMNS = 40  # without names, of a table
_RED = np.array([0.80, 0.10, 0.10])
_GREY = 0.35  # of a record below its heat map


def draw_outliers(
    detector: AutoencoderOutlier, source: Source, *, n: int = 5, found: RecordOutliers | None = None
) -> Figure:
    """Return a picture of the n oddest records beside what is expected of them.

    The deeper the red, the more a pixel, a step or a cell contributes to the score. Windows of series are curves, and
    so are vectors of more than 40 values without names; others are rows of a table.

    Parameters
    ----------
    detector : AutoencoderOutlier
        A fitted detector.
    source : Source
        The records.
    n : int
        Number of records.
    found : RecordOutliers, optional
        Their scores, if they are known.

    Returns
    -------
    Figure

    Raises
    ------
    InvalidParameterError
        If the records are texts, which are not drawn.
    DataError
        If they are images with neither one, three nor four channels.
    """
    check("draw_outliers", "n", n, Integer(1))
    if detector.record_ == "text":
        raise InvalidParameterError("Texts are not drawn. The table of `narrows outliers` has them.")
    found = find_outliers(detector, source) if found is None else found
    worst = found.worst(n)
    some = source.take(worst)
    captions = [f"record {index}, score {found.score[index]:.1f}" for index in worst.tolist()]
    expected = np.asarray(detector.expected(some), np.float64)
    parts = found.parts[worst]
    if detector.record_ == "image":
        return _draw_images(detector, some.values, expected, parts, captions)
    is_curve = detector.record_ == "series" or (source.columns is None and some.values[0].size > _MOST_COLUMNS)
    if not is_curve:
        return _draw_rows(detector, found, worst, some.values, expected)
    windows = (_as_windows(one.astype(np.float64)) for one in (some.values, expected, parts.reshape(expected.shape)))
    return heat_curves(*windows, captions=captions, steps="step" if detector.record_ == "series" else "value")


def _draw_images(
    detector: AutoencoderOutlier, images: NDArray[Any], expected: Floats, parts: Floats, captions: list[str]
) -> Figure:
    grey = _as_colours(images, detector)
    heat = _heat(grey, parts.reshape(-1, *detector.shape_))
    shown = {"record": grey, "expected": _as_colours(expected, detector), "score": heat}
    return pictures.rows(shown, n=len(images), captions=captions)


def _draw_rows(
    detector: AutoencoderOutlier, found: RecordOutliers, worst: NDArray[np.int64], rows: NDArray[Any], expected: Floats
) -> Figure:
    fields = detector.fields_ or [None] * len(found.names)
    shown, others = (
        [[shown_value(*one) for one in zip(fields, row, strict=True)] for row in x.astype(np.float64).tolist()]
        for x in (rows, expected)
    )
    words = [[value_text(value) for value in row] for row in shown]
    notes = [[note_of(*pair) for pair in zip(*row, strict=True)] for row in zip(shown, others, strict=True)]
    captions = [f"row {index}, score {found.score[index]:.1f}" for index in worst.tolist()]
    return heat_rows(words, notes, found.parts[worst], found.names, captions=captions)


def _as_windows(x: Floats) -> Floats:
    """Return windows (n, steps) or (n, steps, channels) as (n, steps, channels)."""
    return x.reshape(*x.shape[:2], -1)


def _as_colours(images: NDArray[Any], detector: AutoencoderOutlier) -> NDArray[np.float64]:
    """Return images as colours in [0, 1], (n, H, W, 3)."""
    layout = ImageLayout.of(detector.shape_)
    if layout.channels not in {1, 3, 4}:
        raise DataError(f"Images of {layout.channels} channels are not drawn. Draw grey or colour images.")
    low, high = (0.0, 255.0) if detector.dtype_ == np.uint8 else detector.range_
    x = np.clip((_channels_last(images, layout).astype(np.float64) - low) / ((high - low) or 1.0), 0, 1)
    return np.repeat(x, 3, axis=-1) if layout.channels == 1 else x[..., :3]


def _channels_last(images: NDArray[Any], layout: ImageLayout) -> NDArray[Any]:
    """Return images as (n, H, W, channels)."""
    if images.ndim == 3:
        return images[..., None]
    return np.moveaxis(images, 1, -1) if layout.axis == "first" else images


def _heat(grey: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return records in pale grey (n, H, W, 3), under red where a pixel has a large part of the score."""
    layout = ImageLayout.of(parts.shape[1:])
    of_pixels = _channels_last(parts, layout).sum(axis=-1, keepdims=True)
    alpha = (of_pixels / np.maximum(of_pixels.max(axis=(1, 2, 3), keepdims=True), 1e-12)) ** 2
    pale = 1 - _GREY + _GREY * grey
    return np.asarray(alpha * _RED + (1 - alpha) * pale)
