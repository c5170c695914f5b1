"""The parts of a model that an archive needs, as protocols, so that neither reading nor planning imports a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from narrows.codec.entropy_models.contract import Coded
from narrows.codec.residual.causal import FrozenCausal

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec
    from narrows.data import Source

__all__ = ["Codec", "Encoder", "Entropy", "OperatingPoint"]


class Entropy(Protocol):
    """Codes symbols into bytes and back."""

    def encode(self, symbols: npt.NDArray[np.int32]) -> Coded:
        """Encode the symbols (n, D)."""

    def decode(self, coded: Coded, n_records: int) -> npt.NDArray[np.int32]:
        """Decode the symbols (n, D); raises CorruptArchiveError if the message is damaged."""


class OperatingPoint(Protocol):
    """A quality: a quantisation of codes, with its entropy model."""

    @property
    def entropy(self) -> Entropy:
        """Codes the symbols of this quality."""


class Codec(Protocol):
    """The interface of `narrows.codec.frozen.FrozenCodec` that archives use."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The records' dtype."""

    @property
    def n_symbols(self) -> int:
        """D, the number of symbols of a record."""

    @property
    def digest(self) -> str:
        """SHA-256 of `blob`, in hexadecimal."""

    @property
    def blob(self) -> bytes:
        """The codec as bytes."""

    @property
    def qualities(self) -> Sequence[OperatingPoint]:
        """The qualities, from coarse to fine."""

    @property
    def causal(self) -> FrozenCausal | None:
        """The network that codes residuals, if there is one."""

    def decode(self, symbols: npt.NDArray[np.int32], quality: int) -> npt.NDArray[Any]:
        """Decode the symbols (n, D) to records (n, *shape)."""


class Encoder(Protocol):
    """Makes symbols from records."""

    @property
    def codec(self) -> FrozenCodec:
        """The codec that restores records from the symbols."""

    @property
    def fill_value(self) -> float | None:
        """The value that stands for missing values in the records of the model; None if there is none."""

    @property
    def psnr(self) -> float | None:
        """The PSNR in dB that the model was trained for; None if there is none."""

    @property
    def trained_bound(self) -> int | None:
        """The bound that the network of residuals was trained for; None without a network, or for rounded pixels."""

    @property
    def needs_psnr(self) -> bool:
        """Whether archives for which nothing is requested have this PSNR even if the code misses it."""

    @property
    def are_images(self) -> bool:
        """Whether records are images."""

    @property
    def is_text(self) -> bool:
        """Whether records are texts."""

    @property
    def is_series(self) -> bool:
        """Whether the records of the model are windows of series."""

    @property
    def effort(self) -> int:
        """How long symbols are refined, 0 to 9."""

    def symbols(self, records: npt.NDArray[Any], quality: int, *, effort: int | None = None) -> npt.NDArray[np.int32]:
        """Return the symbols (n, D) of records (n, *shape) at a quality of the codec, by default with `effort`."""

    def warn_of_scale(self, source: Source, found: tuple[float, float] | None) -> None:
        """Warn if records are on another scale than the training data.

        Parameters
        ----------
        source : Source
            The records.
        found : (float, float) or None
            Their least and largest finite value.
        """
