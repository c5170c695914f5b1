"""Pictures of the oddest records, and of the values that make them odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows import pictures
from narrows.errors import DataError, InvalidParameterError
from narrows.parts.options import Integer, check
from narrows.records import ImageLayout
from narrows.uses.record_outliers import RecordOutliers, find_outliers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data import Source
    from narrows.estimators.outliers.detector import AutoencoderOutlier

__all__ = ["draw_outliers"]

_RED = np.array([0.80, 0.10, 0.10])
_GREY = 0.35  # of a record below its heat map


def draw_outliers(
    detector: AutoencoderOutlier, source: Source, *, n: int = 5, found: RecordOutliers | None = None
) -> Figure:
    """Return a picture of the n oddest records beside what is expected of them.

    Images have a heat map: the deeper the red, the more a pixel contributes to the score. Windows of series are drawn
    in their units, and rows of tables in standard deviations from the mean of their column.

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
    if detector.record_ != "image":
        drawn = {"record": some.values.astype(np.float64), "expected": expected}
        if detector.record_ == "vector":
            drawn = {name: detector.standardised(x) for name, x in drawn.items()}
        flat = {name: np.nan_to_num(_by_channel(x)) for name, x in drawn.items()}
        return pictures.rows(flat, n=n, captions=captions)
    grey = _as_colours(some.values, detector)
    parts = found.parts[worst].reshape(-1, *detector.shape_)
    shown = {"record": grey, "expected": _as_colours(expected, detector), "score": _heat(grey, parts)}
    return pictures.rows(shown, n=n, captions=captions)


def _by_channel(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return windows (n, steps, channels) as vectors, one channel after the other."""
    return x.reshape(*x.shape[:2], -1).swapaxes(1, 2).reshape(len(x), -1)


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
