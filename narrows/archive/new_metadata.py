"""The metadata of a new archive: those of its codec, with usual sizes of chunks and groups."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from narrows.archive.chunk_sizes import (
    bounded_chunk_records,
    coded_group_records,
    default_chunk_records,
    default_group_records,
    most_chunk_records,
)
from narrows.archive.contract import Codec
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import CODED_GROUPS, PARTS, Metadata
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.errors import CorruptArchiveError, InvalidParameterError

__all__ = ["new_metadata"]


def new_metadata(
    codec: Codec, quality: int, chunk_records: int | None, group_records: int | None, more: Mapping[str, Any]
) -> Metadata:
    """Return the metadata of a new archive.

    Parameters
    ----------
    codec : Codec
        The frozen model.
    quality : int
        Index of its quality.
    chunk_records, group_records : int or None
        As for `Writer`.
    more : mapping
        Further entries, as JSON values.

    Raises
    ------
    InvalidParameterError
        If a chunk cannot have that many records.
    CorruptArchiveError
        If an entry is not allowed.
    """
    from narrows import __version__

    n_values = math.prod(codec.shape)
    is_bounded = more.get("max_error") is not None
    groups: dict[str, Any] = {"group_records": default_group_records(codec.n_symbols)}
    if is_bounded:
        usual = bounded_chunk_records(n_values, codec.n_symbols, in_groups=codec.causal is not None)
        if codec.causal is not None:
            quick = coded_group_records(n_values, codec.causal.work, is_lossless=more["max_error"] == 0)
            groups = {"group_records": quick, CODED_GROUPS: 1}
    else:
        usual = default_chunk_records(n_values * codec.dtype.itemsize, codec.n_symbols)
    if group_records is not None:
        groups["group_records"] = group_records
    if chunk_records is not None:
        most = most_chunk_records(n_values, codec.dtype.itemsize, codec.n_symbols, is_bounded=is_bounded)
        if not 1 <= chunk_records <= most:
            raise InvalidParameterError(
                f"The 'chunk_records' (--chunk-records) must be from 1 to {most:,} for these records. "
                f"Got {chunk_records:,}."
            )
    given = {
        "container": {},
        "tiling": None,
        **more,
        "record_shape": list(codec.shape),
        "dtype": codec.dtype.name,
        "model": codec.digest,
        "quality": codec.number if isinstance(codec, PartedCodec) else quality,
        "n_symbols": codec.n_symbols,
        "chunk_records": chunk_records or usual,
        **groups,
        "narrows": __version__,
        **({"parts": PARTS} if isinstance(codec, PartedCodec) else {}),
    }
    try:
        metadata = Metadata.from_json(json.loads(json.dumps(given)))
        per_item = layout_of(metadata).n_records
    except CorruptArchiveError as error:
        raise CorruptArchiveError(f"The new archive cannot be written: {error}.") from error
    if chunk_records is None and per_item < metadata.chunk_records:  # chunks of whole items can be saved one by one
        return replace(metadata, chunk_records=metadata.chunk_records // per_item * per_item)
    return metadata
