"""Decodes one image file: first its header, then its pixels in the form that the set of images needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.data.deep_images import deep_pixels, is_deep
from narrows.errors import CorruptFileError, DataError, DataNotFoundError, NarrowsError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Plan", "decode_image", "plan_image", "quiet_pillow"]

_LUMA = np.array([299, 587, 114]) / 1000  # of red, green and blue in grey, as in ITU-R 601
_AVIF_HEADER = 1 << 16  # bytes in which an AVIF file describes its images


class Plan(NamedTuple):
    """The properties in the header of an image file.

    Attributes
    ----------
    path : Path
        The file.
    height, width : int
        Size of the upright image.
    is_colour : bool
        Whether it has colours.
    bits : int
        Bits of a channel that are read: 8 or 16.
    losses : tuple of str
        What is lost when it is read, by the names in `narrows.data.image_losses.LOSSES`; without transparency, which
        is known only from the pixels.
    """

    path: Path
    height: int
    width: int
    is_colour: bool
    bits: int
    losses: tuple[str, ...]


def plan_image(path: Path) -> Plan:
    """Read the header of an image file.

    Raises
    ------
    CorruptFileError, DataError, DataNotFoundError
        If it cannot be decoded, or not as one image of up to 16 bits.
    """
    with naming_image(path), _open(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        _check_readable(image, path)
        n_frames = getattr(image, "n_frames", 1)
        if image.format == "TIFF" and n_frames > 1:
            raise DataError(
                f"An image file must have one page. {path} has {n_frames} pages. "
                "Save each page as a file, or all pages as one .npy file."
            )
        found = {
            "frames": n_frames > 1,
            "cmyk": image.mode in {"CMYK", "LAB"},
            "depth": _loses_depth(image, path),
        }
        losses = tuple(kind for kind, is_lost in found.items() if is_lost)
        plan = Plan(path, height, width, _is_colour(image), 16 if _has_16_bits(image) else 8, losses)
        if image.format == "PNG":
            image.verify()  # checks checksums, which decoding ignores
        return plan


def decode_image(plan: Plan, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[npt.NDArray[Any], bool]:
    """Return an image's pixels (H, W) or (H, W, 3), and whether any of them was transparent.

    Parameters
    ----------
    plan : Plan
        Of the image.
    shape, dtype
        Of the pixels: uint8 or uint16. The image is resized, and colours become grey, where needed.
    """
    with naming_image(plan.path), _open(plan.path) as image:
        turn = _TURNS.get(_orientation(image))
        if plan.bits == 16:
            return _decode_deep(image, plan, shape, dtype, turn)
        flat, is_transparent = _flatten(image, "RGB" if len(shape) == 3 else "L")
        return np.asarray(_turned_and_resized(flat, shape, turn)), is_transparent


def _decode_deep(
    image: Image.Image, plan: Plan, shape: tuple[int, ...], dtype: np.dtype[Any], turn: str | None
) -> tuple[npt.NDArray[Any], bool]:
    """Return the pixels of an image of 16 bits in any of the forms of `decode_image`."""
    from PIL import Image

    key = image.info.get("transparency")
    deep = deep_pixels(plan.path) if is_deep(image) else np.asarray(image)[..., None]
    colours = deep[..., : 3 if deep.shape[-1] >= 3 else 1].astype(np.float32)
    alpha = None
    if deep.shape[-1] in {2, 4}:
        alpha = deep[..., -1:].astype(np.float64) / 65535
    elif key is not None:  # one colour is transparent
        alpha = (deep != np.asarray(key)).any(-1, keepdims=True).astype(np.float64)
    if alpha is not None:
        colours = np.rint(alpha * colours + (1 - alpha) * 65535).astype(np.float32)
    if len(shape) == 2 and colours.shape[-1] == 3:
        colours = np.rint(colours @ _LUMA)[..., None].astype(np.float32)
    planes = [
        np.asarray(_turned_and_resized(Image.fromarray(np.ascontiguousarray(colours[..., i])), shape, turn))
        for i in range(colours.shape[-1])
    ]
    pixels = np.rint(np.stack(planes, -1) / (257 if dtype == np.uint8 else 1)).clip(0, np.iinfo(dtype).max)
    is_transparent = alpha is not None and bool((alpha < 1).any())
    return pixels[..., 0] if len(shape) == 2 else pixels, is_transparent


def _turned_and_resized(image: Image.Image, shape: tuple[int, ...], turn: str | None) -> Image.Image:
    from PIL import Image

    if turn is not None:
        image = image.transpose(Image.Transpose[turn])
    if image.size != (shape[1], shape[0]):
        image = image.resize((shape[1], shape[0]), Image.Resampling.LANCZOS)
    return image


def _flatten(image: Image.Image, mode: str) -> tuple[Image.Image, bool]:
    """Return the image in `mode`, "L" or "RGB", on a white background, and whether it had transparent pixels."""
    from PIL import Image

    if not image.has_transparency_data:
        return (image if image.mode == mode else image.convert(mode)), False
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert(mode), image.getchannel("A").getextrema() != (255, 255)


# ----------------------------------------------------------------------------------------------------------- headers


def _has_16_bits(image: Image.Image) -> bool:
    """Return whether an image has 16 bits a channel that are all read; modes of 32 bits hold the values of a PGM."""
    is_grey = image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"})
    return is_grey or is_deep(image)


def _is_colour(image: Image.Image) -> bool:
    if is_deep(image):
        return _raw_modes(image) != {"LA;16B"}
    if image.format == "GIF" and image.mode == "P":  # which has no other mode for most images, grey ones too
        palette = np.array(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return not _has_16_bits(image) and image.mode not in {"1", "L", "LA", "La"}


def _check_readable(image: Image.Image, path: Path) -> None:
    if image.mode in {"I", "F"} and not _has_16_bits(image):
        raise DataError(f"Images must have at most 16 bits per pixel. {path} has 32 bits. Save it as a .npy file.")
    if image.format == "TIFF" and image.mode in {"RGB", "RGBA", "CMYK", "LAB", "LA"}:
        bits = max(getattr(image, "tag_v2", {}).get(258, (8,)))
        if bits > 8 and not all(";16" in raw_mode for raw_mode in _raw_modes(image)):
            raise DataError(f"{path} has {bits} bits in each of several planes. Save it as a PNG, or as a .npy array.")


def _loses_depth(image: Image.Image, path: Path) -> bool:
    if image.format == "AVIF":
        with path.open("rb") as file:
            header = file.read(_AVIF_HEADER)
        start = header.find(b"av1C")
        return start >= 0 and len(header) > start + 6 and bool(header[start + 6] & 0x40)  # high_bitdepth
    return not _has_16_bits(image) and any(";16" in raw_mode for raw_mode in _raw_modes(image))


def _raw_modes(image: Image.Image) -> set[str]:
    """Return how the numbers of an image lie in its file, in Pillow's words."""
    arguments = [tile[3] for tile in getattr(image, "tile", [])]
    return {str(one[0] if isinstance(one, tuple) and one else one) for one in arguments}


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
def naming_image(path: Path) -> Iterator[None]:
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
def quiet_pillow() -> Iterator[None]:
    """Hide Pillow's warnings, except decompression bombs, which become errors."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
