"""Writes PNG images of 48 bits a pixel, which Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["write_deep_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = 2  # red, green and blue
_UP = 2  # the filter that stores differences to the row above
_LEVEL = 6


def write_deep_png(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write pixels (H, W, 3) uint16 as a PNG image, as in the PNG specification (W3C, 2003)."""
    height, width, _ = pixels.shape
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, 6 * width)
    filtered = np.full((height, 1 + rows.shape[1]), _UP, np.uint8)
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]  # modulo 256
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE, 0, 0, 0)
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        for kind, content in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(filtered.tobytes(), _LEVEL)),
            (b"IEND", b""),
        ):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
