"""Attributes of a fitted autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted
from torch import nn

from narrows.estimators.base import RecordsEstimator
from narrows.model.artefacts import ArchiveCodec, LatentDensity, PrincipalComponents
from narrows.model.comparison import Comparison
from narrows.model.fitted import Kept

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
        """The artefacts that the model lacks, or whose weights were changed, and why."""
        model = self.model_
        return {**model.unmeasured, **{name: model.why_stale(name) for name in model.stale}}

    @property
    def pca_(self) -> PrincipalComponents | None:
        """PCA of the training records."""
        return self.model_.artefact(PrincipalComponents) if self.model_.has(PrincipalComponents.name) else None

    @property
    def latent_density_(self) -> LatentDensity | None:
        """Density of the codes of training records."""
        is_there = self.model_.has(LatentDensity.name) and LatentDensity.name not in self.model_.stale
        return self.model_.artefact(LatentDensity) if is_there else None

    @property
    def codec_(self) -> FrozenCodec:
        """The decoder in integer arithmetic, which restores archives to the same bytes on every machine.

        Raises
        ------
        NotFreezableError, NotMeasuredError
            If the decoder cannot be turned into integer arithmetic, the codec was not measured, or the weights were
            changed since; gives the reason.
        """
        check_is_fitted(self)
        return self.model_.current(ArchiveCodec).codec

    @property
    def codec_error_(self) -> str | None:
        """Why the model cannot write archives; None if it can."""
        has_codec = self.model_.has(ArchiveCodec.name)
        if ArchiveCodec.name in self.model_.stale:
            return self.model_.why_stale(ArchiveCodec.name)
        return self.model_.artefact(ArchiveCodec).why_not if has_codec else self.model_.why_missing(ArchiveCodec.name)
