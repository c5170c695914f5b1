"""What other compressors take for the same records at the same quality, measured on some of them."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from narrows.codec.residual.bound_choice import largest_bound
from narrows.data import Source
from narrows.numerics.psnr import psnr_db

__all__ = ["Yardstick", "own_bytes_of", "records_to_measure", "yardsticks_of"]

_RECORDS, _VALUES = 256, 1 << 18
_SIDE = 512  # of larger images, a corner of this height and width is measured
_ZSTD_LEVEL = 19
_COLOURS = {2: "L", 3: "RGB"}  # by the number of axes of a sheet
_LOSSY: dict[str, dict[str, Any]] = {"WebP": {"method": 4}, "AVIF": {"speed": 8}}
_EXACT: dict[str, dict[str, Any]] = {"WebP": {"lossless": True, "quality": 50, "method": 4}, "PNG": {"optimize": True}}
_BEST = 100  # quality of WebP and AVIF


@dataclass(frozen=True)
class Yardstick:
    """What another compressor takes.

    Attributes
    ----------
    name : str
        ``"zstd"``, ``"quantised zstd"``, ``"WebP"``, ``"AVIF"``, ``"PNG"``, or ``"own files"``, those of the folder.
    n_bytes : int
        Bytes of all records, extrapolated from some of them.
    psnr_db : float or None
        PSNR of what it restores; None: lossless, or for own files what they are.
    is_equal : bool
        Whether its quality is that of the archive, so that bytes can be compared.
    again : int or None
        What as many records more would take, of compressors that learn from those before; None: as much.
    """

    name: str
    n_bytes: int
    psnr_db: float | None
    is_equal: bool = True
    again: int | None = None


def records_to_measure(values: NDArray[Any]) -> NDArray[Any]:
    """Return some of the records (n, *shape), evenly spaced; of large images a corner."""
    n = max(1, min(_RECORDS, _VALUES // max(math.prod(values.shape[1:]), 1), len(values)))
    places = np.unique(np.linspace(0, len(values) - 1, n).round().astype(np.int64))
    return np.ascontiguousarray(values[places])


def own_bytes_of(source: Source) -> int | None:
    """Return the size of the files of a folder of images; None for other data, or if the folder has changed."""
    if source.files is None or not os.path.isdir(source.name):
        return None
    try:
        return sum(os.path.getsize(os.path.join(source.name, file)) for file in source.files)
    except OSError:
        return None


def yardsticks_of(
    some: NDArray[Any], n_records: int, psnr: float | None, *, are_images: bool, error_bound: float | None, peak: float
) -> list[Yardstick]:
    """Return what others take for records, the smallest first.

    Parameters
    ----------
    some : ndarray of shape (n, *shape)
        Some of the records.
    n_records : int
        Number of all records.
    psnr : float or None
        PSNR in dB of the restored records; None if they are exact.
    are_images : bool
        Whether records are images.
    error_bound : float or None
        The bound of the archive, if it has one.
    peak : float
        The peak of the PSNR.
    """
    found: list[Yardstick] = []
    if some.dtype == np.uint8 and are_images and some.ndim in (3, 4) and some.shape[3:] in ((), (1,), (3,)):
        found += _of_images(some, n_records, psnr)
    if psnr is None:
        found.append(Yardstick("zstd", _of_all(_zstd(some), some, n_records), None))
    elif some.dtype.kind in "iuf" and peak > 0 and not found:
        found += _quantised(some, n_records, psnr, error_bound, peak)
    return sorted(found, key=lambda one: one.n_bytes)


def _of_all(n_bytes: float, some: NDArray[Any], n_records: int) -> int:
    return round(n_bytes * n_records / len(some))


def _zstd(values: NDArray[Any]) -> int:
    return len(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(np.ascontiguousarray(values).tobytes()))


def _quantised(
    some: NDArray[Any], n_records: int, psnr: float, error_bound: float | None, peak: float
) -> list[Yardstick]:
    """Return the size of values rounded to multiples of a step, by zstd: within the bound, or at the PSNR."""
    finite = some[np.isfinite(some)] if some.dtype.kind == "f" else some
    unit = 0.0 if some.dtype.kind == "f" else 1.0
    bound = error_bound
    if bound is None:
        scaled = finite.astype(np.float64).ravel() / peak
        bound = peak * largest_bound(scaled, 10 ** (-psnr / 10), unit=unit / peak)
    step = 2 * math.floor(bound) + 1.0 if unit else 2 * bound
    if not 0 < step < math.inf:
        return []
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.rint(np.where(np.isfinite(some), some, 0).astype(np.float64) / step)
    if not np.abs(steps).max(initial=0.0) < 2.0**31:
        return []
    error = np.where(np.isfinite(some), some, 0).astype(np.float64) - steps * step
    reached = psnr_db(float(np.square(error / peak).mean()), 1.0)
    kind = next(one for one in (np.int8, np.int16, np.int32) if np.abs(steps).max(initial=0.0) <= np.iinfo(one).max)
    size = _of_all(_zstd(steps.astype(kind)), some, n_records)
    return [Yardstick("quantised zstd", size, reached if math.isfinite(reached) else None)]


def _of_images(some: NDArray[Any], n_records: int, psnr: float | None) -> list[Yardstick]:
    """Return the sizes of all images as one sheet, by the formats that Pillow has; empty without it."""
    try:
        from PIL import Image, features
    except ImportError:  # a base installation
        return []
    sheet, share = _sheet(some)
    blank = np.zeros_like(sheet)

    def size(data: bytes, name: str, **how: Any) -> int:
        """Return the size for all records: what depends on them, and once what does not."""
        fixed = min(len(_encoded(blank, name, **how)), len(data))
        return round(fixed + (len(data) - fixed) * n_records / share)

    def decoded(data: bytes) -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(data)).convert(_COLOURS[sheet.ndim]))

    names = [name for name in ("WebP", "AVIF", "PNG") if name == "PNG" or features.check(name.lower())]
    exact = [name for name in names if name in _EXACT]
    if psnr is None:
        return [Yardstick(one, size(_encoded(sheet, one, **_EXACT[one]), one, **_EXACT[one]), None) for one in exact]
    found = []
    for name in (name for name in names if name in _LOSSY):
        quality, data, reached = _coarsest(
            lambda quality, name=name: _encoded(sheet, name, quality=quality, **_LOSSY[name]),  # type: ignore[misc]
            lambda data: psnr_db(float(np.square(sheet.astype(np.float64) - decoded(data)).mean()), 255.0),
            psnr,
        )
        if reached >= psnr:
            shown = reached if math.isfinite(reached) else None
            found.append(Yardstick(name, size(data, name, quality=quality, **_LOSSY[name]), shown))
    return found


def _encoded(pixels: NDArray[np.uint8], name: str, **how: Any) -> bytes:
    """Return an image in a format of Pillow."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(pixels).save(made, name.upper(), **how)
    return made.getvalue()


def _sheet(some: NDArray[Any]) -> tuple[NDArray[np.uint8], float]:
    """Return images side by side as one, and how many there are; of large ones a corner."""
    some = some.reshape(some.shape[:3]) if some.shape[3:] == (1,) else some
    whole = math.prod(some.shape[1:3])
    some = some[:, :_SIDE, :_SIDE]
    n_columns = math.ceil(math.sqrt(len(some)))
    n_rows = len(some) // n_columns
    some = some[: n_rows * n_columns]
    height, width = some.shape[1:3]
    grid = some.reshape(n_rows, n_columns, height, width, *some.shape[3:]).swapaxes(1, 2)
    return (
        np.ascontiguousarray(grid.reshape(n_rows * height, n_columns * width, *some.shape[3:])),
        len(some) * height * width / whole,
    )


def _coarsest(
    encode: Callable[[int], bytes], measure: Callable[[bytes], float], psnr: float
) -> tuple[int, bytes, float]:
    """Return the lowest quality that reaches a PSNR, with the file and its PSNR; the highest if none does."""
    low, high = -1, _BEST
    data = encode(high)
    best = high, data, measure(data)
    if best[2] < psnr:
        return best
    while high - low > 1:
        middle = (low + high) // 2
        data = encode(middle)
        reached = measure(data)
        if reached >= psnr:
            high, best = middle, (middle, data, reached)
        else:
            low = middle
    return best
