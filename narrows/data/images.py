"""Folders and globs of images, decoded in parallel into one array; a large one is mapped from a temporary file.

Images are converted as follows:

=============================  ==============================================================
grey                           ``(H, W)`` uint8
grey of 16 bits                ``(H, W)`` uint16 (PNG, TIFF, PGM); not mixed with 8 bits
colour, palette                ``(H, W, 3)`` uint8
colour of 48 bits              ``(H, W, 3)`` uint16 (PNG, TIFF, PPM); not mixed with 8 bits
grey and colour in one set     all colour
EXIF orientation               turned upright
transparent                    put on white, with a `DataWarning`
animated                       the first frame, with a `DataWarning`
CMYK, Lab                      converted to RGB, with a `DataWarning`
AVIF of 10 or 12 bits          the upper 8 bits, with a `DataWarning`
=============================  ==============================================================
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.image_decoding import Plan, decode_image, plan_image, quiet_pillow
from narrows.data.image_files import classes_of, find_images
from narrows.data.image_losses import loss_warnings
from narrows.data.memory import BLOCK_RECORDS, blocks, filled
from narrows.data.source import Source
from narrows.errors import DataError, warn
from narrows.io.progress import Progress

__all__ = ["open_images"]


def open_images(
    path: Path,
    name: str,
    *,
    pattern: str | None = None,
    resize: tuple[int, int] | None = None,
    convert: str | None = None,
    bits: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Source:
    """Return the images of a folder, a glob or a single file.

    Images that take more than a quarter of the memory are kept in a temporary file, see `narrows.data.memory.filled`.

    Parameters
    ----------
    path : Path
        A folder (with its sub-folders) or one image file.
    name : str
        Name of the source.
    pattern : str, optional
        A glob, as in ``"photos/**/*.png"``, instead of all images below `path`.
    resize : (int, int), optional
        Height and width to which every image is resized (Lanczos; proportions are not kept).
    convert : str, optional
        ``"grey"`` or ``"colour"``: what every image is converted to.
    bits : int, optional
        8: images of 16 bits are rounded to 8.
    limit : int, optional
        Number of images to read.
    progress : callable, optional
        Called with the activities ``"checking images"``, then ``"reading images"``; only if there are more than 1,024.

    Returns
    -------
    Source
        The images in natural order of their relative names (``img2`` before ``img10``). If every image lies in a
        sub-folder and there are at least two of these, the sub-folders are the classes. Hidden files are skipped.

    Raises
    ------
    DataNotFoundError
        If there are no images.
    CorruptFileError
        If a file cannot be decoded.
    DataError
        If images differ in size and `resize` is not given, or in depth.
    OutputError
        If a temporary file is needed and does not fit on the disk.

    Warns
    -----
    DataWarning
        Once for each kind of loss, see above, and for files that are skipped. The source has these warnings too.
    """
    found = find_images(path, name, pattern)
    labels, label_names = classes_of(found.files)
    files = found.files[:limit]
    lost: dict[str, list[str]] = {"alpha": []}
    with quiet_pillow(), ThreadPoolExecutor() as pool:
        plans: list[Plan] = []
        for rows in blocks(len(files)):
            plans += pool.map(plan_image, (found.root / files[row] for row in rows))
            _report(progress, "checking images", rows.stop, len(files))
        shape, dtype = _common_shape(plans, resize, convert), np.dtype(_common_dtype(plans, bits))
        for file, plan in zip(files, plans, strict=True):
            for kind in plan.losses:
                lost.setdefault(kind, []).append(file)

        def fill(start: int, block: npt.NDArray[Any]) -> None:
            def decode(i: int) -> bool:
                block[i], is_transparent = decode_image(plans[start + i], shape, dtype)
                return is_transparent

            are_transparent = list(pool.map(decode, range(len(block))))
            lost["alpha"].extend(files[start + i] for i, is_so in enumerate(are_transparent) if is_so)
            _report(progress, "reading images", start + len(block), len(files))

        values = filled((len(files), *shape), dtype, fill, what=f"The images of {name}")
    warnings = (*found.warnings(name), *loss_warnings(name, lost, len(files)))
    for warning in warnings:
        warn(warning)
    labels = None if labels is None else labels[:limit]
    return Source(values, labels, label_names, name=name, kind="images", files=tuple(files), warnings=warnings)


def _report(progress: Progress | None, activity: str, n_done: int, n: int) -> None:
    if progress is not None and n > BLOCK_RECORDS:
        progress(activity, n_done, n, "records")


def _common_shape(plans: list[Plan], resize: tuple[int, int] | None, convert: str | None) -> tuple[int, ...]:
    first = plans[0]
    other = next((plan for plan in plans if (plan.height, plan.width) != (first.height, first.width)), None)
    if resize is None and other is not None:
        raise DataError(
            f"All images must have the same size. {first.path} has {first.height}x{first.width} pixels, and "
            f"{other.path} has {other.height}x{other.width} pixels (height x width). "
            f"Resize them to one size with --resize {first.height}x{first.width} "
            f"(in Python: resize=({first.height}, {first.width})).{_distortion(plans)}"
        )
    size = resize or (first.height, first.width)
    is_colour = any(plan.is_colour for plan in plans) if convert is None else convert == "colour"
    return (*size, 3) if is_colour else size


def _distortion(plans: list[Plan]) -> str:
    """Return a warning if resizing to the size of the first image does not keep the proportions of the others."""
    first = plans[0]
    other = [plan for plan in plans if not _same_proportions(plan, first)]
    if not other:
        return ""
    kinds = {plan.height > plan.width for plan in plans if plan.height != plan.width}
    what = "upright and wide images" if len(kinds) == 2 else "images of other proportions"
    return (
        f" This would distort {len(other):,} of {len(plans):,} images, since there are {what}. To keep their "
        "proportions, crop them to one size first, or put each kind into a folder of its own."
    )


def _same_proportions(one: Plan, other: Plan) -> bool:
    """Return whether an image has the proportions of another one, within the rounding of its sides to pixels."""
    difference = abs(one.height * other.width - one.width * other.height)
    return difference <= max(other.height, other.width)


def _common_dtype(plans: list[Plan], bits: int | None) -> type[np.unsignedinteger[Any]]:
    deep = next((plan for plan in plans if plan.bits == 16), None)
    other = next((plan for plan in plans if plan.bits != 16), None)
    if bits is None and deep is not None and other is not None:
        raise DataError(
            f"All images must have the same depth. {deep.path} has 16 bits, and {other.path} has 8 bits. "
            "Open them as separate data sets, or round all to 8 bits with --bits 8 (in Python: bits=8)."
        )
    return np.uint8 if bits is not None or deep is None else np.uint16
