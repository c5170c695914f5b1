"""The encoder of a trained model, as archives use it: the only part of writing that needs a network."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.operating_point import to_symbols
from narrows.data.fill import is_fill
from narrows.errors import InvalidParameterError

if TYPE_CHECKING:
    from narrows.codec.freezing.refinement import Refinement
    from narrows.codec.frozen import FrozenCodec
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["ModelEncoder"]


class ModelEncoder:
    """An `Encoder` by a fitted autoencoder.

    Parameters
    ----------
    model : Autoencoder or path-like
        A fitted model, or the file of one.
    effort : int
        How long symbols are refined, 0 to 9; see `narrows.codec.freezing.refinement`.

    Raises
    ------
    InvalidParameterError
        If the model is neither, or its symbols cannot be refined.
    NotFreezableError
        If the model cannot write archives; gives the reason.
    """

    def __init__(self, model: Autoencoder | str | os.PathLike[str], *, effort: int = 0) -> None:
        self.model = _fitted(model)
        self.codec: FrozenCodec = self.model.codec_
        self.fill_value = self.model.fill_value_
        self.is_series = self.model.record_ == "series"
        self.is_text = self.model.record_ == "text"
        race = self.model.model_.race
        self.needs_psnr = race is not None and race.residual is not None
        # The bound that the network of residuals was trained for; within a wider one its records may take more bytes.
        residual = self.model.model_.residual_part
        self.trained_bound: int | None = (
            None if getattr(residual, "psnr", None) else getattr(residual, "max_error", None)
        )
        self.psnr = getattr(self.model.chain_.parts.likelihood, "psnr", None)
        self.are_images = self.model.model_.schema.kind == "image"
        self.effort = effort
        self._refinements: dict[int, Refinement] = {}
        self._lock = threading.Lock()
        if effort:
            from narrows.codec.freezing.refinement import check_refinable

            check_refinable(self.model.chain_)

    def records_of(self, data: Data) -> Source:
        """Return data as the model takes them; see `Autoencoder.records_of`."""
        return self.model.records_of(data)

    def symbols(self, records: NDArray[Any], quality: int, *, effort: int | None = None) -> NDArray[np.int32]:
        """Return the symbols (n, n_symbols) of records (n, *shape), as `Autoencoder.quantise` does; NaN counts as 0.

        They are refined with the effort of the encoder, or with another one.
        """
        from narrows.model.artefacts import ArchiveCodec
        from narrows.model.inference import encode_continuous

        if records.dtype.kind == "f" and not np.isfinite(records).all():
            kept = np.isfinite(records)
            if self.fill_value is not None:  # which may be NaN, and the model knows
                kept |= is_fill(records, self.fill_value)
            records = np.where(kept, records, np.zeros((), records.dtype))
        steps = self.model.model_.artefact(ArchiveCodec).steps(quality)
        symbols = to_symbols(encode_continuous(self.model.chain_, records), steps)
        effort = self.effort if effort is None else effort
        return self._refinement(quality).refined(records, symbols, effort) if effort else symbols

    def _refinement(self, quality: int) -> Refinement:
        """Return what refines symbols of a quality; threads share it."""
        from narrows.codec.freezing.refinement import Refinement
        from narrows.model.precision import in_float64

        with self._lock:
            if quality not in self._refinements:
                self._refinements[quality] = Refinement(in_float64(self.model.chain_), self.codec, quality)
            return self._refinements[quality]

    def warn_of_scale(self, source: Source, found: tuple[float, float] | None) -> None:
        """Warn if records are on another scale than the training data."""
        self.model._warn_of_scale(source, found)


def _fitted(model: Autoencoder | str | os.PathLike[str]) -> Autoencoder:
    from sklearn.utils.validation import check_is_fitted

    from narrows.estimators.autoencoder import Autoencoder
    from narrows.estimators.loading import load

    if isinstance(model, str | os.PathLike):
        model = load(model)
    if isinstance(model, Autoencoder):
        check_is_fitted(model)
        return model
    raise InvalidParameterError(
        f"The 'model' must be a fitted Autoencoder or the path of a model file. Got {type(model).__name__}."
    )
