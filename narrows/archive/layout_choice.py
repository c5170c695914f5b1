"""The layout of an archive, and the layout for new data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.archive.contract import Codec
from narrows.archive.layouts import AnyLayout, Field, Layout, TableLayout, TextLayout, Tiling, Whole, Windows
from narrows.archive.metadata import Metadata
from narrows.data.for_model import advice
from narrows.errors import InvalidParameterError, ShapeMismatchError

if TYPE_CHECKING:
    from narrows.data import Source

__all__ = ["layout_for", "layout_of"]


def layout_of(metadata: Metadata) -> AnyLayout:
    """Return the layout of an archive.

    Raises
    ------
    CorruptArchiveError
        If the metadata describe no possible layout.
    """
    if metadata.field is not None:
        return Field.from_json(metadata.field)
    if metadata.table is not None:
        return TableLayout.from_json(metadata.table, metadata.record_shape)
    if metadata.windows is not None:
        return Windows.from_json(metadata.windows, metadata.record_shape)
    if metadata.text is not None:
        return TextLayout.from_json(metadata.text, metadata.record_shape)
    for entry, kind in AnyLayout.registry.items():
        described = metadata.entry(entry)
        if described is not None:
            return kind.from_json(described, metadata.record_shape)
    return Whole(metadata.record_shape)


def layout_for(source: Source, codec: Codec, overlap: int | None, before: Metadata | None = None) -> Layout:
    """Return how the items of a source are cut into records of a codec.

    Parameters
    ----------
    source : Source
        Records or images.
    codec : Codec
        Its records are the tiles.
    overlap : int or None
        Pixels that tiles share. None: as many as in the archive that is appended to, otherwise 0.
    before : Metadata, optional
        Of the archive that is appended to.

    Raises
    ------
    ShapeMismatchError
        If the source has another dtype than the codec, or its images cannot be cut into the codec's records.
    InvalidParameterError
        If an overlap is given where there are no tiles.
    """
    if source.dtype != codec.dtype:
        if source.text is not None:
            raise ShapeMismatchError(
                f"The model was trained on {codec.dtype} records of shape {codec.shape}. {source.name} is text. Give a "
                "model that was trained on text, or none."
            )
        is_other = source.shape != codec.shape and Tiling.of(source.shape, codec.shape, overlap or 0) is None
        theirs, ours = (f" of shape {one}" if is_other else "" for one in (source.shape, codec.shape))
        raise ShapeMismatchError(
            f"The model was trained on {codec.dtype} records{ours}. {source.name} has dtype {source.dtype}"
            f"{f', and records{theirs}' if is_other else f'. Convert it to {codec.dtype}'}."
            f"{advice(source, codec.shape, codec.dtype, may_be_larger=True)}"
        )
    if source.shape == codec.shape:
        if overlap:
            raise InvalidParameterError(
                f"'overlap' has no effect: the records have the shape of the model's and are not cut into tiles. "
                f"Got {overlap}. Omit it."
            )
        return Whole(codec.shape)
    if overlap is None:
        overlap = 0 if before is None else _overlap_of(before, codec)
    tiling = Tiling.of(source.shape, codec.shape, overlap)
    if tiling is None:
        raise ShapeMismatchError(
            f"The model was trained on records of shape {codec.shape}. Got {source.shape}.{_hint(source, codec)}"
        )
    return tiling


def _hint(source: Source, codec: Codec) -> str:
    """Return what to do with images of another form, and with one record or image without the axis that counts them."""
    if source.kind == "images" or source.windows is not None:
        return advice(source, codec.shape, codec.dtype, may_be_larger=True)
    whole = (len(source), *source.shape)
    if whole != codec.shape and Tiling.of(whole, codec.shape, 0) is None:
        return ""
    return f" Records come along the first axis: one image or field alone is data[None].{advice(source, codec.shape)}"


def _overlap_of(before: Metadata, codec: Codec) -> int:
    layout = layout_of(before)
    return layout.overlap if isinstance(layout, Tiling) and layout.tile == codec.shape else 0
