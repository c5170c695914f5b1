"""A way to store records: by the code alone, or within a bound by one of several encodings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from narrows.codec.residual.coded import Kind

__all__ = ["WAYS", "Way", "way_name"]

WAYS = "ways"
"""Entry of the metadata of archives: for each way that was measured, the best first, name, bytes of a record, PSNR."""

_NAMES = {Kind.BYTES: "bytes", Kind.ZSTD: "zstd", Kind.PLAIN: "plain"}


@dataclass(frozen=True)
class Way:
    """A way to store records, as measured on some of them.

    Attributes
    ----------
    name : str
        ``"code"`` alone, or with a bound the most frequent encoding, as in `chunks_kept` of a summary.
    quality : int
        Number of the quality of the code.
    error_bound : float or None
        The largest error allowed, in the records' units; 0: lossless, of rounded pixels if these are; None: no bound.
    bytes_per_record : float
        Bytes of a record, or of an image that is cut into tiles, without header and model.
    psnr_db : float
        PSNR over the records' own range; infinite without an error.
    weight : float or None
        How much squared error a bit is worth, if pixels are rounded to levels; otherwise None.
    """

    name: str
    quality: int
    error_bound: float | None
    bytes_per_record: float
    psnr_db: float
    weight: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the way as JSON values; an infinite PSNR becomes None."""
        return {**vars(self), "psnr_db": None if math.isinf(self.psnr_db) else self.psnr_db}


def way_name(kind: Kind, needs_code: bool) -> str:
    """Return the name of an encoding: the kind of a residual, and whether there are also symbols of a code."""
    if needs_code:
        return "code and rest"
    return "network" if kind.uses_network else _NAMES.get(kind, "neighbours")
