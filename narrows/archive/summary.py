"""Result of a compression: sizes, quality, warnings, and comparison with zstd."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import zstandard

from narrows.codec.kernels import kernels_used
from narrows.codec.residual.coded import Kind
from narrows.errors import Warned

__all__ = ["ZSTD_LEVEL", "ZSTD_SAMPLE_BYTES", "Summary", "ways_of"]

ZSTD_LEVEL = 19
ZSTD_SAMPLE_BYTES = 2 << 20

_WAYS = {Kind.CAUSAL: "network", Kind.CAUSAL_LEVELS: "network", Kind.ZSTD: "zstd", Kind.PLAIN: "plain"}


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
        PSNR of the records written by this call. None if all were restored exactly, or if the peak is 0, because all
        training data were the same.
    max_error : float
        The largest error of a value, in the records' units.
    expected_psnr_db, expected_bytes_per_record : float or None
        PSNR and size of this quality on training data. None with an error bound, since they do not apply then.
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
        residuals), residuals predicted from ``neighbours`` or by the model's ``network``, ``zstd``, or ``plain`` bytes.
        Empty without a bound.
    is_same_text : bool or None
        Whether a CSV file that was compressed losslessly is restored byte for byte; otherwise as the same values in
        another text. None for other data.
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
    kernels: str = field(default_factory=kernels_used)
    sample: bytes = field(default=b"", repr=False)
    """The first records without compression, to measure zstd on."""

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

    @property
    def pays_after(self) -> int | None:
        """The number of records from which archive and model together are smaller than zstd's file; None if never."""
        embedded = self.model_bytes if self.model_embedded else 0
        saved = (self.zstd_bytes - (self.n_bytes - embedded)) / self.total_records
        return math.ceil(self.model_bytes / saved) if saved > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; an infinite expected PSNR becomes None."""
        values = asdict(self)
        del values["sample"]
        computed = ("bytes_per_record", "ratio_to_raw", "zstd_bytes", "ratio_to_zstd", "pays_after")
        if self.expected_psnr_db is not None and math.isinf(self.expected_psnr_db):  # JSON has no infinity
            values["expected_psnr_db"] = None
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
    ways = Counter("code and rest" if needs_code else _WAYS.get(kind, "neighbours") for kind, needs_code in kept)
    return dict(ways.most_common())
