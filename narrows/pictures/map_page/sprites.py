"""Sheets of thumbnails: 256 images in one, grey ones in 16 shades as PNG, colour ones as WebP or JPEG."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

__all__ = ["PER_SHEET", "Sheets"]

_PER_ROW = 16
PER_SHEET = _PER_ROW**2
_LARGEST_SIDE = 112
_MOST_PIXELS, _MOST_BYTES = 64_000_000, 20_000_000  # of all thumbnails
_SAMPLED = 6  # sheets whose size is measured
_QUALITY = 70


@dataclass(frozen=True)
class Sheets:
    """Thumbnails of images.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        The images.
    size : (int, int)
        Height and width of a thumbnail.
    """

    images: NDArray[np.uint8]
    size: tuple[int, int]

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> Sheets:
        """Choose the size of the thumbnails: that of the images, or less, so that all of them are 20 MB at most."""
        n, height, width = images.shape[:3]
        factor = min(1.0, _LARGEST_SIDE / max(height, width), math.sqrt(_MOST_PIXELS / (n * height * width)))
        sheets = cls(images, _scaled(height, width, factor))
        n_bytes = sheets.estimated_bytes()
        if n_bytes > _MOST_BYTES:
            sheets = cls(images, _scaled(height, width, factor * math.sqrt(_MOST_BYTES / n_bytes)))
        return sheets

    @property
    def is_grey(self) -> bool:
        """Whether the images have no colours."""
        return self.images.ndim == 3

    @property
    def mime(self) -> str:
        """The type of the files."""
        return "image/png" if self.is_grey else "image/webp" if features.check("webp") else "image/jpeg"

    @property
    def n_sheets(self) -> int:
        """The number of sheets."""
        return -(-len(self.images) // PER_SHEET)

    def estimated_bytes(self) -> float:
        """Return about how many bytes all sheets take, from a few of them."""
        some = np.unique(np.linspace(0, self.n_sheets - 1, min(_SAMPLED, self.n_sheets)).astype(int))
        sizes = [len(self.sheet(int(at))) for at in some]
        n_in_them = sum(min(PER_SHEET, len(self.images) - int(at) * PER_SHEET) for at in some)
        return sum(sizes) * len(self.images) / n_in_them

    def __iter__(self) -> Iterator[bytes]:
        return (self.sheet(at) for at in range(self.n_sheets))

    def sheet(self, at: int) -> bytes:
        """Return the file of one sheet."""
        some = self.images[at * PER_SHEET : (at + 1) * PER_SHEET]
        height, width = self.size
        n_rows = -(-len(some) // _PER_ROW)
        whole = Image.new("L" if self.is_grey else "RGB", (_PER_ROW * width, n_rows * height))
        for i, image in enumerate(some):
            one = Image.fromarray(image)
            if one.size != (width, height):
                one = one.resize((width, height), Image.Resampling.BOX)
            whole.paste(one, (i % _PER_ROW * width, i // _PER_ROW * height))
        file = io.BytesIO()
        if self.is_grey:
            _in_shades(whole).save(file, "PNG", bits=4, compress_level=9)
        else:
            whole.save(file, self.mime.removeprefix("image/").upper(), quality=_QUALITY)
        return file.getvalue()

    def facts(self) -> dict[str, object]:
        """Return what the page needs to find a thumbnail."""
        return {"size": self.size, "perSheet": PER_SHEET, "perRow": _PER_ROW, "mime": self.mime}


def _scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    return max(1, round(height * factor)), max(1, round(width * factor))


def _in_shades(image: Image.Image) -> Image.Image:
    """Return a grey image with a palette of 16 shades."""
    shades = Image.fromarray(((np.asarray(image).astype(np.uint16) + 8) // 17).astype(np.uint8), "P")
    shades.putpalette([value for shade in range(16) for value in (17 * shade,) * 3])
    return shades
