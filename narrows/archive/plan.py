"""What is decided before an archive is written: the bound on errors, the layout, the codec and its quality.

A plan needs no network: an `Encoder` makes the symbols that it compares.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import narrows.data
from narrows.archive.appending import bound_for, codec_for, fill_value_for
from narrows.archive.causal_chunks import causal_chunk_records
from narrows.archive.contract import Encoder
from narrows.archive.dial import smallest_bound
from narrows.archive.effort import quality_with_effort
from narrows.archive.layout_choice import layout_for
from narrows.archive.layouts import Layout, Windows
from narrows.archive.metadata import MODEL_FILE, Metadata
from narrows.archive.models import short
from narrows.archive.quality import choose_quality, may_be_bounded
from narrows.archive.series import ArchivedSeries
from narrows.archive.series_stored import stored_as_windows
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.residual.chunk import size_on_code
from narrows.codec.residual.error_bound import ErrorBound
from narrows.data import Source
from narrows.data.for_model import check_fits
from narrows.data.image_losses import accepted_losses, accepts_nothing, check_lossless
from narrows.data.series import Windows as WindowsOfSeries
from narrows.errors import InvalidParameterError

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
    encoder : Encoder
        Makes the symbols.
    source : Source
        The records, or images to be cut into records.
    layout : Layout
        How items are cut into records.
    bound : float or None
        The largest error allowed; None: errors are not bounded.
    codec : FrozenCodec or PartedCodec
        The codec that the archive names: a single quality of the model's, in parts. In archives of earlier versions it
        may also be the model's.
    quality : int
        Index into the qualities of the codec.
    fill_value : float or None
        A value that is kept exactly, and is no part of the range.
    values_range : (float, float) or None
        Smallest and largest finite value of the records; None if there is none.
    chunk_records : int or None
        The number of records of a chunk; None for the usual one, or the archive's that is appended to.
    series : ArchivedSeries or None
        The series that the records are windows of, if they are restored as a whole.
    windows : Windows or None
        How they are cut into the records.
    asked_bound : float or None
        The bound that was asked for, if another is used, with which decimals can be told apart.
    given : narrows.data.series.Windows or None
        The windows of the series as they were given.
    """

    encoder: Encoder
    source: Source
    layout: Layout
    bound: float | None
    codec: FrozenCodec | PartedCodec
    quality: int
    fill_value: float | None = None
    values_range: tuple[float, float] | None = None
    chunk_records: int | None = None
    series: ArchivedSeries | None = None
    windows: Windows | None = None
    asked_bound: float | None = None
    given: WindowsOfSeries | None = None

    @property
    def effort(self) -> int:
        """How long symbols are refined, 0 to 9; 0 with a bound, where residuals take most of the bytes."""
        return self.encoder.effort if self.bound is None else 0

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of the archive's metadata that the plan decides.

        Paths of the source are not stored, since they may be private.
        """
        whole = self.encoder.codec.digest
        return {
            "container": {"kind": self.source.kind},
            **({"record": "series"} if self.encoder.is_series else {}),
            **{entry: self.layout.to_json() if entry == self.layout.entry else None for entry in Layout.registry},
            "max_error": self.bound,
            **({} if self.fill_value is None else {"fill_value": self.fill_value}),
            **({} if self.codec.digest == whole else {MODEL_FILE: short(whole)}),
            **({} if self.series is None else self.series.to_json()),
            **({} if self.windows is None else {Windows.entry: self.windows.to_json()}),
        }

    def padded(self, records: NDArray[Any], restored: NDArray[Any], first: int) -> NDArray[Any]:
        """Return records as they are to be restored: what windows are filled up with costs nothing.

        Parameters
        ----------
        records, restored : ndarray of shape (n, *shape)
            The records, and what is restored of them without residuals.
        first : int
            Number of the first of them.
        """
        if self.windows is None:
            return records
        held = self.windows.steps_in(np.arange(first, first + len(records)))
        if (held == records.shape[1]).all():
            return records
        beyond = np.arange(records.shape[1]) >= held[:, None]
        return np.where(beyond.reshape(*beyond.shape, *(1,) * (records.ndim - 2)), restored, records)

    def symbols(self, records: NDArray[Any]) -> NDArray[np.int32]:
        """Return the symbols (n, n_symbols) of records (n, *shape); fill values count as the middle of the range."""
        records = _filled(records, self.encoder, self.fill_value, self.values_range)
        codec = self.codec
        if isinstance(codec, PartedCodec):
            number = codec.number
        else:
            number = _position(self.encoder.codec, codec.qualities[self.quality])
        return self.encoder.symbols(records, number, effort=self.effort)


def plan_archive(
    source: Source,
    path: str | os.PathLike[str],
    *,
    encoder: Encoder,
    psnr: float | None,
    bytes_per_record: float | None,
    quality: int | None,
    max_error: float | str | None,
    lossless: bool,
    overlap: int | None,
    accept_loss: str | Sequence[str],
    fill_value: float | None,
    embed_model: bool,
    before: Metadata | None,
) -> Plan:
    """Return how `compress` writes an archive; other parameters, errors and warnings are those of `compress`.

    Parameters
    ----------
    source : Source
        The records.
    encoder : Encoder
        Of the model.
    before : Metadata or None
        Of the archive that is appended to.
    """
    whole = encoder.codec
    fill_value = fill_value_for(path, before, fill_value, encoder.fill_value, is_bounded=bool(max_error))
    given = source.windows
    source = source if given is None else _side_by_side(source, whole, before, path)
    bound = bound_for(path, before, source, max_error=max_error, lossless=lossless, fill_value=fill_value)
    accepted = accepted_losses(accept_loss)
    if bound == 0:
        check_lossless(source.name, source.warnings, accepted)
    elif accepted:
        raise accepts_nothing()
    if bound is None:
        found: tuple[float, float] | None = narrows.data.finite_range(
            source, advice=_KEEP_THEM, fill_value=encoder.fill_value
        )
    else:
        found = narrows.data.range_of_finite(source, fill_value=fill_value)
    bound, series = _of_series(given, whole, bound, may_be_decimals=fill_value is None)
    layout = layout_for(source, whole, overlap, before)
    encoder.warn_of_scale(source, found)
    if bound is None or before is not None or whole.causal is not None:  # which mostly needs no code
        chosen = without_effort = choose_quality(
            whole, psnr=psnr, bytes_per_record=bytes_per_record, quality=quality, n_tiles=layout.n_records
        )
        if bound is None and before is None and encoder.effort:
            asked = {"psnr": psnr, "bytes_per_record": bytes_per_record}
            chosen = quality_with_effort(encoder, source, layout, chosen, **asked)
        wanted = encoder.psnr if (psnr, bytes_per_record, quality) == (None, None, None) else psnr
        is_free = bound is None and before is None and encoder.fill_value is None and not overlap
        if wanted is not None and is_free and may_be_bounded(whole):
            reaches = whole.qualities[without_effort].psnr_db >= wanted
            bound = smallest_bound(encoder, source, layout, wanted, chosen if reaches else None)
    else:
        chosen = _smallest(encoder, source, layout, ErrorBound(whole.dtype, bound, fill_value), found)
    if before is not None:
        is_asked = any(one is not None for one in (psnr, bytes_per_record, quality))
        codec, position = codec_for(path, before, whole, chosen if is_asked else None)
    else:
        codec, position = PartedCodec.of(whole, chosen, with_network=bound is not None), 0
    n_chunk = None
    if before is None and bound is not None and whole.causal is not None:
        n_chunk = causal_chunk_records(source, layout, whole, ErrorBound(whole.dtype, bound, fill_value))
    return Plan(encoder, source, layout, bound, codec, position, fill_value, found, n_chunk, **series)


def _of_series(
    given: WindowsOfSeries | None, codec: FrozenCodec, bound: float | None, *, may_be_decimals: bool
) -> tuple[float | None, dict[str, Any]]:
    """Return the bound, and what a `Plan` has of series, if the records are windows of some."""
    if given is None:
        return bound, {}
    stored = stored_as_windows(given.series, bound, may_be_decimals=may_be_decimals)
    series = {"series": stored.described, "windows": Windows(given.series.lengths, codec.shape), "given": given}
    return stored.bound, series | ({} if stored.bound == bound else {"asked_bound": bound})


def _side_by_side(source: Source, codec: FrozenCodec, before: Metadata | None, path: str | os.PathLike[str]) -> Source:
    """Return series as windows that do not overlap, the last of each filled up.

    Raises
    ------
    ShapeMismatchError
        If the windows have another length than the model's.
    InvalidParameterError
        If they are to be appended.
    """
    assert source.windows is not None, "the source has windows"
    check_fits(source, codec.shape)
    if before is not None:
        raise InvalidParameterError(
            f"{os.fspath(path)} cannot be appended to by series, which are stored as a whole. Write a new archive."
        )
    series = source.windows.series
    return replace(source, values=Windows(series.lengths, codec.shape).cut(series.values), windows=None)


def _filled(
    records: NDArray[Any], encoder: Encoder, fill_value: float | None, values_range: tuple[float, float] | None
) -> NDArray[Any]:
    """Return records with the middle of the range of the data in place of fill values that the model does not know."""
    if fill_value is None or values_range is None or encoder.fill_value is not None:
        return records
    middle = np.array(values_range[0] / 2 + values_range[1] / 2).astype(records.dtype)
    return np.where(records == fill_value, middle, records)


def _smallest(
    encoder: Encoder, source: Source, layout: Layout, bound: ErrorBound, values_range: tuple[float, float] | None
) -> int:
    """Return the quality with which code and residual take the fewest bytes on a sample, among some that are tried."""
    codec = encoder.codec
    n_records = min(_SAMPLE_RECORDS, _SAMPLE_VALUES // math.prod(codec.shape))
    if n_records == 0:  # to try a quality would take as long as to compress
        return codec.default
    values = np.asarray(source.values[:: -(-len(source) // n_records)])
    records = layout.cut(values)[:n_records]
    costs = dict[int, float]()
    for quality in np.unique(np.linspace(0, len(codec.qualities) - 1, _MOST_TRIED).round().astype(int)).tolist():
        symbols = encoder.symbols(_filled(records, encoder, bound.fill_value, values_range), quality)
        code = float(codec.qualities[quality].entropy.bits(symbols).sum()) / 8
        costs[quality] = code + size_on_code(records, codec.decode(symbols, quality), bound)
    return min(costs, key=lambda quality: costs[quality])


def _position(codec: FrozenCodec, quality: OperatingPoint) -> int:
    return next(position for position, one in enumerate(codec.qualities) if one is quality)
