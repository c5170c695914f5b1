"""Verification of an archive: which chunks are intact, and what is wrong with the others."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, NamedTuple

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import PIECE_RECORDS, Chunk, chunk_bytes, read_records
from narrows.archive.contract import Codec
from narrows.archive.field_chunks import largest_block_error, read_block_values, restore_block
from narrows.archive.header import (
    Header,
    bytes_after_end,
    foreign_text,
    naming,
    read_header,
    read_payload,
    read_trailer,
    unfinished_append,
)
from narrows.archive.index import parse_index
from narrows.archive.labels import problems_of_labels
from narrows.archive.layout import (
    BLOCK_BYTES,
    CRC_BYTES,
    TRAILER_BYTES,
    Block,
    BlockType,
    Coding,
    parse_trailer,
)
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import Field, Windows
from narrows.archive.lost_records import gaps, missing
from narrows.archive.model_search import find_model
from narrows.archive.models import find_codec, parts_of, read_model
from narrows.archive.records import largest_error, needs_of, parse_names
from narrows.archive.report import Problem, Report
from narrows.archive.scan import Scanned, scan
from narrows.archive.series_problems import problems_of_series
from narrows.archive.table_chunks import check_rows
from narrows.codec.parts.needs import Needs
from narrows.errors import ArchiveError, CorruptArchiveError
from narrows.numerics.pool import Pool, check_threads

__all__ = ["Found", "Problem", "Report", "examine", "verify"]

Placed = tuple[int, Block]
"""The offset of a block, and its header."""


class Found(NamedTuple):
    """What is intact: payloads of MODEL blocks, chunks, and offsets of LABELS blocks by their first records."""

    header: Header
    models: list[bytes]
    chunks: list[Placed]
    report: Report
    labels: dict[int, int]


def verify(path: str | os.PathLike[str], *, model: Any = None, threads: int | None = None) -> Report:
    """Check the checksums of all bytes of an archive and, with its model, of all restored records.

    Parameters
    ----------
    path : path-like
        The archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that the archive was written with. Not needed if the archive contains its model. Without a model,
        records are not restored.
    threads : int, optional
        How many threads restore records, by default as many as CPUs that the process may use.

    Returns
    -------
    Report
        The intact and lost records, and all defects.

    Raises
    ------
    DataNotFoundError, ArchiveError
        If the file does not exist, is not an archive, or has a newer format.
    CorruptArchiveError
        If both its header and the copy of the header in the index are damaged.
    WrongModelError
        If it was written with another model.
    """
    check_threads(threads)
    with ByteFile(path) as source, naming(source.path):
        return examine(source, model, threads).report


def examine(source: ByteFile, model: Any, threads: int | None = None) -> Found:
    """Return the intact content of an archive and the report of its verification.

    Raises
    ------
    ArchiveError, CorruptArchiveError, WrongModelError
        As `narrows.archive.verify`.
    """
    problems: list[Problem] = []
    header = _try_header(source)
    n_ignored = _ignore_unfinished(source, header, problems)
    scanned = list(scan(source, header.n_bytes if isinstance(header, Header) else 0))
    if isinstance(header, ArchiveError):
        problems.append(Problem(0, str(header)))
        header = _copied_header(source, scanned, header)
    items = layout_of(header.metadata)
    models, codec = _model(source, header, scanned, model, problems)
    intact = []
    blocks = [one for one in scanned if one[1].type == BlockType.RECORDS]
    with Pool(threads) as pool:
        damage = pool.map(lambda one: _damage(source, header, one, codec), blocks, chunk_bytes(header.metadata))
        for (offset, block, _), what in zip(blocks, damage, strict=True):
            if what is None:
                intact.append((offset, block))
            else:
                problems.append(Problem(offset, what, (block.first, block.stop)))
    chunks = _without_overlaps(_of_this_archive(source, scanned, intact, problems), problems)
    chunks = _of_whole_items(chunks, items.n_records, problems)
    declared = _declared(source, scanned)
    if isinstance(items, Field) and declared not in {None, items.n_blocks}:
        what = f"it has {declared:,} blocks, but its field consists of {items.n_blocks:,}"
        problems.append(Problem(source.size, what))
    if isinstance(items, Windows) and declared not in {None, items.n_windows}:
        what = f"it has {declared:,} windows, but its series consist of {items.n_windows:,}"
        problems.append(Problem(source.size, what))
    problems += [*problems_of_series(source, header, scanned), *problems_of_labels(source, scanned)]
    lost = gaps(chunks, problems, declared)
    problems += missing(lost, problems, source.size)
    _check_end(source, header, scanned, chunks, problems)
    report = Report(
        path=source.path,
        n_bytes=source.stored_bytes if source.is_packed else source.size + n_ignored,
        n_records=declared,
        n_intact=sum(block.n_records for _, block in chunks),
        n_chunks=len(chunks),
        lost=lost,
        problems=tuple(sorted(problems, key=lambda problem: problem.offset)),
        is_restored=codec is not None,
        largest_error=_largest_error(source, header, chunks),
        unit=items.unit,
    )
    labels = {block.first: offset for offset, block, is_whole in scanned if is_whole and block.type == BlockType.LABELS}
    return Found(header, models, chunks, report, labels)


def _ignore_unfinished(source: ByteFile, header: Header | ArchiveError, problems: list[Problem]) -> int:
    """Ignore the bytes of an append that is not complete, and return their number."""
    try:
        if isinstance(header, ArchiveError):
            return 0
        read_trailer(source, header)
    except CorruptArchiveError:
        assert isinstance(header, Header)
        end = unfinished_append(source, header.n_bytes)
        if end is not None:
            n_ignored = source.size - end
            what = f"appending was interrupted: the {n_ignored:,} bytes from here on belong to no record"
            problems.append(Problem(end, what))
            source.end_at(end)
            return n_ignored
    return 0


def _largest_error(source: ByteFile, header: Header, chunks: list[Placed]) -> float | None:
    metadata = header.metadata
    if metadata.max_error is None or metadata.rounding_weight is not None or metadata.table is not None:
        return None
    if header.metadata.field is not None:
        return max((largest_block_error(source, at + BLOCK_BYTES) for at, _ in chunks), default=0.0)
    errors = (
        largest_error(source, at + BLOCK_BYTES, block.n_records, header.metadata)
        for at, block in chunks
        if block.coding != Coding.CODE
    )
    return max(errors, default=0.0)


def _try_header(source: ByteFile) -> Header | ArchiveError:
    """Return the header, or the error if it cannot be read."""
    try:
        return read_header(source)
    except ArchiveError as error:
        return error


def _copied_header(source: ByteFile, scanned: list[Scanned], damage: ArchiveError) -> Header:
    """Return the copy of the header in the last intact index."""
    for offset, block, is_whole in reversed(scanned):
        if is_whole and block.type == BlockType.INDEX:
            try:
                payload = read_payload(source, offset, block, "its index", source.size)
                copy = parse_index(payload, block.n_records)[0]
                if copy:
                    return Header.parse(copy)
            except CorruptArchiveError:
                continue
    if isinstance(damage, CorruptArchiveError):
        raise CorruptArchiveError(
            f"{source.path} is damaged: {damage}. It has no intact copy of the header, so no records can be restored. "
            "Use another copy of the file."
        )
    raise damage


def _model_offsets(scanned: list[Scanned], header: Header) -> list[int]:
    """Return the offsets of the MODEL blocks; only the first may be used, unless the model is in parts."""
    found = [offset for offset, block, _ in scanned if block.type == BlockType.MODEL]
    return found[:1] if header.metadata.parts is None else found


def _model(
    source: ByteFile, header: Header, scanned: list[Scanned], model: Any, problems: list[Problem]
) -> tuple[list[bytes], Codec | None]:
    """Return the intact MODEL blocks of the archive, and the codec that restores its records, if it is complete."""
    offsets, metadata = _model_offsets(scanned, header), header.metadata
    blobs = []
    for offset in offsets:
        try:
            blobs.append(read_model(source, metadata, offset))
        except CorruptArchiveError as error:
            problems.append(Problem(offset, str(error)))
    if metadata.field is not None:
        return [], find_codec(source, metadata, [], model)
    needed = _needed(source, header, scanned)
    try:
        if metadata.parts is not None:
            inside = parts_of(blobs, metadata)
            if model is None and not needed & ~inside.holds:
                return blobs, inside
        elif model is None and blobs:
            return blobs, find_codec(source, metadata, offsets)
        if model is None:
            model = find_model(source.path, metadata.model if metadata.parts is None else metadata.model_file)
        return blobs, None if model is None else find_codec(source, metadata, offsets, model, needed=needed)
    except CorruptArchiveError as error:
        if model is not None:
            raise
        problems.append(Problem(offsets[0] if offsets else 0, str(error)))
        return [], None


def _needed(source: ByteFile, header: Header, scanned: list[Scanned]) -> Needs:
    """Return the parts of the model that the chunks need."""
    needed = Needs.NOTHING
    for offset, block, is_whole in scanned:
        if is_whole and block.type == BlockType.RECORDS and header.metadata.table is None:
            with suppress(CorruptArchiveError):
                needed |= needs_of(source, offset + BLOCK_BYTES, block.n_records, block.coding, header.metadata)
    return needed


def _damage(source: ByteFile, header: Header, scanned: Scanned, codec: Codec | None) -> str | None:
    """Return the defect of a chunk; None if it is intact."""
    offset, block, is_whole = scanned
    if not is_whole:
        return "its bytes are damaged or truncated"
    metadata, n = header.metadata, block.n_records
    try:
        if metadata.table is not None:
            check_rows(source, offset, block, metadata, getattr(codec, "table", None))
            return None
        if metadata.field is not None:
            field = Field.from_json(metadata.field)
            restore_block(read_block_values(source, offset, block, metadata, field), block.first, metadata, field)
            return None
        if n > metadata.chunk_records:
            raise CorruptArchiveError(f"a chunk has {n:,} records. Allowed in this archive: {metadata.chunk_records:,}")
        parsed = read_records(source, offset, block, metadata, "a chunk")
        parse_names(parsed.names, n)
        if codec is not None:
            chunk = Chunk(parsed, n, codec, metadata, block.first)
            for start in range(0, n, PIECE_RECORDS):
                chunk.restore(range(start, min(start + PIECE_RECORDS, n)))
    except CorruptArchiveError as error:
        return str(error)
    return None


def _of_this_archive(
    source: ByteFile,
    scanned: list[Scanned],
    intact: list[Placed],
    problems: list[Problem],
) -> list[Placed]:
    """Return the chunks with the record numbers and checksums in the last index; all if no index is intact."""
    last = [(offset, block) for offset, block, is_whole in scanned if is_whole and block.type == BlockType.INDEX][-1:]
    try:
        offset, block = last[0]
        _, entries = parse_index(read_payload(source, offset, block, "its index", source.size), block.n_records)
    except (IndexError, CorruptArchiveError):
        return intact
    entries = entries[entries["type"] == BlockType.RECORDS]
    known = dict(zip(entries["first"].tolist(), entries[["n_records", "crc"]].tolist(), strict=True))
    kept = []
    for at, chunk in intact:
        crc = int.from_bytes(source.read(at + chunk.n_bytes - CRC_BYTES, CRC_BYTES), "little")
        # Chunks appended after the last index are in no index if appending was interrupted.
        if chunk.first >= block.first or known.get(chunk.first) == (chunk.n_records, crc):
            kept.append((at, chunk))
        else:
            problems.append(Problem(at, "a chunk is not in the index: it is from another archive, or was moved"))
    return kept


def _without_overlaps(intact: list[Placed], problems: list[Problem]) -> list[Placed]:
    """Return the chunks in the order of their records, without chunks that repeat records."""
    kept: list[Placed] = []
    stop = 0
    for offset, block in sorted(intact, key=lambda chunk: (chunk[1].first, chunk[0])):
        if block.first < stop:
            problems.append(Problem(offset, "a chunk repeats records of another chunk"))
            continue
        kept.append((offset, block))
        stop = block.stop
    return kept


def _of_whole_items(chunks: list[Placed], n_records: int, problems: list[Problem]) -> list[Placed]:
    """Return the chunks without those that contain parts of an item whose other parts are lost.

    Otherwise, a recovered archive would join parts of different items into one item.
    """
    kept: list[Placed] = []

    def drop(chunk: Placed) -> None:
        offset, block = chunk
        what = "it is a part of an item (an image in tiles, or slices of a field) whose other parts are lost"
        problems.append(Problem(offset, what, (block.first, block.stop)))

    def drop_parts() -> None:
        while kept and kept[-1][1].stop % n_records:
            drop(kept.pop())

    for chunk in chunks:
        if chunk[1].first != (kept[-1][1].stop if kept else 0):
            drop_parts()
        if chunk[1].first % n_records and (not kept or kept[-1][1].stop != chunk[1].first):
            drop(chunk)
            continue
        kept.append(chunk)
    drop_parts()
    return kept


def _declared(source: ByteFile, scanned: list[Scanned]) -> int | None:
    """Return the number of records in the trailer, or in an INDEX block with no chunk after it."""
    try:
        return parse_trailer(
            source.read(max(0, source.size - TRAILER_BYTES), min(source.size, TRAILER_BYTES))
        ).n_records
    except CorruptArchiveError:
        last = [block for _, block, _ in scanned if block.type in {BlockType.RECORDS, BlockType.INDEX}][-1:]
        return last[0].first if last and last[0].type == BlockType.INDEX else None


def _check_end(
    source: ByteFile, header: Header, scanned: list[Scanned], chunks: list[Placed], problems: list[Problem]
) -> None:
    """Add a problem if the index at the end is damaged, or does not match the blocks."""
    labels = {(at, one.first, one.n_records) for at, one, _ in scanned if one.type == BlockType.LABELS}
    try:
        index = read_trailer(source, header)
        named = set(zip(index.offsets.tolist(), index.stops.tolist(), strict=True))
        of_labels = index.entries[index.entries["type"] == BlockType.LABELS]
        if (
            index.models != _model_offsets(scanned, header)
            or not named.issuperset((offset, block.stop) for offset, block in chunks)
            or not labels.issuperset(of_labels[["offset", "first", "n_records"]].tolist())
        ):
            raise CorruptArchiveError("its index does not match its blocks")
    except CorruptArchiveError as error:
        if (foreign := bytes_after_end(source, header)) is not None:
            problems.append(Problem(foreign[0], foreign_text(*foreign)))
            return
        problems.append(Problem(source.size, f"{error}; the index can be rebuilt from the blocks"))
