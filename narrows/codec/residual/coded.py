"""The coded form of a chunk's records, and the methods of coding them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from numpy.typing import NDArray

__all__ = ["CodedResidual", "Kind"]


class Kind(IntEnum):
    """The method of coding records; archives store these numbers."""

    LINEAR = 1
    EXACT = 2  # as LINEAR, but lossless for any bound, because a tight bound can take more bytes
    ZSTD = 3
    PLAIN = 4
    CAUSAL = 5  # as LINEAR, but with the model's causal network, without weights
    INTERPOLATED = 6  # interpolation, level by level; only fields
    INTERPOLATED_EXACT = 7  # as INTERPOLATED, but lossless for any bound
    CAUSAL_LEVELS = 8  # as CAUSAL, but the network predicts positions in its list of levels: lossless for any bound
    BYTES = 9  # texts, by the model of bytes: lossless for any bound
    CAUSAL_GROUPS = 10  # as CAUSAL, but each group of records is a message of its own
    CAUSAL_LEVELS_GROUPS = 11  # as CAUSAL_LEVELS, in groups
    BISECTED = 12  # bisection of the values that can occur, lossless for any bound; only fields
    TEXTS_ALONE = 13  # texts, each coded alone with the model of bytes of the archive: lossless for any bound
    BISECTED_CHANNELS = 20  # as BISECTED, but channels are predicted from those before them, too
    TEXT_GROUPS = 14  # as TEXTS_ALONE, but texts are predicted from those before them in their group, too

    @property
    def uses_network(self) -> bool:
        """Whether decoding needs the causal network of the model, or its model of bytes."""
        return self.has_groups or self in {Kind.CAUSAL, Kind.CAUSAL_LEVELS}

    @property
    def has_groups(self) -> bool:
        """Whether groups of records can be decoded one by one."""
        return self.has_texts or self in {Kind.CAUSAL_GROUPS, Kind.CAUSAL_LEVELS_GROUPS}

    @property
    def has_texts(self) -> bool:
        """Whether texts are coded with the model of bytes of the archive."""
        return self in {Kind.TEXTS_ALONE, Kind.TEXT_GROUPS}

    @property
    def has_levels(self) -> bool:
        """Whether a causal network predicts positions in its list of levels."""
        return self in {Kind.CAUSAL_LEVELS, Kind.CAUSAL_LEVELS_GROUPS}


@dataclass(frozen=True, eq=False)
class CodedResidual:
    """The coded form of some records, and the records that it decodes to.

    Attributes
    ----------
    kind : Kind
        The method of coding.
    needs_code : bool
        Whether decoding needs the model's output for the code; otherwise the code is not stored.
    data : bytes
        The input of `decode_chunk`.
    restored : ndarray of shape (n, *shape)
        The output of `decode_chunk`.
    n_weights : int
        Of the data's bytes, those that are the same however many records there are: the weights of a prediction.
    """

    kind: Kind
    needs_code: bool
    data: bytes
    restored: NDArray[Any]
    n_weights: int = 0

    def n_bytes(self, n_code: int) -> int:
        """Return the size in bytes of the data, plus the ``n_code`` bytes of the code if it is needed."""
        return len(self.data) + n_code * self.needs_code
