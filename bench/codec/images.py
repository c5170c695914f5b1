"""JPEG, WebP, JPEG XL and AVIF: each record a file of its own, and all of them as one sheet.

The whole files are counted, as they would lie on the disk: a JPEG with its tables, an AVIF with its boxes, a JPEG XL as
the bare codestream. On records of 784 bytes that is most of the file; the sheet, which shares it and lets the codec see
repetition, is what to compare with. Colour is coded as the packages' defaults have it (JPEG, WebP and AVIF at 4:2:0).
Every codec runs at the efforts that make its smallest files. Where these are slow, the sheet has fewer records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import imagecodecs
import numpy as np
from measuring import Array, Attempt
from records import Records, join, split

__all__ = ["attempts"]

N_COLUMNS = 100
EVERY = 10  # of the records as files of their own


@dataclass(frozen=True)
class Codec:
    """A codec of one image at a time: its settings from few bytes to many, its efforts, and how it is called."""

    name: str
    scale: str
    settings: tuple[int, ...]
    efforts: tuple[int, ...]
    encode: Callable[[Array, int, int], bytes]
    decode: Callable[[bytes], Array]
    note: str
    every_in_sheet: int = 1

    def attempts(self) -> Iterator[tuple[str, Callable[[Array], bytes]]]:
        """Yield each setting at each effort: its description, and a function that encodes an image."""
        for setting in self.settings:
            for effort in self.efforts:
                text = f"{self.scale} {setting}" + (f", effort {effort}" if len(self.efforts) > 1 else "")
                yield text, partial(self._encode, setting=setting, effort=effort)

    def _encode(self, image: Array, *, setting: int, effort: int) -> bytes:
        return bytes(self.encode(image, setting, effort))


def attempts(records: Records) -> Iterator[Attempt]:
    for codec in CODECS:
        for setting, encode in codec.attempts():
            yield each(codec, setting, encode, records.test.shape)
        for setting, encode in codec.attempts():
            yield sheet(codec, setting, encode, records.test.shape)


def each(codec: Codec, setting: str, encode: Callable[[Array], bytes], shape: tuple[int, ...]) -> Attempt:
    def decode(stored: list[bytes]) -> Array:
        return np.stack([_with_channels(codec.decode(one), len(shape) - 1) for one in stored])

    return Attempt(
        f"{codec.name}, each",
        setting,
        lambda x: [encode(one) for one in x],
        decode,
        every=EVERY,
        note=f"every {EVERY}th test record; {codec.note}",
    )


def sheet(codec: Codec, setting: str, encode: Callable[[Array], bytes], shape: tuple[int, ...]) -> Attempt:
    n_rows = shape[0] // codec.every_in_sheet // N_COLUMNS
    return Attempt(
        f"{codec.name}, sheet",
        setting,
        lambda x: [encode(join(x, N_COLUMNS))],
        lambda stored: split(_with_channels(codec.decode(stored[0]), len(shape) - 1), shape[1], shape[2]),
        every=codec.every_in_sheet,
        note=f"{n_rows}×{N_COLUMNS} records in one image; {codec.note}",
    )


def _with_channels(image: Array, n_axes: int) -> Array:
    """Return a grey image as grey: where a codec only knows colour, from its green channel."""
    return image if image.ndim == n_axes else image[..., 1]


def _in_colour(image: Array) -> Array:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def _avif(image: Array, level: int, speed: int) -> bytes:
    # imagecodecs takes a plane of grey as lossless whatever the level: grey goes in as colour, and is stored as grey.
    pixels = "420" if image.ndim == 3 else "400"
    return imagecodecs.avif_encode(_in_colour(image), level=level, speed=speed, pixelformat=pixels, numthreads=1)


def _jpeg_xl(image: Array, distance: int, effort: int) -> bytes:
    return imagecodecs.jpegxl_encode(image, distance=float(distance), effort=effort, usecontainer=False, numthreads=1)


CODECS = (
    Codec(
        "JPEG",
        "quality",
        (2, 5, 10, 20, 40, 60, 80),
        (1,),
        lambda x, level, optimise: imagecodecs.jpeg8_encode(x, level=level, optimize=bool(optimise)),
        imagecodecs.jpeg8_decode,
        "optimised Huffman tables",
    ),
    Codec(
        "WebP",
        "quality",
        (0, 1, 5, 15, 40, 70, 90),
        (6,),
        lambda x, level, method: imagecodecs.webp_encode(_in_colour(x), level=level, lossless=False, method=method),
        lambda stored: imagecodecs.webp_decode(stored, hasalpha=False),
        "method 6",
    ),
    Codec(
        "JPEG XL",
        "distance",
        (24, 15, 10, 6, 3, 1),
        (9, 10),
        _jpeg_xl,
        lambda stored: imagecodecs.jpegxl_decode(stored, numthreads=1),
        "efforts 9 and 10",
    ),
    Codec(
        "AVIF",
        "quality",
        (0, 3, 10, 20, 35, 55),
        (0, 3),
        _avif,
        lambda stored: imagecodecs.avif_decode(stored, numthreads=1),
        "speeds 0 and 3",
        every_in_sheet=5,
    ),
)
