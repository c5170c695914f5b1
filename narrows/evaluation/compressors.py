"""General-purpose compressors to compare archives of images with: PNG and zstd, which are lossless."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from narrows.archive.summary import ZSTD_LEVEL
from narrows.errors import DataError

__all__ = ["lossless_sizes"]

_COLOUR_CHANNELS = (3, 4)


def lossless_sizes(images: NDArray[Any]) -> dict[str, int]:
    """Return how many bytes images take uncompressed, as PNG files, and by zstd.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3 or 4), uint8
        Grey images, or images in colour.

    Returns
    -------
    dict of str to int
        The bytes of all images, by the method.

    Raises
    ------
    DataError
        If the array holds no such images.

    Examples
    --------
    >>> lossless_sizes(np.zeros((10, 8, 8), np.uint8))["uncompressed"]
    640
    """
    is_image = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in _COLOUR_CHANNELS)
    if images.dtype != np.uint8 or not is_image:
        raise DataError(
            "lossless_sizes takes images of uint8, (n, height, width) or (n, height, width, 3). "
            f"Got {images.dtype} of shape {images.shape}."
        )
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    return {
        "uncompressed": images.nbytes,
        "PNG, a file each": sum(_png_size(image) for image in images),
        f"zstd -{ZSTD_LEVEL}, a file each": sum(len(compressor.compress(image.tobytes())) for image in images),
        f"zstd -{ZSTD_LEVEL}, all in one": len(compressor.compress(images.tobytes())),
    }


def _png_size(image: NDArray[Any]) -> int:
    Image.fromarray(np.ascontiguousarray(image)).save(file := io.BytesIO(), "png")
    return file.tell()
