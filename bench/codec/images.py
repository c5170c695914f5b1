"""JPEG, WebP, JPEG XL and AVIF: each record a file of its own, and all of them as one sheet.

The whole files are counted, as they would lie on the disk: a JPEG with its tables, an AVIF with its boxes, a JPEG XL as
the bare codestream. On records of 784 bytes that is most of the file; the sheet, which shares it and lets the codec see
repetition, is what to compare with. Colour is coded as the packages' defaults have it (JPEG, WebP and AVIF at 4:2:0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from measuring import Array, Attempt
from records import Records, join, split

__all__ = ["attempts"]

N_COLUMNS = 100
EVERY = 10  # of the records as files of their own


@dataclass(frozen=True)
class Codec:
    """A codec of one image at a time: its settings from few bytes to many, and how it is called."""

    name: str
    scale: str
    settings: tuple[int, ...]
    encode: Callable[[Array, int], bytes]
    decode: Callable[[bytes], Array]
    note: str = ""


def attempts(records: Records) -> Iterator[Attempt]:
    for codec in CODECS:
        for setting in codec.settings:
            yield each(codec, setting, records.test.shape)
        for setting in codec.settings:
            yield sheet(codec, setting, records.test.shape)


def each(codec: Codec, setting: int, shape: tuple[int, ...]) -> Attempt:
    def decode(stored: list[bytes]) -> Array:
        return np.stack([_with_channels(codec.decode(one), len(shape) - 1) for one in stored])

    return Attempt(
        f"{codec.name}, each",
        f"{codec.scale} {setting}",
        lambda x: [codec.encode(one, setting) for one in x],
        decode,
        every=EVERY,
        note="; ".join(filter(None, [f"every {EVERY}th test record", codec.note])),
    )


def sheet(codec: Codec, setting: int, shape: tuple[int, ...]) -> Attempt:
    return Attempt(
        f"{codec.name}, sheet",
        f"{codec.scale} {setting}",
        lambda x: [codec.encode(join(x, N_COLUMNS), setting)],
        lambda stored: split(_with_channels(codec.decode(stored[0]), len(shape) - 1), shape[1], shape[2]),
        note="; ".join(filter(None, [f"{shape[0] // N_COLUMNS}×{N_COLUMNS} records in one image", codec.note])),
    )


def _with_channels(image: Array, n_axes: int) -> Array:
    """Return a grey image as grey: where a codec only knows colour, from its green channel."""
    return image if image.ndim == n_axes else image[..., 1]


def _in_colour(image: Array) -> Array:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def _avif(image: Array, level: int) -> bytes:
    # imagecodecs takes a plane of grey as lossless whatever the level: grey goes in as colour, and is stored as grey.
    pixels = "420" if image.ndim == 3 else "400"
    return _bytes(imagecodecs.avif_encode(_in_colour(image), level=level, speed=6, pixelformat=pixels, numthreads=1))


def _bytes(stored: Any) -> bytes:
    return bytes(stored)


CODECS = (
    Codec(
        "JPEG",
        "quality",
        (2, 5, 10, 20, 40, 60, 80),
        lambda x, level: _bytes(imagecodecs.jpeg8_encode(x, level=level, optimize=True)),
        imagecodecs.jpeg8_decode,
        "optimised Huffman tables",
    ),
    Codec(
        "WebP",
        "quality",
        (0, 1, 5, 15, 40, 70, 90),
        lambda x, level: _bytes(imagecodecs.webp_encode(_in_colour(x), level=level, lossless=False, method=6)),
        lambda stored: imagecodecs.webp_decode(stored, hasalpha=False),
        "method 6",
    ),
    Codec(
        "JPEG XL",
        "distance",
        (24, 15, 10, 6, 3, 1),
        lambda x, distance: _bytes(
            imagecodecs.jpegxl_encode(x, distance=float(distance), effort=7, usecontainer=False, numthreads=1)
        ),
        lambda stored: imagecodecs.jpegxl_decode(stored, numthreads=1),
        "effort 7",
    ),
    Codec(
        "AVIF",
        "quality",
        (0, 3, 10, 20, 35, 55, 75),
        _avif,
        lambda stored: imagecodecs.avif_decode(stored, numthreads=1),
        "speed 6",
    ),
)
