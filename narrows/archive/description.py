"""Description of an archive by its header and its index alone; no chunk is decoded."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import naming, read_block, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.layout import BLOCK_BYTES
from narrows.archive.layouts import items_of
from narrows.archive.metadata import Metadata
from narrows.archive.models import has_model
from narrows.archive.records import largest_error

__all__ = ["Description", "inspect"]


@dataclass(frozen=True)
class Description:
    """What there is to say about an archive.

    Attributes
    ----------
    path : str
    n_bytes : int
        The size of the file. It is the sum of the five sizes below.
    n_records : int
    n_chunks : int
    header_bytes, model_bytes, records_bytes, index_bytes, other_bytes : int
        Where the bytes are: the header; the model; the chunks with their block headers; what comes after the last
        chunk; and what is left, such as indices from before the archive was appended to.
    restored_bytes : int
        What all records take once they are restored; put together, if they are tiles of images.
    metadata : dict
        As the header has them: JSON values.
    largest_error : float or None
        Of any value, in the records' units, as it was measured when the archive was made; None if that keeps the
        model's code alone, whose errors it does not know.
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

    @property
    def has_model(self) -> bool:
        """Whether the archive carries its model."""
        return self.model_bytes > 0

    @property
    def bytes_per_record(self) -> float:
        """The file's bytes without the model, by the number of records."""
        return (self.n_bytes - self.model_bytes) / max(1, self.n_records)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "has_model": self.has_model, "bytes_per_record": self.bytes_per_record}


def inspect(path: str | os.PathLike[str]) -> Description:
    """Describe an archive; no model is needed, and no record is read.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError
        As `open_archive`.
    """
    with ByteFile(path) as source, naming(source.path):
        header = read_header(source)
        index = read_index(source, header)
        n_model = 0
        if has_model(index):
            assert index.model is not None
            n_model = read_block(source, index.model, source.size).n_bytes
        ends = zip(index.offsets.tolist(), index.ends.tolist(), strict=True)
        n_chunks = sum(read_block(source, offset, end).n_bytes for offset, end in ends)
        end = int(index.ends[-1]) if len(index.ends) else header.n_bytes + n_model
        n_index = source.size - end
        metadata = header.metadata
        items = items_of(metadata)
        n_items = index.n_records // items.n_records
        return Description(
            path=source.path,
            n_bytes=source.size,
            n_records=index.n_records,
            n_chunks=len(index.offsets),
            header_bytes=header.n_bytes,
            model_bytes=n_model,
            records_bytes=n_chunks,
            index_bytes=n_index,
            other_bytes=source.size - header.n_bytes - n_model - n_chunks - n_index,
            restored_bytes=n_items * math.prod(items.shape) * metadata.dtype.itemsize,
            metadata=metadata.to_json(),
            largest_error=_largest_error(source, index, metadata) if metadata.max_error is not None else None,
        )


def _largest_error(source: ByteFile, index: Index, metadata: Metadata) -> float:
    n_records = np.diff(index.stops, prepend=0).tolist()
    chunks = zip(index.offsets.tolist(), n_records, strict=True)
    errors = (largest_error(source, offset + BLOCK_BYTES, n, metadata) for offset, n in chunks)
    return max(errors, default=0.0)
