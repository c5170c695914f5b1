"""Layouts: how the records of a codec make the items that people count, as they are or as tiles of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from narrows.archive.contract import Codec
from narrows.archive.metadata import Metadata
from narrows.archive.tiling import Tiling
from narrows.errors import InvalidParameterError, ShapeMismatchError

if TYPE_CHECKING:
    from narrows.data import Source

__all__ = ["Items", "Records", "items_of", "tiling_of"]


class Items(Protocol):
    """How records make items: item i of records i·n to (i + 1)·n - 1."""

    @property
    def n_records(self) -> int:
        """How many records make one item."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item."""

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the items (m, *shape) that records (m·n, *record_shape) make."""


class Records:
    """Every item is one record.

    Parameters
    ----------
    shape : tuple of int
        The shape of a record.
    """

    n_records = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __str__(self) -> str:
        return f"records of {'×'.join(map(str, self.shape))}, not in tiles"

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the records."""
        return records


def items_of(metadata: Metadata) -> Items:
    """Return how an archive's items are made.

    Raises
    ------
    CorruptArchiveError
        If its tiles cannot be put together to images.
    """
    if metadata.tiling is not None:
        return Tiling.from_json(metadata.tiling, metadata.record_shape)
    return Records(metadata.record_shape)


def tiling_of(source: Source, codec: Codec, overlap: int | None, before: Metadata | None = None) -> Tiling | None:
    """Return how the images of a source are cut into records, None where they are records.

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
        raise ShapeMismatchError(
            f"The model restores {codec.dtype} records. Got {source.name} of {source.dtype}: convert it first."
        )
    if source.shape == codec.shape:
        if overlap:
            raise InvalidParameterError(
                f"The records are as large as the model's: 'overlap' has no use. Got {overlap}."
            )
        return None
    if overlap is None:
        overlap = 0 if before is None else _overlap_of(before, codec)
    tiling = Tiling.of(source.shape, codec.shape, overlap)
    if tiling is None:
        raise ShapeMismatchError(
            f"The model was trained on records of shape {codec.shape}. Got {source.shape}.{_hint(source, codec)}"
        )
    return tiling


def _hint(source: Source, codec: Codec) -> str:
    """Return what to do with data that are one record, or one image to be tiled, without the axis that counts them."""
    whole = (len(source), *source.shape)
    if whole != codec.shape and Tiling.of(whole, codec.shape, 0) is None:
        return ""
    return " Records come along the first axis: one image or field alone is data[None]."


def _overlap_of(before: Metadata, codec: Codec) -> int:
    items = items_of(before)
    return items.overlap if isinstance(items, Tiling) and items.tile == codec.shape else 0
