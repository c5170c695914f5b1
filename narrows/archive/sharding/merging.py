"""Merging the parts of an archive that several processes have written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from narrows.archive.blocks import BlockWriter
from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_block
from narrows.archive.header import naming, read_header, read_payload, read_whole_index
from narrows.archive.labels import labels_before
from narrows.archive.layout import BlockType, pack_header
from narrows.archive.metadata import Metadata
from narrows.archive.models import find_codec, needed_by
from narrows.archive.sharding.plan_file import SHARD
from narrows.codec.parts.needs import Needs
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.errors import ArchiveError, CorruptArchiveError, InvalidParameterError
from narrows.io.files import as_path, check_output, naming_output, replacing

__all__ = ["Merged", "merge"]

_ENTRIES = {"plan", "number", "of", "first", "n_records", "embed_model"}
_HINDERED = "it cannot be merged"
_SHOWN = 10  # missing shards in a message


@dataclass(frozen=True)
class Merged:
    """The result of `merge`.

    Attributes
    ----------
    path : str
        The archive.
    n_parts : int
        The number of parts that it was made of.
    n_records : int
        The number of its records, or tiles.
    n_bytes : int
        Its size.
    """

    path: str
    n_parts: int
    n_records: int
    n_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Part:
    """A part as its header and index describe it."""

    path: str
    metadata: Metadata
    place: dict[str, Any]
    n_records: int

    @property
    def number(self) -> int:
        return int(self.place["number"])


def merge(parts: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], *, force: bool = False) -> Merged:
    """Join all parts of an archive, in any order; chunks are copied one by one after their checksums are verified.

    Parameters
    ----------
    parts : sequence of path-like
        What `compress_shard` has written, each shard once.
    path : path-like
        The archive to write. It has the bytes of one that was written at once.
    force : bool
        Overwrite an existing file.

    Returns
    -------
    Merged
        Number of records and size.

    Raises
    ------
    ArchiveError
        If a file is no part, parts are missing, given twice, or of another plan or number of shards.
    CorruptArchiveError
        If a part is damaged.
    DataNotFoundError, OutputExistsError, OutputError, InvalidParameterError
        If a file does not exist, or the output cannot be written.
    """
    check_output(path, force=force)
    if not parts:
        raise InvalidParameterError("Give the parts of an archive, which `narrows compress --plan --shard` writes.")
    found = _in_order([_read(os.fspath(part)) for part in parts])
    metadata = found[0].metadata
    more = {name: value for name, value in metadata.more.items() if name != SHARD}
    header = pack_header(replace(metadata, more=more).to_json())
    with naming_output(path), replacing(Path(os.path.realpath(as_path(path))), force=force) as file:
        file.write(header)
        blocks, stored = BlockWriter(file, header, len(header)), Needs.NOTHING
        for part in found:
            stored = _copy(part, blocks, stored)
        blocks.finish(sum(part.n_records for part in found))
    return Merged(os.fspath(path), len(found), sum(part.n_records for part in found), blocks.offset)


def _read(path: str) -> _Part:
    """Return what header and index say of a part."""
    with ByteFile(path) as source, naming(path):
        header = read_header(source)
        n_records, place = (
            read_whole_index(source, header, hindered=_HINDERED).n_records,
            header.metadata.more.get(SHARD),
        )
    if not isinstance(place, dict) or not _is_place(place):
        raise ArchiveError(
            f"{path} is no part of an archive. `narrows compress DATA --plan PLAN --shard I/N` writes parts."
        )
    return _Part(path, header.metadata, place, n_records)


def _is_place(place: dict[str, Any]) -> bool:
    """Return whether an entry of the metadata says which shard of which plan an archive is."""
    if place.keys() != _ENTRIES:
        return False
    counts = [place[name] for name in ("number", "of", "first", "n_records")]
    are_counts = all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
    return are_counts and 1 <= place["number"] <= place["of"]


def _in_order(parts: list[_Part]) -> list[_Part]:
    """Return the parts by their numbers, after checking that they are all of one archive, each once."""
    first, n_shards = parts[0], int(parts[0].place["of"])
    by_number: dict[int, _Part] = {}
    for part in parts:
        for entry, what in (("plan", "plan"), ("of", "number of shards")):
            if part.place[entry] != first.place[entry]:
                raise ArchiveError(
                    f"{part.path} is a part with another {what} than {first.path}: {str(part.place[entry])[:12]} "
                    f"instead of {str(first.place[entry])[:12]}. Merge parts of one plan and one number of shards."
                )
        if part.number in by_number:
            raise ArchiveError(
                f"Both {by_number[part.number].path} and {part.path} are the shard {part.number}/{n_shards}. Give each "
                "shard once."
            )
        by_number[part.number] = part
    missing = [number for number in range(1, n_shards + 1) if number not in by_number]
    if missing:
        shown = ", ".join(f"{number}/{n_shards}" for number in missing[:_SHOWN])
        others = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise ArchiveError(
            f"{len(missing):,} of {n_shards:,} shards are missing: {shown}{others}. Write them with `narrows compress "
            "DATA --plan PLAN --shard I/N`."
        )
    ordered = [by_number[number] for number in range(1, n_shards + 1)]
    ends = [*(part.place["first"] for part in ordered[1:]), first.place["n_records"]]
    for part, end in zip(ordered, ends, strict=True):
        if part.place["first"] + part.n_records != end:
            raise ArchiveError(
                f"{part.path} has {part.n_records:,} records, and its shard {part.number}/{n_shards} has "
                f"{end - part.place['first']:,}. Write it again."
            )
    return ordered


def _copy(part: _Part, blocks: BlockWriter, stored: Needs) -> Needs:
    """Copy the chunks of a part, each after the parts of the model that it needs first; return the parts stored."""
    with ByteFile(part.path) as source, naming(part.path):
        header = read_header(source)
        index = read_whole_index(source, header, hindered=_HINDERED)
        codec = None
        listed = index.entries[index.entries["type"] == BlockType.LABELS]
        labels = dict(zip(listed["first"].tolist(), listed["offset"].tolist(), strict=True))
        for chunk in range(len(index.offsets)):
            offset, block, what = chunk_block(source, index, chunk)
            payload = read_payload(source, offset, block, what, source.size)
            needs = needed_by(payload, block, part.metadata)
            lacking = needs & ~stored if part.place["embed_model"] else Needs.NOTHING
            if lacking:
                codec = codec or find_codec(source, part.metadata, index.models, needed=index.needed)
                if not isinstance(codec, PartedCodec):
                    raise CorruptArchiveError(f"{part.path} is damaged: the model of a part is stored in parts.")
                blocks.model(codec.pack(lacking), lacking)
                stored |= lacking
            first = int(part.place["first"]) + block.first
            of_records = labels_before(source, offset, block.first, block.n_records, labels)
            if of_records is not None:
                blocks.labels(of_records, first, block.n_records)
            blocks.records(payload, first, block.n_records, block.coding, needs)
    return stored
