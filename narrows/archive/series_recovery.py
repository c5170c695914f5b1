"""What is left of series or texts if some of their records are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import Header, read_index
from narrows.archive.layout import Block
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import Field, TextLayout, Windows
from narrows.archive.metadata import Metadata
from narrows.archive.series import ArchivedSeries, read_series
from narrows.archive.texts import ArchivedTexts, read_texts
from narrows.errors import CorruptArchiveError, recorded

__all__ = ["has_series", "left_of"]


def has_series(metadata: Metadata) -> bool:
    """Return whether the items of an archive are the steps of series."""
    return metadata.windows is not None or "series" in metadata.more or "decimals" in metadata.more


def left_of(
    source: ByteFile, header: Header, chunks: Sequence[tuple[int, Block]]
) -> tuple[Metadata, ArchivedSeries | ArchivedTexts | None]:
    """Return the metadata of an archive with only some chunks of another, and its series or texts; None if it has none.

    Times that are damaged are left out. Texts have those of their records that are left.

    Raises
    ------
    CorruptArchiveError
        If the columns that decimals need are damaged.
    """
    metadata = header.metadata
    if metadata.text is not None:
        return _texts_left(source, header, chunks)
    if not has_series(metadata):
        return metadata, None
    layout = layout_of(metadata)
    with recorded(held=True):
        index = read_index(source, header)
    n_steps = layout.n_items(index.n_records)
    kept = np.zeros(n_steps, bool)
    for _, block in chunks:
        kept[_steps(layout, block, n_steps)] = True
    try:
        series = read_series(source, metadata, index, n_steps, layout.shape)
    except CorruptArchiveError:
        series = read_series(source, _without_times(metadata), index, n_steps, layout.shape)
    left = series.take(kept)
    more = {name: value for name, value in metadata.more.items() if name != "time_steps"} | left.to_json()
    if isinstance(layout, Windows):
        more[Windows.entry] = Windows(left.lengths, layout.window).to_json()
    return replace(metadata, more=more), left


def _texts_left(
    source: ByteFile, header: Header, chunks: Sequence[tuple[int, Block]]
) -> tuple[Metadata, ArchivedTexts | None]:
    """Return the metadata of an archive with only some records of texts, and these texts."""
    layout = layout_of(header.metadata)
    assert isinstance(layout, TextLayout), "the records are pieces of texts"
    if layout.n_cut is None:
        return header.metadata, None
    with recorded(held=True):
        index = read_index(source, header)
    kept = np.zeros(index.n_records, bool)
    for _, block in chunks:
        kept[block.first : block.stop] = True
    left = read_texts(source, layout, index).left(kept)
    described = {TextLayout.entry: left.layout(layout.shape).to_json()}
    return replace(header.metadata, more={**header.metadata.more, **described}), left


def _steps(layout: object, block: Block, n_steps: int) -> npt.NDArray[np.int64]:
    """Return the steps that the records of a chunk hold."""
    if isinstance(layout, Field):
        first = block.first // layout.n_records * layout.block[0]
        return np.arange(first, min(first + layout.block[0], n_steps))
    assert isinstance(layout, Windows), "series are fields or windows"
    windows, _ = layout.places(np.arange(n_steps))
    return np.flatnonzero((windows >= block.first) & (windows < block.stop))


def _without_times(metadata: Metadata) -> Metadata:
    described = metadata.more.get("series")
    kept = {name: value for name, value in described.items() if name != "time"} if isinstance(described, dict) else {}
    return replace(metadata, more={**metadata.more, "series": kept})
