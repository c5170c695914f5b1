"""What a fitted autoencoder shows of its model: attributes, and the symbols of its archive codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from narrows.errors import NotMeasuredError
from narrows.estimators.base import Data, RecordsEstimator
from narrows.model.artefacts import ArchiveCodec, LatentDensity, PrincipalComponents
from narrows.model.comparison import Comparison
from narrows.model.fitted import AnyArtefact, Kept
from narrows.model.inference import encode_continuous

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec

__all__ = ["LearnedAttributes"]


class LearnedAttributes(RecordsEstimator):
    """Attributes of a fitted autoencoder; `Autoencoder` documents them."""

    @property
    def encoder_(self) -> nn.Module:
        """The encoder on its own."""
        return self.chain_.encoder

    @property
    def decoder_(self) -> nn.Module:
        """The decoder on its own."""
        return self.chain_.decoder

    @property
    def n_latent_(self) -> int:
        """The latent dimension: how many numbers a code has."""
        return self.model_.n_latent

    @property
    def comparison_(self) -> Comparison | None:
        """The network compared with PCA on held-out records."""
        return self.model_.comparison

    @property
    def kept_(self) -> Kept | None:
        """The epoch whose weights were kept."""
        return self.model_.kept

    @property
    def unmeasured_(self) -> dict[str, str]:
        """The artefacts that the model lacks, and why."""
        return self.model_.reasons

    @property
    def pca_(self) -> PrincipalComponents | None:
        """PCA of the training records."""
        return self._artefact(PrincipalComponents)

    @property
    def latent_density_(self) -> LatentDensity | None:
        """Density of the codes of training records."""
        return self._artefact(LatentDensity)

    @property
    def codec_(self) -> FrozenCodec:
        """The decoder in integer arithmetic, which restores archives to the same bytes on every machine.

        Raises
        ------
        NotFreezableError, NotMeasuredError
            If the decoder cannot be turned into integer arithmetic, or the codec was not measured; gives the reason.
        """
        check_is_fitted(self)
        return self.model_.artefact(ArchiveCodec).codec

    @property
    def codec_error_(self) -> str | None:
        """Why the model cannot write archives; None if it can."""
        codec = self._artefact(ArchiveCodec)
        return self.model_.why_missing(ArchiveCodec.name) if codec is None else codec.why_not

    def _artefact(self, kind: type[AnyArtefact]) -> AnyArtefact | None:
        """Return an artefact, measured now if it is pending; None if the model does not have it."""
        try:
            return self.model_.artefact(kind)
        except NotMeasuredError:
            return None

    def quantise(self, X: Data, quality: int | None = None) -> NDArray[np.int32]:
        """Return the symbols that archives store for records: whole numbers of shape (n, n_symbols).

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        quality : int, optional
            Index into ``codec_.qualities``, which go from coarse to fine. None: the default, ``codec_.default``.

        Raises
        ------
        NotFreezableError
            If the model has no integer decoder.
        InvalidParameterError
            If the model has no such quality.
        """
        from narrows.codec.operating_point import to_symbols

        check_is_fitted(self)
        steps = self.model_.artefact(ArchiveCodec).steps(quality)
        return to_symbols(encode_continuous(self.chain_, self._open(X, reset=False).values), steps)
