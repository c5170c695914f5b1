"""A chunk's records in coded form, and the ways in which they can be coded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from numpy.typing import NDArray

__all__ = ["CodedResidual", "Kind"]


class Kind(IntEnum):
    """How records are coded; archives hold these numbers."""

    LINEAR = 1
    EXACT = 2  # as LINEAR, but lossless whatever the bound: a tight bound can cost more than none
    ZSTD = 3
    PLAIN = 4
    CAUSAL = 5  # as LINEAR, under the model's own network; no weights


@dataclass(frozen=True, eq=False)
class CodedResidual:
    """The coded form of some records, and the records that it decodes to.

    Attributes
    ----------
    kind : Kind
        How they are coded.
    needs_code : bool
        Whether decoding needs what the model restores from the code; otherwise the code is not stored.
    data : bytes
        What `decode_chunk` takes.
    restored : ndarray of shape (n, *shape)
        The records as they are decoded.
    """

    kind: Kind
    needs_code: bool
    data: bytes
    restored: NDArray[Any]

    def n_bytes(self, n_code: int) -> int:
        """Return the bytes of the data, and those of the code if it is needed."""
        return len(self.data) + n_code * self.needs_code
