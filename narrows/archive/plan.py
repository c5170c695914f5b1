"""What is decided before an archive is written: the bound on errors, the layout, the codec and its quality."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import narrows.data
from narrows.archive.appending import bound_for, check_together, codec_for
from narrows.archive.layout_choice import layout_for
from narrows.archive.layouts import Layout
from narrows.archive.metadata import Metadata
from narrows.archive.quality import choose_quality
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.residual.chunk import size_on_code
from narrows.codec.residual.error_bound import ErrorBound
from narrows.data import Source
from narrows.data.for_model import as_needed
from narrows.data.image_losses import accepted_losses, check_lossless
from narrows.errors import InvalidParameterError

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["Plan", "plan_archive"]

_KEEP_THEM = (
    "Remove or fill such values first, or keep them as they are by max_error or lossless (--max-error, --lossless)."
)
# What is tried to find the quality that makes the smallest file within a bound.
_SAMPLE_RECORDS, _SAMPLE_VALUES, _MOST_TRIED = 128, 1 << 17, 5


@dataclass(frozen=True, eq=False)
class Plan:
    """How records are written into an archive.

    Attributes
    ----------
    fitted : Autoencoder
        The model, whose encoder makes the codes.
    source : Source
        The records, or images to be cut into records.
    layout : Layout
        How items are cut into records.
    bound : float or None
        The largest error allowed; None: errors are not bounded.
    codec : FrozenCodec
        The codec that the archive names: the model's, or one with a single quality of it.
    quality : int
        Index into the qualities of the codec.
    """

    fitted: Autoencoder
    source: Source
    layout: Layout
    bound: float | None
    codec: FrozenCodec
    quality: int

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of the archive's metadata that the plan decides."""
        return {
            "container": {"kind": self.source.kind},
            **{entry: self.layout.to_json() if entry == self.layout.entry else None for entry in Layout.registry},
            "max_error": self.bound,
        }

    def symbols(self, records: NDArray[Any]) -> NDArray[np.int32]:
        """Return the symbols (n, n_symbols) of records (n, *shape)."""
        return _symbols(self.fitted, records, _position(self.fitted.codec_, self.codec.qualities[self.quality]))


def plan_archive(
    data: Data,
    path: str | os.PathLike[str],
    *,
    model: Autoencoder | str | os.PathLike[str],
    psnr: float | None,
    bytes_per_record: float | None,
    max_error: float | str | None,
    lossless: bool,
    overlap: int | None,
    accept_loss: str | Sequence[str],
    embed_model: bool,
    before: Metadata | None,
) -> Plan:
    """Return how `compress` writes an archive; parameters, errors and warnings are those of `compress`.

    Parameters
    ----------
    before : Metadata or None
        Of the archive that is appended to.
    """
    check_together(
        psnr=psnr,
        bytes_per_record=bytes_per_record,
        max_error=max_error,
        lossless=lossless,
        overlap=overlap,
        before=before,
    )
    fitted = _fitted(model)
    source = as_needed(narrows.data.open(data), fitted.shape_)
    bound = bound_for(path, before, source, max_error=max_error, lossless=lossless)
    accepted = accepted_losses(accept_loss)
    if bound == 0:
        check_lossless(source.name, source.warnings, accepted)
    elif accepted:
        raise InvalidParameterError("The 'accept_loss' is for lossless archives (lossless, --lossless).")
    if bound is None:
        found: tuple[float, float] | None = narrows.data.finite_range(source, advice=_KEEP_THEM)
    else:
        found = narrows.data.range_of_finite(source)
    layout = layout_for(source, fitted.codec_, overlap, before)
    fitted._warn_of_scale(source, found)
    if bound is None or before is not None or fitted.codec_.causal is not None:  # which mostly needs no code
        chosen = choose_quality(fitted.codec_, psnr=psnr, bytes_per_record=bytes_per_record)
    else:
        chosen = _smallest(fitted, source, layout, bound)
    if before is not None:
        is_asked = psnr is not None or bytes_per_record is not None
        codec, quality = codec_for(path, before, fitted.codec_, chosen if is_asked else None)
    elif embed_model:  # with nothing that the archive does not use
        codec, quality = fitted.codec_.only(chosen, with_causal=bound is not None), 0
    else:
        codec, quality = fitted.codec_, chosen
    return Plan(fitted, source, layout, bound, codec, quality)


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
        f"The 'model' must be a fitted Autoencoder or the path of its file. Got {type(model).__name__}."
    )


def _symbols(fitted: Autoencoder, records: NDArray[Any], quality: int) -> NDArray[np.int32]:
    """Return the symbols of records, as `Autoencoder.quantise` does; what is not finite counts as 0."""
    from narrows.codec.operating_point import to_symbols
    from narrows.model.artefacts import ArchiveCodec
    from narrows.model.inference import encode_continuous

    if records.dtype.kind == "f" and not np.isfinite(records).all():
        records = np.where(np.isfinite(records), records, np.zeros((), records.dtype))
    return to_symbols(encode_continuous(fitted.chain_, records), fitted.model_.artefact(ArchiveCodec).steps(quality))


def _smallest(fitted: Autoencoder, source: Source, layout: Layout, bound: float) -> int:
    """Return the quality with which code and residual take the fewest bytes on a sample, among some that are tried."""
    codec = fitted.codec_
    n_records = min(_SAMPLE_RECORDS, _SAMPLE_VALUES // math.prod(codec.shape))
    if n_records == 0:  # to try a quality would take as long as to compress
        return codec.default
    values = np.asarray(source.values[:: -(-len(source) // n_records)])
    records = layout.cut(values)[:n_records]
    grid, costs = ErrorBound(codec.dtype, bound), dict[int, float]()
    for quality in np.unique(np.linspace(0, len(codec.qualities) - 1, _MOST_TRIED).round().astype(int)).tolist():
        symbols = _symbols(fitted, records, quality)
        code = float(codec.qualities[quality].entropy.bits(symbols).sum()) / 8
        costs[quality] = code + size_on_code(records, codec.decode(symbols, quality), grid)
    return min(costs, key=lambda quality: costs[quality])


def _position(codec: FrozenCodec, quality: OperatingPoint) -> int:
    return next(position for position, one in enumerate(codec.qualities) if one is quality)
