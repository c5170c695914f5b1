"""The records of a chunk that is being written, and their encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.archive.contract import Codec
from narrows.archive.labels import Label, pack_labels
from narrows.archive.layout import Coding
from narrows.archive.metadata import Metadata
from narrows.archive.records import Payload, ResidualPayload, checksum, pack_names, pack_records
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.parts.needs import Needs
from narrows.codec.residual.chunk import encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.error_norms import Errors

__all__ = ["CodedChunk", "UncodedChunk", "encode_records"]


@dataclass
class UncodedChunk:
    """Records of a chunk before it is encoded.

    Attributes
    ----------
    symbols : list of ndarray
        Their symbols.
    records : list of (ndarray, ndarray)
        If the archive has a bound: as they came, and as restored from the code alone.
    checksums : list of int
        Those of the restored records, for each group.
    names : list of str
        Their names.
    labels : list of int, str or None
        Their labels; empty if they have none.
    """

    symbols: list[npt.NDArray[np.int32]] = field(default_factory=list)
    records: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    n_summed: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def add_checksums(self, restored: npt.NDArray[Any], group_records: int) -> None:
        """Update the checksums of groups with more records."""
        done = 0
        while done < len(restored):
            in_group = self.n_summed % group_records
            more = min(len(restored) - done, group_records - in_group)
            if in_group == 0:
                self.checksums.append(0)
            self.checksums[-1] = checksum(restored[done : done + more], self.checksums[-1])
            done += more
            self.n_summed += more


class CodedChunk(NamedTuple):
    """An encoded chunk, ready to be written.

    Attributes
    ----------
    first, n_records : int
        The number of its first record, and how many it has.
    payload : bytes
        Its records.
    coding, needs : Coding, Needs
        What the index says of it.
    encoding : (Kind, bool) or None
        The kind of its residual, and whether it also has symbols of a code; None if the archive has no bound.
    errors : Errors
        Errors of its values, if the archive has a bound.
    labels : bytes or None
        The payload of its LABELS block, if its records have labels.
    """

    first: int
    n_records: int
    payload: bytes
    coding: Coding
    needs: Needs
    encoding: tuple[Kind, bool] | None
    errors: Errors
    labels: bytes | None = None


def encode_records(
    chunk: UncodedChunk, first: int, codec: Codec, metadata: Metadata, *, quality: int, fill_value: float | None
) -> CodedChunk:
    """Encode the records of a chunk at a quality of the codec, with residuals if the archive has a bound.

    ``first`` is the number of the first record.
    """
    symbols, names = np.concatenate(chunk.symbols), pack_names(chunk.names)
    coded: Coded | None = codec.qualities[quality].entropy.encode(symbols)
    residual, encoding, errors, is_beside = None, None, Errors(), False
    if metadata.max_error is not None:
        assert coded is not None
        records, decoded = (np.concatenate(parts) for parts in zip(*chunk.records, strict=True))
        grid = ErrorBound(metadata.dtype, metadata.max_error, fill_value)
        found = encode_chunk(records, decoded, coded.n_bytes, grid, codec.causal, group_records=metadata.coded_groups)
        errors, encoding = Errors.of(records, found.restored), (found.kind, found.needs_code)
        residual = ResidualPayload(found.kind, errors.largest, found.data)
        chunk.add_checksums(found.restored, metadata.group_records)
        is_beside = metadata.keeps_codes and not found.needs_code
        coded = coded if found.needs_code or is_beside else None
    payload = Payload(np.array(chunk.checksums, np.uint32), coded, names, residual, is_beside)
    labels = pack_labels(chunk.labels) if chunk.labels else None
    return CodedChunk(first, len(chunk), pack_records(payload), payload.coding, payload.needs, encoding, errors, labels)
