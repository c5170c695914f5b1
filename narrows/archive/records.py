"""The payload of a RECORDS block: a chunk of records as coded symbols, with checksums of the restored records.

::

    n_lanes u32 · n_words u32 · escape bytes u32 · name bytes u32
    CRC-32 of the restored bytes, u32 for each group of records
    states u32 × n_lanes · words u16 × n_words · escapes · names (zlib) · residual

Without a code, n_lanes, n_words and escape bytes are 0. An archive with an error bound has a residual, which restores
the records within the bound::

    kind u8 · 7 zero bytes · largest error f64 · the data of `narrows.codec.residual.chunk.encode_chunk`

Names are UTF-8, separated by zero bytes; a record without a name has an empty one.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.layout import Coding
from narrows.archive.metadata import Metadata
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.parts.needs import Needs
from narrows.codec.rans import MAX_LANES, Message
from narrows.codec.residual.coded import Kind
from narrows.errors import ArchiveError, CorruptArchiveError, InvalidParameterError

__all__ = [
    "Payload",
    "ResidualPayload",
    "check_names",
    "checksum",
    "largest_error",
    "max_payload_bytes",
    "names_within",
    "needs_of",
    "pack_names",
    "pack_records",
    "parse_names",
    "parse_records",
]

MAX_NAME_BYTES = 4096  # of one name
MAX_NAMES_BYTES = 64 << 20  # of a chunk's names before compression
_SYMBOL_WORDS, _ESCAPE_BYTES = 1, 3  # the most that one symbol takes

_SIZES = struct.Struct("<4I")
_RESIDUAL = struct.Struct("<B7xd")


class ResidualPayload(NamedTuple):
    """The coded residual of a chunk, stored with its code or instead of it.

    Attributes
    ----------
    kind : Kind
        The method of coding.
    max_error : float
        The largest error of a value, in the records' units.
    data : bytes
        The input of `decode_chunk`.
    """

    kind: Kind
    max_error: float
    data: bytes


class Payload(NamedTuple):
    """A chunk as it is stored.

    Attributes
    ----------
    checksums : ndarray of shape (groups,), uint32
        CRC-32 of each group's restored bytes: little-endian, last axis fastest.
    coded : Coded
        The symbols.
    names : bytes
        `pack_names` of the records' names; empty if they have none.
    residual : ResidualPayload or None
        The coded residual, in an archive with an error bound.
    is_beside : bool
        Whether the residual needs no symbols, and they are kept for search.
    """

    checksums: npt.NDArray[np.uint32]
    coded: Coded | None
    names: bytes
    residual: ResidualPayload | None = None
    is_beside: bool = False

    @property
    def needs(self) -> Needs:
        """The parts of a model that restoring the records needs."""
        needs = Needs.NOTHING if self.coded is None else Needs.CODE
        if self.residual is not None and self.residual.kind.uses_network:
            needs |= Needs.NETWORK
        return needs

    @property
    def coding(self) -> Coding:
        """The coding in the block's header."""
        if self.residual is None:
            return Coding.CODE
        if self.coded is None:
            return Coding.RESIDUAL
        return Coding.RESIDUAL_BESIDE_CODE if self.is_beside else Coding.CODE_AND_RESIDUAL


def checksum(records: npt.NDArray[Any], crc: int = 0) -> int:
    """Return the CRC-32 of records' little-endian bytes in C order; `crc` is that of the preceding records."""
    return zlib.crc32(np.ascontiguousarray(records, records.dtype.newbyteorder("<")).data, crc)


def max_payload_bytes(n_records: int, metadata: Metadata) -> int:
    """Return the largest possible size of a chunk's payload in bytes."""
    coded = n_records * metadata.n_symbols * (2 * _SYMBOL_WORDS + _ESCAPE_BYTES)
    residual = _RESIDUAL.size + n_records * metadata.record_bytes
    return _SIZES.size + 4 * metadata.n_groups(n_records) + 4 * MAX_LANES + coded + _most_names(n_records) + residual


def pack_records(payload: Payload) -> bytes:
    """Return the bytes of a chunk."""
    checksums = payload.checksums.astype("<u4").tobytes()
    states = words = escapes = b""
    if payload.coded is not None:
        states = payload.coded.message.states.astype("<u4").tobytes()
        words, escapes = payload.coded.message.words.astype("<u2").tobytes(), payload.coded.escapes
    sizes = _SIZES.pack(len(states) // 4, len(words) // 2, len(escapes), len(payload.names))
    residual = b""
    if payload.residual is not None:
        kind, max_error, data = payload.residual
        residual = _RESIDUAL.pack(kind, max_error) + data
    return b"".join((sizes, checksums, states, words, escapes, payload.names, residual))


def parse_records(data: bytes, n_records: int, metadata: Metadata, coding: int = Coding.CODE) -> Payload:
    """Parse the payload of a chunk.

    Parameters
    ----------
    data : bytes
        The whole payload, whose CRC-32 has been checked.
    n_records : int
        The number of records in the block's header.
    metadata : Metadata
        The archive's metadata.
    coding : int
        The coding in the block's header.

    Raises
    ------
    CorruptArchiveError
        If the sizes do not fit the bytes, or are larger than n_records records allow.
    """
    groups = metadata.n_groups(n_records)
    at = _SIZES.size + 4 * groups
    if len(data) < at:
        raise CorruptArchiveError(f"a chunk has {len(data):,} bytes, fewer than its header of {at:,}")
    n_lanes, n_words, n_escapes, n_names = _SIZES.unpack_from(data)
    most = n_records * metadata.n_symbols
    n_residual = len(data) - (at + 4 * n_lanes + 2 * n_words + n_escapes + n_names)
    if n_residual < 0 or (n_residual > 0) != (coding != Coding.CODE):
        raise CorruptArchiveError("the sizes declared in a chunk do not match the number of its bytes")
    if coding == Coding.RESIDUAL:
        most = 0
    if not (
        (n_lanes == 0 if coding == Coding.RESIDUAL else 1 <= n_lanes <= MAX_LANES)
        and n_words <= most * _SYMBOL_WORDS
        and n_escapes <= most * _ESCAPE_BYTES
        and n_names <= _most_names(n_records)
    ):
        raise CorruptArchiveError(f"a chunk declares more bytes than its {n_records:,} records can have")
    checksums = np.frombuffer(data, "<u4", groups, _SIZES.size).astype(np.uint32)
    states = np.frombuffer(data, "<u4", n_lanes, at).astype(np.uint32)
    words = np.frombuffer(data, "<u2", n_words, at + 4 * n_lanes).astype(np.uint16)
    at += 4 * n_lanes + 2 * n_words
    coded = None if coding == Coding.RESIDUAL else Coded(Message(states, words), data[at : at + n_escapes])
    at += n_escapes
    residual = None if coding == Coding.CODE else _parse_residual(data[at + n_names :])
    is_beside = coding == Coding.RESIDUAL_BESIDE_CODE
    return Payload(checksums, coded, data[at : at + n_names], residual, is_beside)


def needs_of(source: ByteFile, payload: int, n_records: int, coding: int, metadata: Metadata) -> Needs:
    """Return the parts of a model that a chunk needs, given the offset of its payload; only its head is read.

    Raises
    ------
    CorruptArchiveError
        If the chunk is truncated.
    """
    needs = Needs.NOTHING if coding == Coding.RESIDUAL else Needs.CODE
    if coding == Coding.CODE:
        return needs
    at = payload + _start_of_residual(source, payload, n_records, metadata)
    uses_network = source.read(at, 1)[0] in {kind for kind in Kind if kind.uses_network}
    return needs | Needs.NETWORK if uses_network else needs


def _start_of_residual(source: ByteFile, payload: int, n_records: int, metadata: Metadata) -> int:
    n_lanes, n_words, n_escapes, n_names = _SIZES.unpack(source.read(payload, _SIZES.size))
    return int(_SIZES.size + 4 * metadata.n_groups(n_records) + 4 * n_lanes + 2 * n_words + n_escapes + n_names)


def largest_error(source: ByteFile, payload: int, n_records: int, metadata: Metadata) -> float:
    """Return the largest error stored in a chunk with a residual, given the offset of its payload.

    Raises
    ------
    CorruptArchiveError
        If the chunk is truncated, or its largest error is invalid.
    """
    at = payload + _start_of_residual(source, payload, n_records, metadata)
    return _parse_residual(source.read(at, _RESIDUAL.size)).max_error


def way_of(source: ByteFile, payload: int, n_records: int, coding: int, metadata: Metadata) -> tuple[Kind, bool]:
    """Return the kind of the residual of a chunk, and whether it has a code, given the offset of its payload.

    Raises
    ------
    CorruptArchiveError
        If the chunk is truncated, or its residual is not valid.
    """
    at = payload + _start_of_residual(source, payload, n_records, metadata)
    kind = _parse_residual(source.read(at, _RESIDUAL.size)).kind
    return kind, coding == Coding.CODE_AND_RESIDUAL


def _parse_residual(data: bytes) -> ResidualPayload:
    if len(data) < _RESIDUAL.size:
        raise CorruptArchiveError(
            f"the residual of a chunk has {len(data)} bytes, fewer than its header of {_RESIDUAL.size}"
        )
    kind, max_error = _RESIDUAL.unpack_from(data)
    if kind not in set(Kind):
        raise ArchiveError(
            f"a chunk has a residual of kind {kind}, which this version of narrows does not support. Upgrade narrows"
        )
    if not 0 <= max_error < math.inf:
        raise CorruptArchiveError(f"the largest error of a chunk must be finite and ≥ 0. Got {max_error!r}")
    return ResidualPayload(Kind(kind), max_error, data[_RESIDUAL.size :])


# ----------------------------------------------------------------------------------------------------------- names


def names_within(source: ByteFile, payload: int, n_records: int, metadata: Metadata) -> tuple[int, int]:
    """Return offset and length of the names in the payload of a chunk, given the offset of the payload in the file.

    Raises
    ------
    CorruptArchiveError
        If the names take more bytes than n_records records can have.
    """
    n_lanes, n_words, n_escapes, n_names = _SIZES.unpack(source.read(payload, _SIZES.size))
    if n_names > _most_names(n_records):
        raise CorruptArchiveError(f"a chunk declares more bytes than its {n_records:,} records can have")
    return _SIZES.size + 4 * metadata.n_groups(n_records) + 4 * n_lanes + 2 * n_words + n_escapes, n_names


def check_names(names: Sequence[str]) -> None:
    """Check that names can be written as files below a folder.

    Raises
    ------
    InvalidParameterError
        If a name is absolute, outside its folder, or too long.
    """
    for name in names:
        if name and not _is_inside(name):
            raise InvalidParameterError(
                f"The name of a record must be a relative path of at most {MAX_NAME_BYTES:,} bytes, without '..', "
                "backslashes, and a colon as its second character, which Windows takes for a drive. "
                f"Got {name!r:.100}. Rename it."
            )


def pack_names(names: Sequence[str]) -> bytes:
    """Return the bytes of names; empty if no record has one.

    Raises
    ------
    InvalidParameterError
        If they take more than 64 MiB, or are not valid text.
    """
    if not any(names):
        return b""
    try:
        text = b"\0".join(name.encode("utf-8", "surrogateescape") for name in names)
    except UnicodeEncodeError as error:
        raise InvalidParameterError(f"The name of a record must be valid text: {error}. Rename it.") from error
    if len(text) > MAX_NAMES_BYTES:
        raise InvalidParameterError(
            f"The names of a chunk may take {MAX_NAMES_BYTES:,} bytes. Got {len(text):,}. Shorten the names."
        )
    return zlib.compress(text, 9)


def parse_names(data: bytes, n_records: int) -> list[str]:
    """Return the names of a chunk's records; empty ones if they have none.

    Raises
    ------
    CorruptArchiveError
        If they are damaged, their number is wrong, or one is outside its folder.
    """
    if not data:
        return [""] * n_records
    most = min(n_records * (MAX_NAME_BYTES + 1), MAX_NAMES_BYTES)
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data, most + 1)
    except zlib.error as error:
        raise CorruptArchiveError("the names of a chunk's records are damaged") from error
    is_whole = inflate.eof and not inflate.unused_data and len(text) <= most
    if not is_whole or text.count(b"\0") != n_records - 1:
        raise CorruptArchiveError(f"a chunk of {n_records:,} records has another number of names")
    names = text.decode("utf-8", "surrogateescape").split("\0")
    for name in names:
        if name and not _is_inside(name):
            raise CorruptArchiveError(f"the name of a record is outside its folder: {name!r:.100}")
    return names


def _most_names(n_records: int) -> int:
    """Return the largest size of the compressed names, which can be slightly larger than uncompressed."""
    most = min(n_records * (MAX_NAME_BYTES + 1), MAX_NAMES_BYTES)
    return most + (most >> 10) + 64


def _is_inside(name: str) -> bool:
    """Return whether a name is relative and inside its folder, on every operating system."""
    parts = name.split("/")
    if name[0] == "/" or name[1:2] == ":" or "\\" in name or "\0" in name or ".." in parts or parts[-1] in {"", "."}:
        return False
    return len(name) * 4 <= MAX_NAME_BYTES or len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES
