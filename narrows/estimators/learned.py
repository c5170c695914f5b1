"""Attributes of a fitted autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from narrows.errors import NotMeasuredError
from narrows.estimators.modules import Modules
from narrows.model.artefacts import ArchiveCodec, LatentDensity, PrincipalComponents
from narrows.model.comparison import Comparison
from narrows.model.fitted import AnyArtefact, Kept

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec

__all__ = ["LearnedAttributes"]


class LearnedAttributes(Modules):
    """Attributes of a fitted autoencoder; `Autoencoder` documents them."""

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
        return {**model.reasons, **{name: model.why_stale(name) for name in model.stale}}

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
            If the decoder cannot be turned into integer arithmetic, the codec was not measured, or the weights were
            changed since; gives the reason.
        """
        check_is_fitted(self)
        return self.model_.current(ArchiveCodec).codec

    @property
    def codec_error_(self) -> str | None:
        """Why the model cannot write archives; None if it can."""
        try:
            return self.model_.current(ArchiveCodec).why_not
        except NotMeasuredError as error:
            return str(error)

    def _artefact(self, kind: type[AnyArtefact]) -> AnyArtefact | None:
        """Return an artefact, measured now if it is pending; None if the model does not have it, or it is stale."""
        try:
            return self.model_.current(kind)
        except NotMeasuredError:
            return None
