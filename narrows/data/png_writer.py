"""Writes PNG images of 8 or 16 bits a channel, grey or in colour; see the PNG specification (W3C, 2003)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["write_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2
_LEVEL = 6
_STRIPE_BYTES = 2**20  # bytes of the rows that are filtered at once


def write_png(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write pixels (H, W) or (H, W, 3), uint8 or uint16, as a PNG image."""
    height, width = pixels.shape[:2]
    n_channels = 3 if pixels.ndim == 3 else 1
    n_bytes = pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    packer = zlib.compressobj(_LEVEL)
    stripes = [packer.compress(filtered.tobytes()) for filtered in _filtered(rows, n_channels * n_bytes)]
    content = b"".join([*stripes, packer.flush()])
    colour = _COLOUR if n_channels == 3 else _GREY
    header = struct.pack(">IIBBBBB", width, height, 8 * n_bytes, colour, 0, 0, 0)
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        for kind, data in ((b"IHDR", header), (b"IDAT", content), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data)
            file.write(struct.pack(">I", zlib.crc32(kind + data)))


def _filtered(rows: npt.NDArray[np.uint8], n_pixel: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield rows (H, n) of pixels of ``n_pixel`` bytes in stripes, filtered, with its filter's number before each row.

    Each row gets the filter whose differences have the smallest sum of absolute values, as the specification advises.
    """
    height, n = rows.shape
    step = max(1, _STRIPE_BYTES // n)
    for start in range(0, height, step):
        stripe = rows[start : start + step]
        padded = np.zeros((len(stripe) + 1, n + n_pixel), np.int16)
        padded[1:, n_pixel:] = stripe
        if start:
            padded[0, n_pixel:] = rows[start - 1]
        left, above, corner = padded[1:, :-n_pixel], padded[:-1, n_pixel:], padded[:-1, :-n_pixel]
        predictions = np.stack([np.zeros_like(left), left, above, (left + above) >> 1, _paeth(left, above, corner)])
        differences = stripe - predictions.astype(np.uint8)  # modulo 256
        costs = np.abs(differences.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
        chosen = costs.argmin(axis=0)
        yield np.hstack([chosen[:, None].astype(np.uint8), differences[chosen, np.arange(len(stripe))]])


def _paeth(
    left: npt.NDArray[np.int16], above: npt.NDArray[np.int16], corner: npt.NDArray[np.int16]
) -> npt.NDArray[np.int16]:
    """Return the neighbour that is nearest to left + above − corner; of equals the first in this order."""
    to_left, to_above, to_corner = np.abs(above - corner), np.abs(left - corner), np.abs(left + above - 2 * corner)
    is_left = (to_left <= to_above) & (to_left <= to_corner)
    return np.where(is_left, left, np.where(to_above <= to_corner, above, corner))
