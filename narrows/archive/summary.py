"""What a compression came to, counted honestly: bytes on disk, and the model's own."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import zstandard

__all__ = ["ZSTD_LEVEL", "ZSTD_SAMPLE_BYTES", "Summary"]

ZSTD_LEVEL = 19
ZSTD_SAMPLE_BYTES = 2 << 20


@dataclass(frozen=True)
class Summary:
    """What a compression came to.

    Attributes
    ----------
    path : str
        The archive.
    records : int
        Records written now.
    total_records : int
        Records in the archive; more than were written now if it was appended to.
    n_bytes : int
        Bytes of the file on disk.
    raw_bytes : int
        Bytes of as many records uncompressed as the file holds.
    psnr_db : float or None
        Signal-to-noise ratio of the records written now; None if every one came back exactly, or if the training data
        were all the same, so that there is no range to compare errors with.
    max_error : float
        The largest error of a value, in the records' units.
    expected_psnr_db, expected_bytes_per_record : float
        What the quality gave on training data.
    model_bytes : int
        What a reader needs besides: the integer decoder at this quality. In the file already if ``model_embedded``.
    model_embedded : bool
        Whether the file carries it.
    unlike : int
        Records restored so badly that they look nothing like the training data.
    warnings : tuple of str
        What a person should know, in sentences.
    """

    path: str
    records: int
    total_records: int
    n_bytes: int
    raw_bytes: int
    psnr_db: float | None
    max_error: float
    expected_psnr_db: float
    expected_bytes_per_record: float
    model_bytes: int
    model_embedded: bool
    unlike: int
    warnings: tuple[str, ...]
    sample: bytes = field(default=b"", repr=False)
    """The first records as they came, to try zstd on."""

    @property
    def bytes_per_record(self) -> float:
        """Bytes of the file for each record in it."""
        return self.n_bytes / self.total_records

    @property
    def ratio_to_raw(self) -> float:
        """How many times smaller than the records uncompressed."""
        return self.raw_bytes / self.n_bytes

    @cached_property
    def zstd_bytes(self) -> int:
        """What zstd at level 19 makes of as many records; measured on the first 2 MiB, and in proportion beyond."""
        packed = len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(self.sample))
        return round(packed * self.raw_bytes / len(self.sample))

    @property
    def ratio_to_zstd(self) -> float:
        """How many times smaller than zstd makes them."""
        return self.zstd_bytes / self.n_bytes

    @property
    def pays_after(self) -> int | None:
        """From how many records on archive and model together are smaller than zstd's file; None: never."""
        embedded = self.model_bytes if self.model_embedded else 0
        saved = (self.zstd_bytes - (self.n_bytes - embedded)) / self.total_records
        return math.ceil(self.model_bytes / saved) if saved > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; an expected quality without any error is None."""
        values = asdict(self)
        del values["sample"]
        computed = ("bytes_per_record", "ratio_to_raw", "zstd_bytes", "ratio_to_zstd", "pays_after")
        if math.isinf(self.expected_psnr_db):  # JSON has no infinity
            values["expected_psnr_db"] = None
        return {**values, "warnings": list(self.warnings), **{name: getattr(self, name) for name in computed}}
