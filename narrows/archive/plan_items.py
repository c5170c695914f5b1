"""What a plan takes from series and texts, which are restored as a whole."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from narrows.archive.layouts import Windows
from narrows.archive.metadata import Metadata
from narrows.archive.series_stored import stored_as_windows
from narrows.archive.texts import ArchivedTexts
from narrows.codec.frozen import FrozenCodec
from narrows.data import Source
from narrows.data.for_model import check_fits
from narrows.data.series import Windows as WindowsOfSeries
from narrows.errors import InvalidParameterError

__all__ = ["archived_texts", "check_asked_of_text", "side_by_side", "stored_series"]


def stored_series(
    given: WindowsOfSeries | None, codec: FrozenCodec, bound: float | None, *, may_be_decimals: bool
) -> tuple[float | None, dict[str, Any]]:
    """Return the bound, and what a `Plan` has of series, if the records are windows of some."""
    if given is None:
        return bound, {}
    stored = stored_as_windows(given.series, bound, may_be_decimals=may_be_decimals)
    series = {"series": stored.described, "windows": Windows(given.series.lengths, codec.shape), "given": given}
    return stored.bound, series | ({} if stored.bound == bound else {"asked_bound": bound})


def check_asked_of_text(**asked: Any) -> None:
    """Refuse bounds on errors of text, whose symbols are no quantities."""
    given = next((name for name, value in asked.items() if value not in {None, 0}), None)
    if given is not None:
        raise InvalidParameterError(
            f"The '{given}' has no meaning for records of text, whose bytes are right or wrong. Got {asked[given]!r}. "
            "Set 'quality' (--quality), or lossless (--lossless)."
        )


def archived_texts(source: Source, before: Metadata | None, path: str | os.PathLike[str]) -> ArchivedTexts | None:
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


def side_by_side(source: Source, codec: FrozenCodec, before: Metadata | None, path: str | os.PathLike[str]) -> Source:
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
