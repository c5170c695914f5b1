"""What an archive needs of a model: no more than this, so that reading one never imports a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from narrows.codec.entropy_models.contract import Coded
from narrows.codec.residual.causal import FrozenCausal

__all__ = ["Codec", "Entropy", "OperatingPoint"]


class Entropy(Protocol):
    """Symbols to bits and back."""

    def encode(self, symbols: npt.NDArray[np.int32]) -> Coded:
        """Return the symbols (n, D), coded."""

    def decode(self, coded: Coded, n_records: int) -> npt.NDArray[np.int32]:
        """Return the symbols (n, D); CorruptArchiveError if there are none such."""


class OperatingPoint(Protocol):
    """One way to write codes as whole numbers."""

    @property
    def entropy(self) -> Entropy:
        """How symbols of this quality become bits."""


class Codec(Protocol):
    """What `narrows.codec.frozen.FrozenCodec` is to an archive."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The records' dtype."""

    @property
    def n_symbols(self) -> int:
        """D, the whole numbers that stand for one record."""

    @property
    def digest(self) -> str:
        """SHA-256 of `blob`, in hexadecimal."""

    @property
    def blob(self) -> bytes:
        """The codec as bytes."""

    @property
    def qualities(self) -> Sequence[OperatingPoint]:
        """From coarse to fine."""

    @property
    def causal(self) -> FrozenCausal | None:
        """The network under which values are kept exactly, if there is one."""

    def decode(self, symbols: npt.NDArray[np.int32], quality: int) -> npt.NDArray[Any]:
        """Return the records (n, *shape) that symbols (n, D) stand for."""
