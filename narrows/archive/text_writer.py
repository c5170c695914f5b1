"""Writing of texts without a model: each chunk is coded by the model of bytes, which starts from nothing.

Such an archive names no model, and consists of chunks that need none, as `narrows.archive.models` has them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.archive.blocks import BlockWriter
from narrows.archive.chunks import chunk_bytes
from narrows.archive.layout import Coding, pack_header
from narrows.archive.metadata import NO_MODEL, PARTS, Metadata
from narrows.archive.packing import pack_file
from narrows.archive.records import Payload, ResidualPayload, checksum, pack_names, pack_records
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.texts import ArchivedTexts, text_chunk_records
from narrows.codec.residual.chunk import encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.data import Source
from narrows.data.text.pieces import Pieces
from narrows.data.text.sources import source_of_pieces
from narrows.errors import NarrowsWarning, Warned
from narrows.io.files import as_path, naming_output, replacing
from narrows.io.progress import Progress
from narrows.numerics.pool import Pool

__all__ = ["compress_texts", "with_long_records"]

_GROUP_RECORDS = 256
_MOST_PADDED, _FEW_VALUES, _MOST_LENGTH = 4, 1 << 20, 1 << 16


class _Chunk(NamedTuple):
    """A chunk that is ready to be written."""

    payload: bytes
    n_records: int
    kind: Kind


def compress_texts(
    source: Source,
    path: str | os.PathLike[str],
    warned: tuple[NarrowsWarning, ...] = (),
    *,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write texts to an archive that needs no model, from which they are restored byte for byte.

    Parameters
    ----------
    source : Source
        The texts.
    path, force, threads, progress
        As for `narrows.compress`.
    warned : tuple of NarrowsWarning
        Warnings for the summary.
    """
    source = with_long_records(source)
    assert source.text is not None, "the source has texts"
    records, texts = np.asarray(source.values), ArchivedTexts.of(source.text)
    metadata = _metadata(source, texts)
    starts = range(0, len(records), metadata.chunk_records)
    header, kinds, n_done = pack_header(metadata.to_json()), [], 0
    encode = partial(_encoded, records, metadata)
    target = Path(os.path.realpath(as_path(path)))
    with naming_output(os.fspath(path)), replacing(target, force=force) as file, Pool(threads) as pool:
        file.write(header)
        copied = header if len(starts) > 1 else b""  # for a single chunk, a copy would save nothing
        blocks = BlockWriter(file, copied, len(header))
        for column in texts.blocks():
            blocks.column(*column)
        for chunk in pool.map(encode, starts, chunk_bytes(metadata)):
            blocks.records(chunk.payload, n_done, chunk.n_records, Coding.RESIDUAL)
            kinds.append(chunk.kind)
            n_done += chunk.n_records
            if progress is not None:
                progress("compressing", n_done, len(records), "records")
        blocks.finish(n_done)
        n_bytes = pack_file(file, blocks.offset)
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned)}
    return _summary(path, source, n_bytes, kinds, tuple(warnings.values()))


def with_long_records(source: Source) -> Source:
    """Return texts as one record each, if their records then do not take much more memory than the texts."""
    pieces = source.text
    assert pieces is not None, "the source has texts"
    longest = int(pieces.texts.lengths.max(initial=1))
    is_small = len(pieces.texts) * longest <= _MOST_PADDED * pieces.texts.n_bytes + _FEW_VALUES
    if not pieces.is_chosen or longest <= pieces.length or not is_small or longest > _MOST_LENGTH:
        return source
    return replace(source_of_pieces(Pieces(pieces.texts, longest), source.name, source.kind), warnings=source.warnings)


def _encoded(records: npt.NDArray[np.uint16], metadata: Metadata, start: int) -> _Chunk:
    """Return the chunk of the records from a start on."""
    some = np.ascontiguousarray(records[start : start + metadata.chunk_records])
    coded = encode_chunk(some, some, 0, ErrorBound(metadata.dtype, 0.0))
    size = metadata.group_records
    checksums = np.array([checksum(some[at : at + size]) for at in range(0, len(some), size)], np.uint32)
    payload = Payload(checksums, None, pack_names([""] * len(some)), ResidualPayload(coded.kind, 0.0, coded.data))
    return _Chunk(pack_records(payload), len(some), coded.kind)


def _metadata(source: Source, texts: ArchivedTexts) -> Metadata:
    from narrows import __version__

    assert source.text is not None, "the source has texts"
    return Metadata.from_json(
        {
            "record_shape": list(source.shape),
            "dtype": source.dtype.name,
            "model": NO_MODEL,
            "quality": 0,
            "n_symbols": 1,
            "chunk_records": text_chunk_records(source.text, 1),
            "group_records": _GROUP_RECORDS,
            "container": {"kind": source.kind},
            "tiling": None,
            "text": texts.layout(source.shape).to_json(),
            "record": "text",
            "max_error": 0.0,
            "parts": PARTS,
            "narrows": __version__,
        }
    )


def _summary(
    path: str | os.PathLike[str], source: Source, n_bytes: int, kinds: list[Kind], warnings: tuple[Warned, ...]
) -> Summary:
    assert source.text is not None, "the source has texts"
    texts = source.text.texts
    n_lines = texts.n_bytes + len(texts)
    return Summary(
        path=os.fspath(path),
        records=len(texts),
        total_records=len(texts),
        n_bytes=n_bytes,
        raw_bytes=n_lines,
        psnr_db=None,
        max_error=0.0,
        expected_psnr_db=None,
        expected_bytes_per_record=None,
        model_bytes=0,
        model_embedded=False,
        unlike=0,
        warnings=warnings,
        error_bound=0.0,
        chunks_kept=ways_of([(kind, False) for kind in kinds]),
        characters_right=1.0,
        sample=texts.first_bytes(ZSTD_SAMPLE_BYTES),
    )
