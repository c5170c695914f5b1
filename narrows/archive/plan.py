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
from narrows.archive.causal_groups import causal_group_records
from narrows.archive.contract import Encoder
from narrows.archive.dial import REACHED_DB, best_within, default_way, smallest_reaching
from narrows.archive.labelling import labels_for
from narrows.archive.labels import Label
from narrows.archive.layout_choice import layout_for
from narrows.archive.layouts import Layout, TextLayout, Windows
from narrows.archive.metadata import KEEP_CODES, LABELS, MODEL_FILE, ROUNDED, Metadata
from narrows.archive.models import short
from narrows.archive.quality import choose_quality
from narrows.archive.record_sample import RecordSample, filled
from narrows.archive.series import ArchivedSeries
from narrows.archive.series_stored import stored_as_windows
from narrows.archive.texts import ArchivedTexts
from narrows.archive.way import WAYS, Way
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.rounding import rounded
from narrows.data import Source
from narrows.data.for_model import check_fits
from narrows.data.image_losses import accepted_losses, accepts_nothing, check_lossless
from narrows.data.series import Windows as WindowsOfSeries
from narrows.errors import InvalidParameterError
from narrows.numerics.psnr import peak_of

__all__ = ["Plan", "plan_archive"]

_KEEP_THEM = (
    "Remove or fill such values first, or keep them as they are by max_error or lossless (--max-error, --lossless)."
)

_LARGE = 1 << 14  # bytes of an archive whose header tells of the ways that were measured


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
    group_records : int or None
        The number of records of a group; None for the usual one, or the archive's that is appended to.
    series : ArchivedSeries or None
        The series that the records are windows of, if they are restored as a whole.
    windows : Windows or None
        How they are cut into the records.
    asked_bound : float or None
        The bound that was asked for, if it was reduced so that decimals can be restored; otherwise None.
    given : narrows.data.series.Windows or None
        The windows of the series as they were given.
    texts : ArchivedTexts or None
        The texts that the records are pieces of.
    ways : tuple of Way
        The ways to store the records that were measured, the one that was chosen first; empty without a choice.
    psnr : float or None
        The PSNR that is wanted of all records, if one is asked for.
    is_default : bool
        Whether nothing was asked for, of a new archive.
    weight : float or None
        How much squared error a bit is worth, if pixels are rounded to levels and the bound, 0, is that of the rounded
        ones; otherwise None.
    labels : list of int, str or None
        The label of each record; None without labels.
    keep_codes : bool
        Whether codes that restoring does not need are kept for search.
    """

    encoder: Encoder
    source: Source
    layout: Layout
    bound: float | None
    codec: FrozenCodec | PartedCodec
    quality: int
    fill_value: float | None = None
    values_range: tuple[float, float] | None = None
    group_records: int | None = None
    series: ArchivedSeries | None = None
    windows: Windows | None = None
    asked_bound: float | None = None
    given: WindowsOfSeries | None = None
    texts: ArchivedTexts | None = None
    ways: tuple[Way, ...] = ()
    psnr: float | None = None
    is_default: bool = False
    weight: float | None = None
    labels: list[Label] | None = None
    keep_codes: bool = False

    @property
    def least_db(self) -> float | None:
        """The PSNR that counts as reached; None if none is asked for, or no way that was measured reaches it."""
        is_reached = self.psnr is not None and bool(self.ways) and self.ways[0].psnr_db >= self.psnr - REACHED_DB
        return self.psnr - REACHED_DB if self.psnr is not None and is_reached else None

    @property
    def trained_for(self) -> float | None:
        """The PSNR that the model was trained for, if nothing else was asked for; otherwise None."""
        return self.encoder.psnr if self.is_default else None

    @property
    def number(self) -> int:
        """The number of the quality among those of the model."""
        codec = self.codec
        return codec.number if isinstance(codec, PartedCodec) else self.quality

    @property
    def peak(self) -> float:
        """The peak of the PSNR: 255 for bytes, otherwise the range of the records."""
        return 0.0 if self.values_range is None else peak_of(self.source.dtype, *self.values_range)

    @property
    def more_db(self) -> float:
        """What is added to the PSNR of training data, to have it over the range of the records."""
        ratio = self.peak / self.codec.peak if self.codec.peak > 0 else 0.0
        return 20 * math.log10(ratio) if ratio > 0 else 0.0

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
            **({} if self.weight is None else {ROUNDED: {"weight": self.weight}}),
            **({} if self.fill_value is None else {"fill_value": self.fill_value}),
            **({} if self.codec.digest == whole else {MODEL_FILE: short(whole)}),
            **({} if self.series is None else self.series.to_json()),
            **({} if self.windows is None else {Windows.entry: self.windows.to_json()}),
            **({} if self.texts is None else {TextLayout.entry: self.texts.layout(self.source.shape).to_json()}),
            **({} if self.labels is None else {LABELS: 1}),
            **({KEEP_CODES: 1} if self.keep_codes and self.bound is not None else {}),
            **({WAYS: [_brief(way) for way in self.ways]} if self._has_room else {}),
        }

    @property
    def _has_room(self) -> bool:
        """Whether there are ways to tell of, and the archive is so large that this costs next to nothing."""
        return len(self.ways) > 1 and self.ways[0].bytes_per_record * len(self.source) > _LARGE

    def rounded(self, records: NDArray[Any]) -> NDArray[Any]:
        """Return records (n, *shape) as the archive restores them, if their pixels are rounded to levels."""
        assert self.weight is not None, "pixels are rounded"
        causal = self.encoder.codec.causal
        assert causal is not None, "a model with levels has a network"
        return rounded(records, causal, self.weight)

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
        records = filled(records, self.encoder, self.fill_value, self.values_range)
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
    before: Metadata | None,
    labels: Any = None,
    keep_codes: bool = False,
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
    if encoder.is_text:
        _check_asked_of_text(psnr=psnr, bytes_per_record=bytes_per_record, max_error=max_error)
    given = source.windows
    source = source if given is None else _side_by_side(source, whole, before, path)
    bound = bound_for(path, before, source, max_error=max_error, lossless=lossless, fill_value=fill_value)
    accepted = accepted_losses(accept_loss)
    weight = None if before is None else before.rounding_weight
    if bound == 0 and weight is None:
        check_lossless(source.name, source.warnings, accepted)
    elif accepted:
        raise accepts_nothing()
    if bound is None:
        found: tuple[float, float] | None = narrows.data.finite_range(
            source, advice=_KEEP_THEM, fill_value=encoder.fill_value
        )
    else:
        found = narrows.data.range_of_finite(source, fill_value=fill_value)
    texts = _texts(source, before, path)
    bound, series = _of_series(given, whole, bound, may_be_decimals=fill_value is None)
    layout = layout_for(source, whole, overlap, before)
    of_records = labels_for(source, labels, layout, before, path)
    _check_codes(path, before, keep_codes=keep_codes)
    encoder.warn_of_scale(source, found)
    asked: dict[str, Any] = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    if before is not None:
        is_asked = any(one is not None for one in asked.values())
        chosen = choose_quality(whole, **asked, n_tiles=layout.n_records)
        codec, position = codec_for(path, before, whole, chosen if is_asked else None)
        kept: dict[str, Any] = {"texts": texts, "weight": weight, "labels": of_records}
        return Plan(encoder, source, layout, bound, codec, position, fill_value, found, **kept)
    hand = RecordSample(encoder, source, layout, found, fill_value)
    has_bounds = encoder.fill_value is None and not overlap
    ways = _ways(hand, bound, has_bounds=has_bounds or bound is not None, **asked)
    if bound is not None and not ways:
        chosen = whole.default if keep_codes else hand.quality_within(bound)
    else:
        chosen, bound, weight = ways[0].quality, ways[0].error_bound, ways[0].weight
    is_default = max_error is None and not lossless and all(one is None for one in asked.values())
    codec = PartedCodec.of(whole, chosen, with_network=bound is not None)
    n_group = None
    if bound is not None and whole.causal is not None:
        grid = ErrorBound(whole.dtype, bound, fill_value)
        n_group = causal_group_records(source, layout, whole, grid, weight)
    taken: dict[str, Any] = {"ways": tuple(ways), "psnr": psnr, "is_default": is_default, "texts": texts}
    taken |= {"weight": weight, "labels": of_records, "keep_codes": keep_codes}
    return Plan(encoder, source, layout, bound, codec, 0, fill_value, found, n_group, **series, **taken)


def _of_series(
    given: WindowsOfSeries | None, codec: FrozenCodec, bound: float | None, *, may_be_decimals: bool
) -> tuple[float | None, dict[str, Any]]:
    """Return the bound, and what a `Plan` has of series, if the records are windows of some."""
    if given is None:
        return bound, {}
    stored = stored_as_windows(given.series, bound, may_be_decimals=may_be_decimals)
    series = {"series": stored.described, "windows": Windows(given.series.lengths, codec.shape), "given": given}
    return stored.bound, series | ({} if stored.bound == bound else {"asked_bound": bound})


def _check_asked_of_text(**asked: Any) -> None:
    """Refuse bounds on errors of text, whose symbols are no quantities."""
    given = next((name for name, value in asked.items() if value not in {None, 0}), None)
    if given is not None:
        raise InvalidParameterError(
            f"The '{given}' has no meaning for records of text, whose bytes are right or wrong. Got {asked[given]!r}. "
            "Set 'quality' (--quality), or lossless (--lossless)."
        )


def _check_codes(path: str | os.PathLike[str], before: Metadata | None, *, keep_codes: bool) -> None:
    """Refuse to keep codes in an archive that was begun without."""
    if keep_codes and before is not None and before.max_error is not None and not before.keeps_codes:
        raise InvalidParameterError(
            f"{os.fspath(path)} was written without codes that restoring does not need, and appended records are "
            "stored likewise. Omit 'keep_codes' (--keep-codes), or write a new archive."
        )


def _texts(source: Source, before: Metadata | None, path: str | os.PathLike[str]) -> ArchivedTexts | None:
    """Return what is stored of texts; None if the records are none.

    Raises
    ------
    InvalidParameterError
        If they are to be appended, and some have more than one record.
    """
    if source.text is None:
        return None
    texts = ArchivedTexts.of(source.text)
    was_cut = before is not None and "texts" in (before.text or {})
    if before is not None and (texts.are_cut or was_cut):
        raise InvalidParameterError(
            f"{os.fspath(path)} cannot be appended to by texts, since some are longer than a record of "
            f"{source.shape[0]:,} bytes. Write a new archive."
        )
    return texts


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


def _ways(
    hand: RecordSample,
    bound: float | None,
    *,
    psnr: float | None,
    bytes_per_record: float | None,
    quality: int | None,
    has_bounds: bool,
) -> list[Way]:
    """Return the ways to store records that were measured, the best first; none if a bound alone is asked for."""
    codec, n_tiles = hand.codec, hand.layout.n_records
    if psnr is None and bytes_per_record is None and bound is not None:
        return []
    size = None if bound is not None else bytes_per_record
    asked: dict[str, Any] = {"psnr": psnr, "quality": quality, "bytes_per_record": size}
    start = choose_quality(codec, **asked, n_tiles=n_tiles, has_bounds=has_bounds)
    if quality is not None:
        return [hand.code(start)]
    if psnr is not None:
        return smallest_reaching(hand, psnr, start, bound, has_bounds=has_bounds)
    if bytes_per_record is not None:
        return best_within(hand, bytes_per_record, start, bound, has_bounds=has_bounds)
    if not has_bounds or hand.encoder.is_text:
        return [hand.code(codec.default)]
    return default_way(hand, hand.encoder.psnr, always=hand.encoder.needs_psnr)


def _brief(way: Way) -> list[Any]:
    """Return a way for the metadata of an archive: name, bytes of a record, and PSNR."""
    values = (way.bytes_per_record, way.psnr_db)
    return [way.name, *(float(f"{value:.4g}") if math.isfinite(value) else None for value in values)]


def _position(codec: FrozenCodec, quality: OperatingPoint) -> int:
    return next(position for position, one in enumerate(codec.qualities) if one is quality)
