"""The pixels of images with 16 bits in each of several channels, of which Pillow keeps the upper 8.

Pillow decodes these files into modes of 8 bits, taking one byte of each number. Which one depends on the byte order of
the file. Decoded a second time as if in the other byte order, the same file gives the lower bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["deep_pixels", "is_deep"]

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_PORTABLE = {"ppm", "ppm_plain"}  # codecs of PPM files: binary and text


def is_deep(image: Image.Image) -> bool:
    """Return whether `deep_pixels` reads an opened image, which has not been decoded yet."""
    tiles = getattr(image, "tile", [])
    if not tiles:
        return False
    if tiles[0][0] in _PORTABLE:
        return image.mode == "RGB" and len(tiles) == 1 and int(tiles[0][3][1]) > 255
    raw_modes = {_raw_mode(tile) for tile in tiles}
    return len(raw_modes) == 1 and re.fullmatch(r"RGBA?;16[BLN]|LA;16B", raw_modes.pop()) is not None


def deep_pixels(path: Path) -> npt.NDArray[np.uint16]:
    """Return the pixels (H, W, channels) of an image for which `is_deep` is true.

    The channels are grey and alpha; red, green and blue; or these and alpha.
    """
    with _opened(path) as image:
        tile = image.tile[0]
        if tile[0] in _PORTABLE:
            return _portable_pixels(path, image.size, tile)
        raw_mode = _raw_mode(tile)
        if raw_mode == "LA;16B":  # four bytes a pixel, as RGBA has
            halves = _decoded(image, "RGBA")
            return _joined(halves[..., ::2], halves[..., 1::2])
        upper = _decoded(image, raw_mode)
    with _opened(path) as image:
        return _joined(upper, _decoded(image, raw_mode[:-1] + _OTHER_ORDER[raw_mode[-1]]))


def _joined(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Return numbers of 16 bits by their upper and lower bytes."""
    return np.left_shift(upper, 8, dtype=np.uint16) + lower.astype(np.uint16)


def _opened(path: Path) -> ImageFile.ImageFile:
    from PIL import Image

    return Image.open(path)


def _raw_mode(tile: Any) -> str:
    """Return how the numbers of a piece of an image lie in the file, in Pillow's words: ``"RGB;16B"``."""
    arguments = tile[3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _decoded(image: ImageFile.ImageFile, raw_mode: str) -> npt.NDArray[np.uint8]:
    """Return the pixels of an opened image, decoded as if its numbers lay otherwise in the file."""
    tiles: list[Any] = []
    for codec, extents, offset, arguments in image.tile:
        changed = (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
        tiles.append((codec, extents, offset, changed))
    image.tile = tiles
    return np.asarray(image)


def _portable_pixels(path: Path, size: tuple[int, int], tile: Any) -> npt.NDArray[np.uint16]:
    """Return the pixels of a PPM file, scaled to 65535 as Pillow scales those of PGM files."""
    codec, _, offset, (_, largest) = tile
    n = 3 * size[0] * size[1]
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read()
    if codec == "ppm":
        numbers = np.frombuffer(content, ">u2", n)
    else:
        words = re.sub(rb"#[^\r\n]*", b" ", content).split()[:n]
        numbers = np.array([int(word) for word in words], np.uint16)
    if numbers.size and int(numbers.max()) > largest:
        raise ValueError(f"a value of {numbers.max()} exceeds the largest, {largest}")
    pixels = numbers.reshape(size[1], size[0], 3).astype(np.float64)
    scaled: npt.NDArray[np.uint16] = np.rint(pixels * 65535 / largest).astype(np.uint16)
    return scaled
