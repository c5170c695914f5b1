"""Result of a compression: sizes, quality, warnings, and comparison with zstd."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from narrows.archive.text_yardsticks import pays_after, yardsticks_of_text
from narrows.archive.way import Way, way_name
from narrows.archive.yardsticks import Yardstick, yardsticks_of
from narrows.codec.kernels import kernels_used
from narrows.codec.residual.coded import Kind
from narrows.errors import Warned
from narrows.numerics.psnr import peak_of

__all__ = ["ZSTD_LEVEL", "ZSTD_SAMPLE_BYTES", "Summary", "ways_of"]

ZSTD_LEVEL = 19
ZSTD_SAMPLE_BYTES = 2 << 20


@dataclass(frozen=True)
class Summary:
    """The result of `compress`.

    Attributes
    ----------
    path : str
        Path of the archive.
    records : int
        Number of records written by this call.
    total_records : int
        Number of records in the archive, including those from before records were appended.
    n_bytes : int
        Size of the file on disk.
    raw_bytes : int
        Size of all records in the archive without compression.
    psnr_db : float or None
        PSNR of the records written by this call, over 255 for bytes, otherwise over their own range, `values_range`.
        None if all were restored exactly, or if they have no range, because all values are the same.
    max_error : float
        The largest error of a value, in the records' units; of texts, of their symbols.
    expected_psnr_db, expected_bytes_per_record : float or None
        PSNR and size of this quality on training data, over the same range. None with an error bound, since they do not
        apply then.
    model_bytes : int
        Size of the model that a reader needs: the integer decoder at this quality. It is part of `n_bytes` if
        `model_embedded`.
    model_embedded : bool
        Whether the archive contains its model.
    unlike : int
        Number of records with a squared error far above that of the training data. With an error bound, the error of
        the code alone is counted.
    warnings : tuple of dict
        What a person should know: ``kind``, ``count`` of the things concerned, the ``first`` of them, and the
        ``message`` in sentences (`narrows.errors.Warned`).
    error_bound : float or None
        The largest error allowed, in the records' units; 0: lossless; None: no bound.
    effort : int
        How long the symbols of the records written now were refined, 0 to 9; 0: not at all.
    values_range : (float, float) or None
        Smallest and largest finite value of the records written now, without the fill value; None if there is none.
    fill_value : float or None
        The value that stands for missing values and is restored exactly.
    n_fill : int
        How many of the values written now are it, or the fill value of the model.
    fill_of_model : bool
        Whether the model was trained with a fill value.
    chunks_kept : dict of str to int
        With an error bound, the number of chunks written by this call for each encoding: ``code and rest`` (symbols and
        residuals), residuals predicted from ``neighbours`` or by the model's ``network``, texts as ``bytes``, or with
        a model of bytes as ``texts in groups`` or ``texts alone``, ``zstd``, or ``plain`` bytes. Empty without a bound.
    is_same_text : bool or None
        Whether a CSV or WAV file that was compressed losslessly is restored byte for byte; otherwise as the same values
        in another text, or without other parts. None for other data.
    ways : tuple of Way
        The ways to store the records that were measured on some of them, the one that was chosen first. Empty if a
        bound or a quality was given.
    characters_right : float or None
        For texts, the share of bytes that are restored right.
    own_bytes : int or None
        Size of the files of the folder that the records come from; None for other data.
    kernels : str
        Implementation of the codec's inner loops: ``C``, or ``NumPy``, which takes about ten times as long.
    """

    path: str
    records: int
    total_records: int
    n_bytes: int
    raw_bytes: int
    psnr_db: float | None
    max_error: float
    expected_psnr_db: float | None
    expected_bytes_per_record: float | None
    model_bytes: int
    model_embedded: bool
    unlike: int
    warnings: tuple[Warned, ...]
    error_bound: float | None = None
    effort: int = 0
    values_range: tuple[float, float] | None = None
    fill_value: float | None = None
    n_fill: int = 0
    fill_of_model: bool = False
    chunks_kept: dict[str, int] = field(default_factory=dict)
    is_same_text: bool | None = None
    ways: tuple[Way, ...] = field(default=(), repr=False)
    characters_right: float | None = None
    own_bytes: int | None = None
    kernels: str = field(default_factory=kernels_used)
    sample: bytes = field(default=b"", repr=False)
    """The first records without compression, to measure zstd on."""
    some: NDArray[Any] | None = field(default=None, repr=False, compare=False)
    """Some of the records, or values of a field, to measure other compressors on."""
    some_of: int | None = field(default=None, repr=False)
    """How many there are of these; None: `total_records`."""
    are_images: bool = field(default=False, repr=False)
    are_texts: bool = field(default=False, repr=False)
    """Whether the sample consists of lines that a model of bytes has coded."""
    fixed_bytes: int = field(default=0, repr=False)
    """Of such an archive, the bytes of header and index."""

    @property
    def bytes_per_record(self) -> float:
        """Size of the file, divided by the number of its records."""
        return self.n_bytes / self.total_records

    @property
    def ratio_to_raw(self) -> float:
        """Size of the records without compression, divided by the size of the file."""
        return self.raw_bytes / self.n_bytes

    @cached_property
    def zstd_bytes(self) -> int:
        """Size of the records compressed by zstd at level 19, extrapolated from the first 2 MiB."""
        packed = len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(self.sample))
        return round(packed * self.raw_bytes / len(self.sample))

    @property
    def ratio_to_zstd(self) -> float:
        """Size of the records compressed by zstd, divided by the size of the file."""
        return self.zstd_bytes / self.n_bytes

    @cached_property
    def yardsticks(self) -> tuple[Yardstick, ...]:
        """What other compressors take for all records, the smallest first; measured on some of the records.

        For lossy archives of images these are WebP and AVIF at the same PSNR, for others quantised values by zstd
        within the same bound, or at the same PSNR if that chose the bound. For exact records these are lossless: zstd,
        and for images WebP and PNG. The files of the folder are a yardstick of their own.
        """
        is_exact = self.max_error == 0
        psnr = None if is_exact else self.psnr_db
        found: list[Yardstick] = []
        if self.are_texts:
            found = yardsticks_of_text(self.sample, self.raw_bytes)
        elif self.some is not None and (is_exact or psnr is not None):
            peak = 255.0 if self.is_of_bytes else self._range
            bound = None if self.ways else self.error_bound
            how: dict[str, Any] = {"are_images": self.are_images, "error_bound": bound, "peak": peak}
            found = yardsticks_of(self.some, self.some_of or self.total_records, psnr, **how)
        elif is_exact:
            found = [Yardstick("zstd", self.zstd_bytes, None)]
        if self.own_bytes is not None:
            own = round(self.own_bytes * self.total_records / self.records)
            found.append(Yardstick("own files", own, None, is_equal=is_exact))
        return tuple(sorted(found, key=lambda one: one.n_bytes))

    @property
    def rival(self) -> Yardstick | None:
        """The smallest yardstick at equal quality; None if there is none."""
        return next((one for one in self.yardsticks if one.is_equal), None)

    @property
    def pays_after(self) -> int | None:
        """The number of records from which archive and model together are smaller than any other at equal quality.

        None if never, or if nothing was measured at equal quality.
        """
        if self.rival is None:
            return None
        embedded = self.model_bytes if self.model_embedded else 0
        if self.are_texts:
            each = (self.n_bytes - embedded - self.fixed_bytes) / self.total_records
            others = list(self.yardsticks)
            return pays_after(self.model_bytes, self.fixed_bytes, each, self.total_records, others)
        saved = (self.rival.n_bytes - (self.n_bytes - embedded)) / self.total_records
        return math.ceil(self.model_bytes / saved) if saved > 0 else None

    @property
    def uses_model(self) -> bool:
        """Whether reading needs a part of the model."""
        return self.model_bytes > 0

    @property
    def is_of_bytes(self) -> bool:
        """Whether records are bytes, whose PSNR is over 255."""
        return self.some is not None and self.some.dtype == np.uint8

    @property
    def _range(self) -> float:
        return 0.0 if self.values_range is None else peak_of(np.dtype(np.float64), *self.values_range)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; an infinite expected PSNR becomes None."""
        values = asdict(self)
        for name in ("sample", "some", "some_of", "are_images", "are_texts", "fixed_bytes"):
            del values[name]
        values["yardsticks"] = [asdict(one) for one in self.yardsticks]
        computed = ("bytes_per_record", "ratio_to_raw", "zstd_bytes", "ratio_to_zstd", "pays_after")
        if self.expected_psnr_db is not None and math.isinf(self.expected_psnr_db):  # JSON has no infinity
            values["expected_psnr_db"] = None
        values["ways"] = [way.to_json() for way in self.ways]
        return {**values, "warnings": list(self.warnings), **{name: getattr(self, name) for name in computed}}


def ways_of(kept: Iterable[tuple[Kind, bool]]) -> dict[str, int]:
    """Return the number of chunks for each encoding, the most frequent encoding first.

    Parameters
    ----------
    kept : iterable of (Kind, bool)
        For each chunk, the kind of its residual, and whether it also has symbols of a code.

    Examples
    --------
    >>> ways_of([(Kind.EXACT, False), (Kind.LINEAR, True), (Kind.LINEAR, False)])
    {'neighbours': 2, 'code and rest': 1}
    """
    return dict(Counter(way_name(kind, needs_code) for kind, needs_code in kept).most_common())
