"""Records for a model: images and series are brought into the model's form where that is exact, or get advice."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np

from narrows.data.frames import is_frame
from narrows.data.series.sources import source_of_array
from narrows.data.source import Source
from narrows.data.text.sources import with_length
from narrows.io.text import count
from narrows.records import check_shape

__all__ = ["advice", "as_needed", "check_fits", "whole_as_windows"]


def as_needed(source: Source, shape: tuple[int, ...]) -> Source:
    """Return data in the form of a model's records, where that is exact.

    Image files get the channels of the model's records: grey images become colour ones. Series are cut into windows of
    the model's length, one after the other, unless another window or stride was given. Texts are cut into records of
    the model's length, unless another length was given.

    Parameters
    ----------
    source : Source
        All other sources are returned unchanged.
    shape : tuple of int
        The shape of the model's records. The height and width of the images may be others.

    Examples
    --------
    >>> as_needed(Source(np.zeros((5, 6, 4), np.uint8), kind="images"), (6, 4, 3)).shape
    (6, 4, 3)
    """
    if source.text is not None:
        return with_length(source, shape[0]) if len(shape) == 1 else source
    if source.windows is not None:
        return _with_windows(source, shape)
    if source.kind != "images" or len(source.shape) != 2 or len(shape) != 3 or shape[-1] not in {1, 3}:
        return source
    values = np.asarray(source.values)[..., None]
    return replace(source, values=np.broadcast_to(values, (*values.shape[:-1], shape[-1])))


def _with_windows(source: Source, shape: tuple[int, ...]) -> Source:
    """Return a series in windows of a model's length, if they may be chosen."""
    windows = source.windows
    assert windows is not None
    chosen_window, chosen_stride = windows.is_chosen
    is_possible = len(shape) == len(source.shape) and shape[1:] == source.shape[1:]
    if not (chosen_stride and is_possible and (chosen_window or windows.window == shape[0])):
        return source
    fitting = windows.side_by_side(shape[0], source.name)
    return replace(source, values=fitting.cut(), windows=fitting)


def whole_as_windows(data: Any, shape: tuple[int, ...]) -> Any:
    """Return a whole series (steps,) or (steps, channels) as windows of a model's length; other data unchanged.

    Parameters
    ----------
    data : array_like, data frame, or Source of a `.npy` file
        Paths are returned unchanged.
    shape : tuple of int
        Shape of the model's records, which are windows of series.
    """
    if isinstance(data, (str, os.PathLike)) or (isinstance(data, Source) and data.windows is not None):
        return data
    given = data.values if isinstance(data, Source) else data.to_numpy() if is_frame(data) else data
    values = np.asanyarray(given)
    if values.ndim != len(shape) or values.shape[1:] != shape[1:]:
        return data
    named = {"name": data.name, "kind": data.kind} if isinstance(data, Source) else {}
    return source_of_array(values, window=shape[0], stride=shape[0], **named)


def check_fits(source: Source, shape: tuple[int, ...]) -> None:
    """Raise ShapeMismatchError if records have another shape than those that a model was trained on."""
    check_shape(source.shape, shape, advice=advice(source, shape))


def advice(
    source: Source, shape: tuple[int, ...], dtype: np.dtype[Any] | None = None, *, may_be_larger: bool = False
) -> str:
    """Return a sentence with the options by which image files are opened in the form of a model's records.

    Parameters
    ----------
    source : Source
        The records.
    shape, dtype
        Of the model's records; no advice on the dtype if that is None.
    may_be_larger : bool
        Whether images that are larger than the records are cut into tiles.

    Returns
    -------
    str
        With a space before it; empty if no option helps.

    Examples
    --------
    >>> advice(Source(np.zeros((5, 32, 32, 3), np.uint8), name="photos/", kind="images"), (28, 28))
    ' Open the images as the model needs them, with --convert grey --resize 28x28 (in Python: narrows.data.open(..., \
convert="grey", resize=(28, 28))).'
    """
    if source.windows is not None and shape[1:] != source.shape[1:]:
        wanted, given = math.prod(shape[1:]), source.windows.series.n_channels
        how = " Choose columns (--values)." if source.kind == "csv" else ""
        needed = f"Each step of the model's records has {count(wanted, 'value')}"
        return f" {needed}, and each step of {source.name} has {given}.{how}"
    if source.windows is not None and shape[0] != source.shape[0]:
        return f" Cut the series into {_windows(shape[0])}."
    if source.windows is None and source.kind in {"npy", "array"} and len(shape) > 1 and source.shape == shape[1:]:
        return f" If this is one series, cut it into {_windows(shape[0])}."
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[-1] in {1, 3})
    if source.kind != "images" or not is_image:
        return ""
    flags, arguments = [], []
    if len(source.shape) == 3 and (len(shape) == 2 or shape[-1] == 1):
        flags.append("--convert grey")
        arguments.append('convert="grey"')
    sizes = list(zip(source.shape[:2], shape[:2], strict=True))
    if any(given != needed for given, needed in sizes) and not (
        may_be_larger and all(given >= needed for given, needed in sizes)
    ):
        flags.append(f"--resize {shape[0]}x{shape[1]}")
        arguments.append(f"resize=({shape[0]}, {shape[1]})")
    if dtype == np.uint8 and source.dtype == np.uint16:
        flags.append("--bits 8")
        arguments.append("bits=8")
    if not flags:
        return ""
    return (
        f" Open the images as the model needs them, with {' '.join(flags)} "
        f"(in Python: narrows.data.open(..., {', '.join(arguments)}))."
    )


def _windows(n_steps: int) -> str:
    """Return what windows are needed, with the options."""
    return f"windows of {n_steps:,} steps, with --window {n_steps} (window={n_steps})"
