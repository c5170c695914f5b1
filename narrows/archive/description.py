"""Description of an archive, from its header, its index and the model inside; no chunk is decoded."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from narrows.archive.byte_file import ByteFile
from narrows.archive.field_chunks import largest_block_error
from narrows.archive.header import naming, read_block, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.layout import BLOCK_BYTES, CRC_BYTES, MAGIC
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import Field, TableLayout, Tiling
from narrows.archive.metadata import Metadata
from narrows.archive.models import parts_of, read_model
from narrows.archive.records import largest_error, way_of
from narrows.archive.summary import ways_of
from narrows.archive.way import WAYS
from narrows.codec.frozen import FrozenCodec
from narrows.errors import ArchiveError, ModelFileError

__all__ = ["Description", "check_readable", "expected_psnr_db", "inspect", "is_archive"]


@dataclass(frozen=True)
class Description:
    """Properties of an archive.

    Attributes
    ----------
    path : str
    n_bytes : int
        Size of the file, which is the sum of the five sizes below.
    n_records : int
        Number of records, as they were given and are restored. An image that is stored in tiles is one record.
    n_chunks : int
        Number of chunks that the records are stored in.
    header_bytes, model_bytes, records_bytes, index_bytes, other_bytes : int
        Sizes of the sections: the header; the model; the chunks, with their block headers; index and trailer after the
        last chunk; and everything else, such as older indices from before records were appended.
    restored_bytes : int
        Size of all restored records; for tiles, of the images assembled from them.
    metadata : dict
        The metadata in the header, as JSON values.
    largest_error : float or None
        The largest error of a restored value, in the records' units, measured when the archive was written. None if the
        archive has no error bound: it stores no errors then.
    n_tiles : int or None
        Number of tiles, if records are images that are stored in tiles.
    needs_model : bool
        Whether reading needs a model file: chunks need parts of a model that are not inside.
    chunks_kept : dict of str to int
        With an error bound, the number of chunks for each encoding, as in `narrows.archive.summary.Summary`. Empty
        without one, and for fields.
    """

    path: str
    n_bytes: int
    n_records: int
    n_chunks: int
    header_bytes: int
    model_bytes: int
    records_bytes: int
    index_bytes: int
    other_bytes: int
    restored_bytes: int
    metadata: dict[str, Any]
    largest_error: float | None = None
    n_tiles: int | None = None
    needs_model: bool = False
    chunks_kept: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def other_ways(self) -> list[tuple[str, float, float | None]]:
        """The ways that were measured but not taken when it was written: name, bytes of a record, and PSNR or None.

        Empty if it is not known.
        """
        given = self.metadata.get(WAYS)
        found = given[1:] if isinstance(given, list) else []
        return [(one[0], float(one[1]), one[2]) for one in found if _is_way(one)]

    @property
    def has_model(self) -> bool:
        """Whether the archive contains its model."""
        return self.model_bytes > 0

    @property
    def model_id(self) -> str:
        """The first 12 digits of the hash of the codec in the model file; `narrows info MODEL` shows them too."""
        return Metadata.from_json(self.metadata).model_file

    @property
    def bytes_per_record(self) -> float:
        """Size of the file, with the model if it is inside, divided by the number of records."""
        return self.n_bytes / max(1, self.n_records)

    @property
    def bytes_per_tile(self) -> float | None:
        """Size of the file divided by the number of tiles; None if there are no tiles."""
        return None if self.n_tiles is None else self.n_bytes / max(1, self.n_tiles)

    @property
    def fixed_bytes(self) -> int:
        """Size of everything but the records and the model: header, index and trailer."""
        return self.n_bytes - self.records_bytes - self.model_bytes

    @property
    def field(self) -> Field | None:
        """How the blocks of a field make an array; None if the archive has records of a model."""
        found = Metadata.from_json(self.metadata).field
        return None if found is None else Field.from_json(found)

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut into tiles; None if they are not."""
        if self.metadata["tiling"] is None:
            return None
        return Tiling.from_json(self.metadata["tiling"], tuple(self.metadata["record_shape"]))

    def to_json(self) -> dict[str, Any]:
        """Return all properties as JSON values."""
        computed = ("has_model", "model_id", "bytes_per_record", "bytes_per_tile")
        return {**asdict(self), **{name: getattr(self, name) for name in computed}}


def check_readable(path: str | os.PathLike[str]) -> None:
    """Refuse an archive whose header, index or blocks cannot be read, before anything is appended to it.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError
        As `open_archive`.
    """
    inspect(path)


def inspect(path: str | os.PathLike[str]) -> Description:
    """Return the description of an archive. No model is needed, and no records are decoded.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError
        As `open_archive`.
    """
    with ByteFile(path) as source, naming(source.path):
        header = read_header(source)
        index = read_index(source, header)
        n_model = sum(read_block(source, offset, source.size).n_bytes for offset in index.models)
        ends = zip(index.offsets.tolist(), index.ends.tolist(), strict=True)
        n_chunks = sum(read_block(source, offset, end).n_bytes for offset, end in ends)
        blocks = index.entries["offset"].astype(np.int64).tolist()
        end = blocks[-1] + read_block(source, blocks[-1], source.size).n_bytes if blocks else header.n_bytes
        n_index, n_header = source.size - end, header.n_bytes
        n_other = source.size - n_header - n_model - n_chunks - n_index
        if source.is_packed:  # the file has neither headers of blocks nor an index
            n_chunks -= len(index.offsets) * (BLOCK_BYTES + CRC_BYTES)
            n_model -= len(index.models) * (BLOCK_BYTES + CRC_BYTES)
            n_other -= (len(blocks) - len(index.offsets) - len(index.models)) * (BLOCK_BYTES + CRC_BYTES)
            n_index, n_header = 0, source.stored_bytes - n_chunks - n_model - n_other
        metadata = header.metadata
        is_bounded = metadata.max_error is not None and metadata.rounding_weight is None
        items = layout_of(metadata)
        n_items = items.n_items(index.n_records)
        return Description(
            path=source.path,
            n_bytes=source.stored_bytes,
            n_records=n_items,
            n_chunks=len(index.offsets),
            header_bytes=n_header,
            model_bytes=n_model,
            records_bytes=n_chunks,
            index_bytes=n_index,
            other_bytes=n_other,
            restored_bytes=items.n_bytes
            if isinstance(items, TableLayout)
            else n_items * math.prod(items.shape) * metadata.dtype.itemsize,
            metadata=metadata.to_json(),
            largest_error=_largest_error(source, index, metadata) if is_bounded else None,
            n_tiles=index.n_records if isinstance(items, Tiling) else None,
            needs_model=_needs_model(index, metadata),
            chunks_kept=_ways(source, index, metadata),
        )


def _ways(source: ByteFile, index: Index, metadata: Metadata) -> dict[str, int]:
    """Return the number of chunks for each encoding; empty without a bound, and for fields."""
    if metadata.max_error is None or metadata.field is not None:
        return {}
    kept = []
    for offset, end in zip(index.offsets.tolist(), index.ends.tolist(), strict=True):
        block = read_block(source, offset, end)
        kept.append(way_of(source, offset + BLOCK_BYTES, block.n_records, block.coding, metadata))
    return ways_of(kept)


def _is_way(one: Any) -> bool:
    """Return whether an entry of the metadata is a name, a size, and a PSNR or None."""
    if not (isinstance(one, list) and len(one) == 3 and isinstance(one[0], str)):
        return False
    return isinstance(one[1], int | float) and (one[2] is None or isinstance(one[2], int | float))


def _needs_model(index: Index, metadata: Metadata) -> bool:
    """Return whether reading needs a model file."""
    if metadata.field is not None:
        return False
    return bool(index.needed & ~index.held) if metadata.parts else not index.models


def expected_psnr_db(path: str | os.PathLike[str]) -> float | None:
    """Return the expected PSNR of an archive: the PSNR of its quality on the model's training data.

    It is stored in the model, so the archive must contain its model.

    Parameters
    ----------
    path : path-like
        The archive.

    Returns
    -------
    float or None
        In dB. None if the archive does not contain its model, or the model is damaged. Also None for an archive with
        an error bound, which restores records more exactly than the code alone.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError
        As `open_archive`.
    """
    with ByteFile(path) as source, naming(source.path):
        header = read_header(source)
        offsets = read_index(source, header).models
        if header.metadata.field is not None or not offsets or header.metadata.max_error is not None:
            return None
        try:
            if header.metadata.parts is not None:
                blobs = [read_model(source, header.metadata, offset) for offset in offsets]
                return parts_of(blobs, header.metadata).qualities[0].psnr_db
            offset = offsets[0]
            codec = FrozenCodec.from_bytes(read_model(source, header.metadata, offset))
            return codec.qualities[header.metadata.quality].psnr_db
        except (ArchiveError, ModelFileError, IndexError):
            return None


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Return whether a file starts with the first four bytes of an archive. The rest may be damaged.

    Parameters
    ----------
    path : path-like
        Any path. The result is False if there is no file at this path.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)).startswith(MAGIC[:4])


def _largest_error(source: ByteFile, index: Index, metadata: Metadata) -> float:
    if metadata.field is not None:
        return max((largest_block_error(source, at + BLOCK_BYTES) for at in index.offsets.tolist()), default=0.0)
    n_records = np.diff(index.stops, prepend=0).tolist()
    chunks = zip(index.offsets.tolist(), n_records, strict=True)
    errors = (largest_error(source, offset + BLOCK_BYTES, n, metadata) for offset, n in chunks)
    return max(errors, default=0.0)
