"""Folders and globs of images, decoded in parallel into one array; a large one is mapped from a temporary file.

Images are converted as follows:

=============================  ==============================================================
grey                           ``(H, W)`` uint8
grey of 16 bits (PNG, TIFF)    ``(H, W)`` uint16; not mixed with others
colour, palette, CMYK          ``(H, W, 3)`` uint8; 16-bit colour loses its lower 8 bits
transparent                    put on white, then as above, with a `DataWarning`
grey and colour in one set     all colour
EXIF orientation               turned upright
animated                       the first frame
=============================  ==============================================================
"""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.data.formats.contract import OnRecords
from narrows.data.memory import BLOCK_RECORDS, blocks, filled
from narrows.data.source import Source
from narrows.errors import CorruptFileError, DataError, DataNotFoundError, DataWarning, NarrowsError, warn
from narrows.io.magic import IMAGE_ENDINGS

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["open_images"]


def open_images(
    path: Path,
    name: str,
    *,
    pattern: str | None = None,
    resize: tuple[int, int] | None = None,
    limit: int | None = None,
    on_images: OnRecords | None = None,
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
    limit : int, optional
        Number of images to read.
    on_images : callable, optional
        Called with the activity (``"checking images"``, then ``"reading images"``), the number of images done, and the
        number of images; only if there are more than 1,024.

    Returns
    -------
    Source
        The images in natural order of their relative names (``img2`` before ``img10``). If every image lies in a
        sub-folder and there are at least two of these, the sub-folders are the classes. Hidden and other files are
        skipped.

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
        Once, if images have transparent pixels.
    """
    root, files = _find(path, name, pattern)
    labels, label_names = _classes(files)
    files = files[:limit]
    transparent: list[str] = []
    with _quiet_pillow(), ThreadPoolExecutor() as pool:
        plans: list[Plan] = []
        for rows in blocks(len(files)):
            plans += pool.map(_plan, (root / files[row] for row in rows))
            _tell(on_images, "checking images", rows.stop, len(files))
        shape, dtype = _common_shape(plans, resize), np.dtype(_common_dtype(plans))

        def fill(start: int, block: npt.NDArray[Any]) -> None:
            def decode(i: int) -> bool:
                block[i], is_transparent = _decode(plans[start + i].path, shape, dtype)
                return is_transparent

            are_transparent = list(pool.map(decode, range(len(block))))
            transparent.extend(files[start + i] for i, is_so in enumerate(are_transparent) if is_so)
            _tell(on_images, "reading images", start + len(block), len(files))

        values = filled((len(files), *shape), dtype, fill, what=f"The images of {name}")
    if transparent:
        message = _laid_on_white(name, transparent, len(files))
        lost = DataWarning(message, kind="alpha", count=len(transparent), first=transparent[0])
        warn(lost)
    return Source(
        values,
        None if labels is None else labels[:limit],
        label_names,
        name=name,
        kind="images",
        files=tuple(files),
        warnings=(lost,) if transparent else (),
    )


def _tell(on_images: OnRecords | None, doing: str, n_done: int, n: int) -> None:
    if on_images is not None and n > BLOCK_RECORDS:
        on_images(doing, n_done, n)


# ---------------------------------------------------------------------------------------------------------- finding


def _find(path: Path, name: str, pattern: str | None) -> tuple[Path, list[str]]:
    """Return the base folder, and the names relative to it in natural order."""
    if pattern is not None:
        root = Path(re.split(r"[*?\[]", pattern, maxsplit=1)[0] + "_").parent
        found = [Path(match) for match in glob.glob(pattern, recursive=True)]
        files = [match.relative_to(root).as_posix() for match in found if _is_image(match) and match.is_file()]
    elif path.is_dir():
        root, files = path, [file.relative_to(path).as_posix() for file in _walk(path)]
    else:
        return path.parent, [path.name]
    if not files:
        raise DataNotFoundError(f"No images found in {name}. Images are files that end in {', '.join(IMAGE_ENDINGS)}.")
    return root, sorted(files, key=_natural)


def _walk(folder: Path) -> Iterator[Path]:
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(here))
        folders[:] = [
            sub for sub in folders if not sub.startswith(".") and os.path.realpath(os.path.join(here, sub)) not in seen
        ]
        yield from (Path(here, file) for file in files if _is_image(Path(file)))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key with numbers as numbers: ``img2`` before ``img10``."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)], name


def _classes(files: list[str]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...] | None]:
    folders = [file.split("/", 1)[0] if "/" in file else None for file in files]
    names = tuple(sorted({folder for folder in folders if folder is not None}, key=_natural))
    if None in folders or len(names) < 2:
        return None, None
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[folder] for folder in folders if folder is not None], np.int64), names


# --------------------------------------------------------------------------------------------------------- decoding


class Plan(NamedTuple):
    """The shape and kind of an image, read from the header of its file."""

    path: Path
    height: int
    width: int
    kind: str  # "grey", "grey 16-bit" or "colour"


def _plan(path: Path) -> Plan:
    with _naming(path), _open(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        plan = Plan(path, height, width, _kind(image, path))
        if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
            raise DataError(
                f"An image file must have one page. {path} has {image.n_frames} pages. "  # type: ignore[attr-defined]
                "Save each page as a file, or all pages as one .npy file."
            )
        if image.format == "PNG":
            image.verify()  # checks checksums, which decoding ignores
        return plan


def _decode(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[npt.NDArray[Any], bool]:
    """Return an image's pixels, and whether any of them was transparent."""
    from PIL import Image

    with _naming(path), _open(path) as opened:
        turn = _TURNS.get(_orientation(opened))
        image: Image.Image = opened
        is_transparent = False
        if dtype == np.uint16:
            image = Image.fromarray(np.asarray(image).astype(np.float32))
        else:
            image, is_transparent = _flatten(image, "RGB" if len(shape) == 3 else "L")
        if turn is not None:
            image = image.transpose(Image.Transpose[turn])
        if image.size != (shape[1], shape[0]):
            image = image.resize((shape[1], shape[0]), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        return (np.rint(pixels).clip(0, 65535) if dtype == np.uint16 else pixels), is_transparent


def _flatten(image: Image.Image, mode: str) -> tuple[Image.Image, bool]:
    """Return the image in `mode`, "L" or "RGB", on a white background, and whether it had transparent pixels."""
    from PIL import Image

    if not image.has_transparency_data:
        return (image if image.mode == mode else image.convert(mode)), False
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert(mode), image.getchannel("A").getextrema() != (255, 255)


def _laid_on_white(name: str, transparent: Sequence[str], n: int) -> str:
    if n == 1:
        which = f"{name} has"
    else:
        which = f"{len(transparent):,} of {n:,} images in {name} (the first is {transparent[0]}) have"
    return f"{which} transparent pixels. They were blended with white, since records cannot store transparency."


def _kind(image: Image.Image, path: Path) -> str:
    if image.mode in {"1", "L", "LA", "La"}:
        return "grey"
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return "grey 16-bit"
    if image.mode in {"I", "F"}:
        raise DataError(f"Images must have at most 16 bits per pixel. {path} has 32 bits. Save it as a .npy file.")
    return "colour"


def _common_shape(plans: list[Plan], resize: tuple[int, int] | None) -> tuple[int, ...]:
    first = plans[0]
    other = next((plan for plan in plans if (plan.height, plan.width) != (first.height, first.width)), None)
    if resize is None and other is not None:
        raise DataError(
            f"All images must have the same size. {first.path} has {first.height}x{first.width} pixels, and "
            f"{other.path} has {other.height}x{other.width} pixels (height x width). "
            f"Resize them to one size with --resize {first.height}x{first.width} "
            f"(in Python: resize=({first.height}, {first.width}))."
        )
    size = resize or (first.height, first.width)
    return (*size, 3) if any(plan.kind == "colour" for plan in plans) else size


def _common_dtype(plans: list[Plan]) -> type[np.unsignedinteger[Any]]:
    deep = next((plan for plan in plans if plan.kind == "grey 16-bit"), None)
    other = next((plan for plan in plans if plan.kind != "grey 16-bit"), None)
    if deep is not None and other is not None:
        raise DataError(
            f"All images must have the same depth. {deep.path} has 16 bits, and {other.path} has 8 bits. "
            "Open them as separate data sets, or convert them to one depth."
        )
    return np.uint8 if deep is None else np.uint16


# EXIF orientations 2 … 8 as names of PIL.Image.Transpose.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 … 8, from the header of the file. Pillow itself rotates TIFF."""
    if image.format == "TIFF" or "exif" not in image.info:
        return 1
    orientation = image.getexif().get(0x0112, 1)
    return orientation if orientation in _TURNS else 1


def _open(path: Path) -> Image.Image:
    from PIL import Image

    return Image.open(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn errors of Pillow in the block into an error that names the file."""
    from PIL import Image

    try:
        yield
    except NarrowsError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels and may need too much memory. "
            "Use a smaller image, or increase PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except FileNotFoundError as error:
        why = "is a link to a file that does not exist" if path.is_symlink() else "no longer exists"
        raise DataNotFoundError(f"{path} {why}.") from error
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:
        raise CorruptFileError(f"{path} is not an image, or is damaged or cut off: {error}") from error


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Hide Pillow's warnings, except decompression bombs, which become errors."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
