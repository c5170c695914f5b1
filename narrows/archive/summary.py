"""What a compression came to, counted honestly: bytes on disk, and the model's own."""

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

_WAYS = {Kind.CAUSAL: "network", Kind.ZSTD: "zstd", Kind.PLAIN: "plain"}


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
    expected_psnr_db, expected_bytes_per_record : float or None
        What the quality gave on training data; None within a bound, where it says nothing of what comes back.
    model_bytes : int
        What a reader needs besides: the integer decoder at this quality. In the file already if ``model_embedded``.
    model_embedded : bool
        Whether the file carries it.
    unlike : int
        Records restored so badly that they look nothing like the training data; within a bound, those whose code alone
        would be.
    warnings : tuple of dict
        What a person should know: ``kind``, ``count`` of the things concerned, the ``first`` of them, and the
        ``message`` in sentences (`narrows.errors.Warned`).
    chunks_kept : dict of str to int
        Within a bound, how many of the chunks written now are kept in which way: ``code and rest``; under what their
        ``neighbours`` say, or the model's ``network``; by ``zstd``; or ``plain``. Empty without a bound.
    kernels : str
        What computed the codec's inner loops: ``C``, or ``NumPy``, which takes about ten times as long.
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
    chunks_kept: dict[str, int] = field(default_factory=dict)
    kernels: str = field(default_factory=kernels_used)
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
        if self.expected_psnr_db is not None and math.isinf(self.expected_psnr_db):  # JSON has no infinity
            values["expected_psnr_db"] = None
        return {**values, "warnings": list(self.warnings), **{name: getattr(self, name) for name in computed}}


def ways_of(kept: Iterable[tuple[Kind, bool]]) -> dict[str, int]:
    """Return how many chunks are kept in which way, the most frequent first.

    Parameters
    ----------
    kept : iterable of (Kind, bool)
        For each chunk how it is kept, and whether on top of its code.

    Examples
    --------
    >>> ways_of([(Kind.EXACT, False), (Kind.LINEAR, True), (Kind.LINEAR, False)])
    {'neighbours': 2, 'code and rest': 1}
    """
    ways = Counter("code and rest" if needs_code else _WAYS.get(kind, "neighbours") for kind, needs_code in kept)
    return dict(ways.most_common())
