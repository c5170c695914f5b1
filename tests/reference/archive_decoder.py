"""A second, independent reader of archives, written from docs/format.md and nothing else.

It imports nothing of narrows: that both restore the same bytes shows that the page is enough to write a reader. It is
made to be read next to the page, section by section, not to be fast. `read` gives the items of an archive, `names`
their file names. Whatever is damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Tensors = dict[str, Array]

HEADER_MAGIC = bytes.fromhex("89 4E 52 57 0D 0A 1A 0A")
BLOCK_MAGIC = bytes.fromhex("B7 4E 52 42")
TRAILER_MAGIC = bytes.fromhex("B7 4E 52 57 65 6E 64 0A")
HEADER_DICTIONARY = (
    HEADER_MAGIC
    + bytes.fromhex("01 00 00 00 00 00 00 00")
    + (
        b'{"chunk_records":16384,"container":{"kind":"images"},"dtype":"float32","dtype":"uint8","group_records":256,'
        b'"model":"","n_symbols":32,"narrows":"0.1.0","quality":0,"record_shape":[28,28],"tiling":null}'
    )
)
MODEL, RECORDS, INDEX, LABELS_BLOCK = 1, 2, 3, 6
TILES, BOUND, PARTS, GROUPS, LABELS = 1, 2, 8, 128, 2048  # bits of features that a reader must understand
LINEAR, LOSSLESS, ZSTD, PLAIN, CAUSAL, ON_LEVELS, BYTES, CAUSAL_GROUPS, LEVEL_GROUPS = 1, 2, 3, 4, 5, 8, 9, 10, 11
TEXTS_ALONE, TEXT_GROUPS = 13, 14
KINDS = (LINEAR, LOSSLESS, ZSTD, PLAIN, CAUSAL, ON_LEVELS, BYTES, CAUSAL_GROUPS, LEVEL_GROUPS, TEXTS_ALONE, TEXT_GROUPS)
WINDOWS = (16, 32, 64, 128, 256, 512, 1024, 4096)
SHARES, SPREADS = (8, 512, 2048, 8192), (6, 12)
SIGMOID = np.array([round(65536 / (1 + math.exp(-z / 128))) for z in range(-2048, 2049)])
SLOPE = np.array([round(2**25 * 2 ** (-e / 4)) for e in range(64)])
EXP = np.array([round(32768 * math.exp(-v / 32)) for v in range(512)])
GROUP_SIZES = (16, 32, 64, 128, 256)
MIB = 1 << 20
EXACT = 1 << 53
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
TENSOR_DTYPES = {
    "BOOL": "?",
    "I8": "<i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "<u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}


# What is asked of this module


def read(path: str | Path, model_blob: bytes | None = None) -> Array:
    """All items of the archive: its records or, where they are tiles, the images that they make."""
    records, tiling = read_records(path, model_blob)
    return records if tiling is None else join_tiles(records, tiling)


def read_records(path: str | Path, model_blob: bytes | None = None, known: int = 0) -> tuple[Array, Tiling | None]:
    """All records of the archive, and how they make images; `known` are more features that the caller understands."""
    archive = open_archive(path, known)
    if archive.header.parts:
        model = load_parts(archive, model_blob)
    else:
        model = load_model(find_blob(archive, model_blob))
        check_fit(archive.header, model)
    records = np.concatenate([empty(archive.header), *(restore_chunk(archive, model, e) for e in archive.chunks)])
    return records, archive.header.tiling


def names(path: str | Path) -> list[str]:
    """The file name of each item, empty where it has none; an image made of tiles is called what its first tile is."""
    archive = open_archive(path)
    all_names = [name for entry in archive.chunks for name in parse_chunk(archive, entry).names]
    tiling = archive.header.tiling
    return all_names if tiling is None else all_names[:: tiling.per_image]


def labels(path: str | Path) -> list[int | str | None]:
    """The label of each record, None where it has none."""
    archive = open_archive(path)
    found: list[int | str | None] = [None] * sum(entry.n_records for entry in archive.chunks)
    for entry in archive.labels:
        require(any(entry[1:3] == chunk[1:3] for chunk in archive.chunks), "labels of no chunk")
        payload, n = block_of(archive, entry).payload, entry.n_records
        length = int.from_bytes(take(payload, 0, 4), "little")
        known = json.loads(take(payload, 4, length).decode("utf-8"))
        require(isinstance(known, list) and 1 <= len(known) <= n, "the labels are no list")
        dtype = np.dtype("u1" if len(known) <= 256 else "<u2")
        places = np.frombuffer(inflate(payload[4 + length :], n * dtype.itemsize), dtype)
        require(len(places) == n and places.max() < len(known), "there are more or fewer labels than records")
        found[entry.first : entry.first + n] = [known[place] for place in places.tolist()]
    return found


# Small tools


def require(condition: object, message: str) -> None:
    """Refuse the file unless the condition holds."""
    if not condition:
        raise ValueError(message)


def take(data: bytes, start: int, length: int) -> bytes:
    """Return exactly `length` bytes from `start` on."""
    part = data[start : start + length]
    require(start >= 0 and len(part) == length, "the file is cut off, or an offset leads out of it")
    return part


def whole(value: object, low: int, high: int, what: str) -> int:
    """Return the value if it is a whole number within low … high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what} is not a whole number from {low} to {high}")
    return value


def wholes(value: object, low: int, high: int, what: str, lengths: range = range(1, 9)) -> Shape:
    """Return the value as a tuple if it is a list of whole numbers within low … high, of an allowed length."""
    if not isinstance(value, list) or len(value) not in lengths:
        raise ValueError(f"{what} is not a list of the right length")
    return tuple(whole(item, low, high, what) for item in value)


def parse_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object."""
    try:
        value = json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return as_object(value, "the JSON")


def as_object(value: object, what: str) -> dict[str, Any]:
    """Return the value if it is a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return value


def inflate(data: bytes, limit: int, dictionary: bytes = b"") -> bytes:
    """Unpack a zlib stream that takes all of `data` and gives at most `limit` bytes."""
    stream = zlib.decompressobj(zdict=dictionary)
    try:
        result = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError("a zlib stream is damaged") from error
    require(stream.eof and not stream.unused_data and len(result) <= limit, "a zlib stream has another length")
    return result


def round_shift(values: Array, shift: int) -> Array:
    """Divide by 2^shift and round to the nearest whole number, halves up."""
    return values if shift == 0 else (values + (1 << (shift - 1))) >> shift


def clip16(values: Array) -> Array:
    """Limit to 16 bits with sign."""
    return np.clip(values, -32768, 32767)


# The file: header, blocks, index, trailer


class Tiling(NamedTuple):
    """How images were cut into tiles; `axes` are those of height and width."""

    image_shape: Shape
    overlap: int
    axes: tuple[int, int]
    rows: int
    columns: int

    @property
    def per_image(self) -> int:
        """How many tiles make one image."""
        return self.rows * self.columns


class Header(NamedTuple):
    """What the header says; `raw` are its bytes with their checksum."""

    raw: bytes
    shape: Shape
    dtype: np.dtype[Any]
    model: str
    quality: int
    n_symbols: int
    chunk_records: int
    group_records: int
    tiling: Tiling | None
    max_error: float | None
    parts: bool
    coded_groups: bool = False
    is_text: bool = False


class Entry(NamedTuple):
    """An entry of the index."""

    offset: int
    first: int
    n_records: int
    crc: int
    kind: int
    parts: int = 0


class Block(NamedTuple):
    """A block whose checksums are right."""

    kind: int
    coding: int
    first: int
    n_records: int
    payload: bytes
    crc: int


class Archive(NamedTuple):
    """An archive whose header, index and trailer are right."""

    data: bytes
    header: Header
    model: Entry | None
    chunks: list[Entry]
    models: list[Entry]  # where the model is in parts
    labels: list[Entry]


def open_archive(path: str | Path, known: int = 0) -> Archive:
    """Read the header, the trailer and the index that it points at."""
    data: bytes = sibling("bisection_decoder").file_bytes(path)
    header = parse_header(data, known)
    data = without_unfinished_append(data, len(header.raw))
    index_offset, n_records = parse_trailer(data)
    block = parse_block(data, index_offset)
    require(block.kind == INDEX, "the trailer does not point at an index")
    require(index_offset + 36 + len(block.payload) == len(data) - 28, "the index does not end at the trailer")
    entries = parse_entries(block, header)
    check_offsets(entries, len(header.raw), index_offset)
    require(all(entry.kind != INDEX for entry in entries), "the index names an index")
    labels = [entry for entry in entries if entry.kind == LABELS_BLOCK]
    entries = [entry for entry in entries if entry.kind in (MODEL, RECORDS)]  # a newer version may name more
    models = [entry for entry in entries if entry.kind == MODEL] if header.parts else []
    if header.parts:
        entries = [entry for entry in entries if entry.kind == RECORDS]
    model = entries.pop(0) if entries and entries[0].kind == MODEL else None
    require(model is None or model[:3] == (len(header.raw), 0, 0), "the model is not directly behind the header")
    check_counts(entries, header, n_records)
    require(block.first == n_records, "index and trailer count different records")
    return Archive(data, header, model, entries, models, labels)


def parse_header(data: bytes, known: int = 0) -> Header:
    """Read the header and check all that it says against the limits."""
    magic, major, _minor, features, length = struct.unpack("<8sHHII", take(data, 0, 20))
    require(magic == HEADER_MAGIC, "not an archive")
    require(
        major == 1 and features & ~(TILES | BOUND | PARTS | GROUPS | LABELS | known) == 0,
        "the archive needs a newer reader",
    )
    require(length <= 16 * MIB, "the metadata are too long")
    raw = take(data, 0, length + 24)
    require(zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little"), "the header is damaged")
    meta = parse_object(raw[20:-4])
    shape = wholes(meta.get("record_shape"), 1, 1 << 30, "record_shape", range(1, 32))
    require(meta.get("dtype") in DTYPES, "unknown dtype")
    model = meta.get("model")
    require(
        isinstance(model, str) and len(model) == 64 and set(model) <= set("0123456789abcdef"), "model is no SHA-256"
    )
    header = Header(
        raw=raw,
        shape=shape,
        dtype=np.dtype(meta["dtype"]).newbyteorder("<"),
        model=str(model),
        quality=whole(meta.get("quality"), 0, 1 << 31, "quality"),
        n_symbols=whole(meta.get("n_symbols"), 1, 1 << 26, "n_symbols"),
        chunk_records=whole(meta.get("chunk_records"), 1, 65536, "chunk_records"),
        group_records=whole(meta.get("group_records"), 1, max(GROUP_SIZES), "group_records"),
        tiling=parse_tiling(meta.get("tiling"), shape),
        max_error=parse_max_error(meta.get("max_error")),
        parts=meta.get("parts") is not None,
        coded_groups=meta.get("coded_groups") is not None,
        is_text=meta.get("text") is not None,
    )
    require(meta.get("parts") in (None, 1), "the parts of the model need a newer reader")
    require(not features & PARTS or header.parts, "the archive has a model in parts, but does not say so")
    require(not features & LABELS or meta.get("labels") is not None, "the archive has labels, but does not say so")
    require(not features & GROUPS or header.coded_groups, "the archive has coded groups, but does not say so")
    sizes = (1, 2, 4, 8, *GROUP_SIZES) if header.coded_groups else GROUP_SIZES
    require(header.group_records in sizes, "group_records is no power of two that is allowed")
    check_sizes(header)
    require(not features & TILES or header.tiling is not None, "the archive uses tiles, but describes none")
    require(not features & BOUND or header.max_error is not None, "the archive has a bound, but names none")
    return header


def check_sizes(header: Header) -> None:
    """Check the limits on the size of records and chunks."""
    size = math.prod(header.shape) * header.dtype.itemsize
    require(size <= 1 << 30, "records are too large")
    if header.chunk_records > 1:
        require(size * header.chunk_records <= 64 * MIB, "chunks restore to too many bytes")
        require(header.n_symbols * header.chunk_records <= 1 << 24, "chunks have too many symbols")
        if header.max_error is not None:
            require(math.prod(header.shape) * header.chunk_records <= 1 << 24, "chunks have too many values")


def parse_max_error(value: object) -> float | None:
    """Read how far off a value may be."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= sys.float_info.max:
        raise ValueError("max_error is no number that can be")
    return float(value)


def parse_tiling(value: object, shape: Shape) -> Tiling | None:
    """Read how images were cut into tiles of the given shape."""
    if value is None:
        return None
    entry = as_object(value, "tiling")
    image = wholes(entry.get("image_shape"), 1, 1 << 30, "image_shape", range(2, 4))
    axes = (1, 2) if len(image) == 3 and image[2] > 4 else (0, 1)
    require(len(image) == len(shape), "tiles have other axes than images")
    require(all(image[a] == shape[a] for a in range(len(image)) if a not in axes), "tiles have other channels")
    lengths = [(image[axis], shape[axis]) for axis in axes]
    overlap = whole(entry.get("overlap"), 0, min(tile for _, tile in lengths) - 1, "overlap")
    rows, columns = (max(1, -((overlap - length) // (tile - overlap))) for length, tile in lengths)
    return Tiling(image, overlap, axes, rows, columns)


def without_unfinished_append(data: bytes, start: int) -> bytes:
    """Return the archive as it was before an append that is not complete."""
    try:
        parse_trailer(data)
        return data
    except ValueError:
        pass
    end, at = len(data), start
    try:
        while at < len(data):
            kind, length = parse_block_head(take(data, at, 32))[:2]
            index_at, at = at, at + 36 + length
            if kind != INDEX:
                continue
            at += 28
            if parse_trailer(take(data, 0, at))[0] == index_at:
                end = at
            if not any(data[at : at + 36]):  # what an APPEND block is until the append is complete
                at += 36
    except ValueError:
        pass  # the end of what is complete
    return data[:end] if not any(data[end : end + 36]) else data


def parse_trailer(data: bytes) -> tuple[int, int]:
    """Read the offset of the index and the number of records."""
    trailer = take(data, len(data) - 28, 28)
    offset, n_records, crc, magic = struct.unpack("<QQI8s", trailer)
    require(magic == TRAILER_MAGIC and crc == zlib.crc32(trailer[:16]), "the trailer is damaged")
    require(n_records <= 1 << 40, "too many records")
    return offset, n_records


def parse_block(data: bytes, offset: int) -> Block:
    """Read the block at an offset and check both its checksums."""
    kind, length, coding, flags, first, count = parse_block_head(take(data, offset, 32))
    codings = {RECORDS: (1, 2, 3, 6), MODEL: (0, 4)}.get(kind, (0,))
    require(flags == 0 and coding in codings, "a block needs a newer reader")
    payload = take(data, offset + 32, length)
    payload_crc = int.from_bytes(take(data, offset + 32 + length, 4), "little")
    require(payload_crc == zlib.crc32(payload), "the payload of a block is damaged")
    return Block(kind, coding, first, count, payload, payload_crc)


def parse_block_head(head: bytes) -> tuple[int, int, int, int, int, int]:
    """Return type, length of the payload, coding, flags, first record and number of records of a block."""
    magic, kind, coding, flags, length, first, count, crc = struct.unpack("<4sBBHQQII", head)
    require(magic == BLOCK_MAGIC and crc == zlib.crc32(head[:28]), "the head of a block is damaged")
    return kind, length, coding, flags, first, count


def parse_entries(block: Block, header: Header) -> list[Entry]:
    """Read the entries of the index; its copy of the header has to be the header."""
    length = int.from_bytes(take(block.payload, 0, 4), "little")
    if length or not header.is_text:
        copy = inflate(take(block.payload, 4, length), 16 * MIB + 64, HEADER_DICTIONARY)
        require(copy == header.raw, "the index belongs to another header")
    table = block.payload[4 + length :]
    require(len(table) == 28 * block.n_records, "the index has another length")
    entries = []
    for offset, first, count, crc, kind, parts, zero in struct.iter_unpack("<QQIIBB2s", table):
        require(zero == bytes(2) and (header.parts or not parts), "an entry of the index is not as it should be")
        entries.append(Entry(offset, first, count, crc, kind, parts))
    return entries


def check_offsets(entries: list[Entry], start: int, end: int) -> None:
    """Blocks follow one another between the header and the index, none shorter than an empty one."""
    offsets = [start - 36, *(entry.offset for entry in entries), end]
    require(all(b - a >= 36 for a, b in itertools.pairwise(offsets)), "offsets do not ascend")


def check_counts(chunks: list[Entry], header: Header, n_records: int) -> None:
    """No record is missing, none is there twice."""
    expected = 0
    for entry in chunks:
        require(entry.kind == RECORDS, "the index names a block of another type")
        require(entry.first == expected, "records are missing, or there twice")
        require(1 <= entry.n_records <= header.chunk_records, "a chunk has too many records, or none")
        expected += entry.n_records
    require(expected == n_records, "the chunks do not have all records")
    require(header.tiling is None or n_records % header.tiling.per_image == 0, "an image is not whole")


def block_of(archive: Archive, entry: Entry) -> Block:
    """Read the block that an entry of the index names."""
    block = parse_block(archive.data, entry.offset)
    found = Entry(entry.offset, block.first, block.n_records, block.crc, block.kind, entry.parts)
    require(found == entry, "a block is not the one that the index names")
    return block


def find_blob(archive: Archive, given: bytes | None) -> bytes:
    """Take the frozen model that was given, or else the one in the archive; its hash must be the archive's."""
    blob = given
    if archive.model is not None:
        embedded = block_of(archive, archive.model).payload
        require(hashlib.sha256(embedded).hexdigest() == archive.header.model, "the embedded model is another")
        blob = embedded if given is None else given
    if blob is None:
        raise ValueError("the archive does not hold its model, and none was given")
    require(len(blob) <= 1 << 30, "the model is too large")
    require(hashlib.sha256(blob).hexdigest() == archive.header.model, "the archive belongs to another model")
    return blob


# Chunks


class Message(NamedTuple):
    """Entropy-coded symbols."""

    states: Array
    words: Array
    escapes: bytes


class Residual(NamedTuple):
    """What brings records back within the bound."""

    kind: int
    largest_error: float
    data: bytes


class Chunk(NamedTuple):
    """A chunk: the checksum of each group, the coded symbols, a name for each record, and the residual."""

    n_records: int
    group_crcs: Array
    message: Message | None
    names: list[str]
    residual: Residual | None


def parse_chunk(archive: Archive, entry: Entry) -> Chunk:
    """Read a RECORDS block."""
    block = block_of(archive, entry)
    payload, n = block.payload, block.n_records
    n_lanes, n_words, n_escapes, n_names = struct.unpack("<4I", take(payload, 0, 16))
    n_groups = -(-n // archive.header.group_records)
    symbols = n * archive.header.n_symbols
    if block.coding == 3:
        require(n_lanes == n_words == n_escapes == 0, "a chunk without a code has some")
    else:
        require(1 <= n_lanes <= 4096 and n_words <= symbols and n_escapes <= 3 * symbols, "a chunk breaks the limits")
    lengths = [16, 4 * n_groups, 4 * n_lanes, 2 * n_words, n_escapes, n_names]
    _, crcs, states, words, escapes, packed, behind = cut(payload, lengths)
    message = Message(np.frombuffer(states, "<u4"), np.frombuffer(words, "<u2"), escapes)
    restores = n_lanes and block.coding != 6  # symbols beside a residual are for search
    residual = None
    if archive.header.max_error is None:
        require(block.coding == 1 and not behind, "the lengths in a chunk do not add up, or it has a residual")
    else:
        require(block.coding != 1, "a chunk keeps no bound")
        residual = parse_residual(behind, n, archive.header)
    crcs_of_groups = np.frombuffer(crcs, "<u4")
    return Chunk(n, crcs_of_groups, message if restores else None, parse_names(packed, n), residual)


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    """Cut bytes into parts of these lengths, and what is left."""
    ends = list(itertools.accumulate(lengths, initial=0))
    require(ends[-1] <= len(data), "the lengths in a chunk do not add up")
    return [data[low:high] for low, high in itertools.pairwise([*ends, len(data)])]


def parse_residual(data: bytes, n: int, header: Header) -> Residual:
    """Read the head of a residual."""
    kind, largest = struct.unpack("<B7xd", take(data, 0, 16))
    require(kind in KINDS, "a chunk is kept in a way that needs a newer reader")
    require(0 <= largest <= (header.max_error or 0.0), "a chunk's largest error is beyond the bound")
    require(len(data) - 16 <= n * math.prod(header.shape) * header.dtype.itemsize, "a residual is too long")
    return Residual(kind, largest, data[16:])


def parse_names(packed: bytes, n: int) -> list[str]:
    """Read the names of n records, safe ones only."""
    if not packed:
        return [""] * n
    parts = inflate(packed, 64 * MIB).split(b"\0")
    require(len(parts) == n, "a chunk has more or fewer names than records")
    require(all(len(part) <= 4096 for part in parts), "a name is too long")
    found = [part.decode("utf-8", "surrogateescape") for part in parts]
    require(all(is_safe(name) for name in found), "a name leads out of its folder")
    return found


def is_safe(name: str) -> bool:
    """Tell whether a name stays within the folder that files are written to."""
    if not name:
        return True
    parts = name.split("/")
    return parts[0] != "" and ".." not in parts and parts[-1] not in ("", ".") and "\\" not in name and name[1:2] != ":"


def restore_chunk(archive: Archive, model: Model, entry: Entry) -> Array:
    """Decode a chunk, restore its records group by group, and compare each group's checksum."""
    chunk = parse_chunk(archive, entry)
    records = None
    if chunk.message is not None:
        require(model.qualities, "the archive does not hold its model, and none was given: a chunk needs a code")
        quality = model.qualities[archive.header.quality if len(model.qualities) > 1 else 0]
        symbols = decode(quality.entropy, chunk.message, chunk.n_records)
        records = restore(model, quality, symbols)
    if chunk.residual is not None:
        records = make_good(chunk.residual, records, chunk.n_records, archive.header, model.network)
    if records is None:
        raise ValueError("a chunk holds neither a code nor a residual")
    size = archive.header.group_records
    for number, crc in enumerate(chunk.group_crcs.tolist()):
        group = records[number * size : (number + 1) * size]
        require(zlib.crc32(group.tobytes()) == crc, "records do not restore to what they were")
    return records


def empty(header: Header) -> Array:
    """No record of the archive's shape and type."""
    return np.empty((0, *header.shape), header.dtype)


# Archives with a bound


class Grid(NamedTuple):
    """What whole numbers, units, stand for values; `unit` is 0 where they are no multiples of one."""

    dtype: np.dtype[Any]
    step: int
    lowest: int
    highest: int
    unit: float
    levels: Array | None = None  # the values of units 0, 1, …

    def units(self, values: Array) -> Array:
        """Tell values in units."""
        if self.unit > 0:
            with np.errstate(over="ignore"):
                told = np.rint(values.astype(np.float64) / self.unit)
            return np.where(np.abs(told) <= 2.0**50, told, 0).astype(np.int64)
        if self.dtype.kind == "f":
            return in_order(values.view(f"<i{self.dtype.itemsize}").astype(np.int64), self.highest)
        if self.dtype == np.uint64:
            return (values - np.uint64(1 << 63)).astype(np.int64)
        return values.astype(np.int64)

    def values(self, units: Array) -> Array:
        """Give the values that units stand for."""
        if self.levels is not None:
            return self.levels[units].astype(self.dtype)
        if self.unit > 0:
            with np.errstate(over="ignore"):
                return to_dtype(units.astype(np.float64) * self.unit, self.dtype)
        if self.dtype.kind == "f":
            return in_order(units, self.highest).astype(f"<i{self.dtype.itemsize}").view(self.dtype)
        if self.dtype == np.uint64:
            return units.astype(np.uint64) + np.uint64(1 << 63)
        return units.astype(self.dtype)


def in_order(numbers: Array, mask: int) -> Array:
    """Invert all bits of negative numbers but the sign; and the same back."""
    return np.where(numbers < 0, numbers ^ mask, numbers)


def grid_of(dtype: np.dtype[Any], max_error: float) -> Grid:
    """Give the grid for a type and a bound."""
    bits = 8 * dtype.itemsize
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if dtype.kind == "f":
        unit = min(max_error, (2 - 2.0**-52) * 2.0**1021) * ((1 - 2.0**-20) / 8)
        if unit >= 2.0**-1000:
            return Grid(dtype, 16, -(1 << 51), 1 << 51, unit)
        return Grid(dtype, 1, lowest, highest, 0.0)
    if dtype.kind == "b":
        lowest, highest = 0, 1
    elif dtype.kind == "u" and bits < 64:
        lowest, highest = 0, (1 << bits) - 1
    return Grid(dtype, 2 * min(math.floor(max_error), 1 << 48) + 1, lowest, highest, 0.0)


def sibling(name: str) -> Any:
    """Return the module of a file in this folder."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        require(spec is not None and spec.loader is not None, "a file of the decoder is missing")
        sys.modules[name] = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(sys.modules[name])  # type: ignore[union-attr]
    return sys.modules[name]


def make_good(
    residual: Residual, restored: Array | None, n: int, header: Header, network: Network | None = None
) -> Array:
    """Bring n records back within the bound; `restored` is what the code alone makes of them, if there is one."""
    shape, dtype = (n, *header.shape), header.dtype
    if residual.kind in (TEXTS_ALONE, TEXT_GROUPS):
        require(dtype == np.uint16 and len(shape) == 2, "texts are no records of this archive")
        require(isinstance(network, sibling("bytes_decoder").Model), "a chunk needs a model of bytes")
        group = 1 if residual.kind == TEXTS_ALONE else header.group_records
        return network.records(residual.data, shape, group)  # type: ignore[no-any-return, union-attr]
    if residual.kind in (CAUSAL, ON_LEVELS, CAUSAL_GROUPS, LEVEL_GROUPS):
        if network is None:
            raise ValueError("a chunk needs a network that the model does not have")
        grid = grid_of(dtype, header.max_error or 0.0)
        is_on_levels = residual.kind in (ON_LEVELS, LEVEL_GROUPS)
        require((network.levels is not None) == is_on_levels, "a chunk needs another kind of network")
        if network.levels is not None:
            require(restored is None, "levels need no code")
            grid = Grid(dtype, 1, 0, network.highest, 0.0, network.levels)
        if residual.kind in (CAUSAL, ON_LEVELS):
            return from_linear(residual.data, restored, grid, shape, network)
        require(header.coded_groups, "groups are coded one by one, but the archive does not say so")
        return from_groups(residual.data, restored, grid, shape, network, header.group_records)
    if residual.kind in (LINEAR, LOSSLESS):
        grid = grid_of(dtype, (header.max_error or 0.0) if residual.kind == LINEAR else 0.0)
        return from_linear(residual.data, restored, grid, shape)
    data = residual.data
    if residual.kind == BYTES:
        require(dtype == np.uint16 and len(shape) == 2, "texts are no records of this archive")
        return sibling("bytes_decoder").records(residual.data, *shape)  # type: ignore[no-any-return]
    if residual.kind == ZSTD:
        try:
            require(zstandard.frame_content_size(data) == math.prod(shape) * dtype.itemsize, "a frame is of other size")
            data = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError("a Zstandard frame is damaged") from error
    require(len(data) == math.prod(shape) * dtype.itemsize, "records are of another size")
    return np.frombuffer(data, dtype).reshape(shape)


def from_linear(data: bytes, restored: Array | None, grid: Grid, shape: Shape, network: Network | None = None) -> Array:
    """Read the kind LINEAR, or CAUSAL, for which there is a network."""
    n, n_values = shape[0], math.prod(shape[1:])
    n_weights, n_lanes, n_words, n_escapes, n_exceptions, raw = struct.unpack("<5IB3x", take(data, 0, 24))
    require(1 <= n_lanes <= 4096 and n_words <= n * n_values and raw <= 56, "a residual breaks the limits")
    require(n_lanes >= n or n_values * -(-n // n_lanes) <= 1 << 20, "a residual has too few lanes")
    require(n_values <= 1 << 22 and grid.step << raw <= 1 << 58, "a residual breaks the limits")
    n_low = -(-n * raw // 8)
    lengths = [24, n_weights, 4 * n_lanes, 2 * n_words, n_escapes, n_values * n_low, n_exceptions]
    _, weights, states, words, escapes, low, exceptions, behind = cut(data, lengths)
    require(not behind, "the lengths in a residual do not add up")
    order = np.arange(n_values) if network is None else network.order
    anchors = np.zeros((n_values, n), np.int64)
    if restored is not None:
        anchors = grid.units(np.ascontiguousarray(restored.reshape(n, -1).T[order]))
    predictor: Predictor | NetworkPredictor
    if network is None:
        predictor = Predictor(weights, grid, raw, anchors, shape[1:], has_code=restored is not None)
    else:
        require(not weights, "a residual has weights that nothing is to be done with")
        predictor = NetworkPredictor(network, grid, raw, anchors, has_code=restored is not None)
    message = Message(np.frombuffer(states, "<u4"), np.frombuffer(words, "<u2"), escapes)
    units = decode_units(predictor, message, [low[at : at + n_low] for at in range(0, len(low), n_low)] if raw else [])
    values = grid.values(units)
    put_exceptions(exceptions, values)
    records = np.empty((n, n_values), values.dtype)
    records[:, order] = values.T
    return records.reshape(shape)


def from_groups(
    data: bytes, restored: Array | None, grid: Grid, shape: Shape, network: Network, group_records: int
) -> Array:
    """Read the kinds whose groups of records are messages of their own."""
    n, n_values = shape[0], math.prod(shape[1:])
    require(n_values <= 1 << 22 and n_values * min(n, group_records) <= 1 << 20, "a group has too many values")
    width, parts = struct.unpack("<BB2x", take(data, 0, 4))
    require(width in (1, 2, 4) and parts <= 3, "the lengths of groups are of no known kind")
    n_groups, at = -(-n // group_records), 4
    lengths = []
    for is_there in (True, bool(parts & 1), bool(parts & 2)):
        column = take(data, at, width * n_groups) if is_there else bytes(width * n_groups)
        lengths.append([int.from_bytes(column[i : i + width], "little") for i in range(0, len(column), width)])
        at += width * n_groups * is_there
    found = []
    for group, (n_words, n_escapes, n_exceptions) in enumerate(zip(*lengths, strict=True)):
        chosen = slice(group * group_records, min(n, (group + 1) * group_records))
        size = chosen.stop - chosen.start
        require(n_words <= group_records * n_values, "a group has too many words")
        anchors = np.zeros((n_values, size), np.int64)
        if restored is not None:
            anchors = grid.units(np.ascontiguousarray(restored[chosen].reshape(size, -1).T[network.order]))
        body = take(data, at, 4 + 2 * n_words + n_escapes + n_exceptions)
        state, words, escapes, exceptions, _ = cut(body, [4, 2 * n_words, n_escapes, n_exceptions])
        message = Message(np.frombuffer(state, "<u4"), np.frombuffer(words, "<u2"), escapes)
        predictor = NetworkPredictor(network, grid, 0, anchors, has_code=restored is not None)
        values = grid.values(decode_units(predictor, message, []))
        put_exceptions(exceptions, values)
        records = np.empty((size, n_values), values.dtype)
        records[:, network.order] = values.T
        found.append(records)
        at += len(body)
    require(at == len(data), "the lengths of groups do not add up")
    return np.concatenate(found).reshape(shape)


def decode_units(predictor: Predictor | NetworkPredictor, message: Message, low: list[bytes]) -> Array:
    """Decode y, position by position."""
    n_values, n = predictor.anchors.shape
    grid, raw = predictor.grid, predictor.raw
    coder = MixtureDecoder(message)
    escapes = np.zeros(0, "<i8")
    if message.escapes:
        inflated = inflate(message.escapes, 8 * n * n_values)
        require(inflated and len(inflated) % 8 == 0, "escapes are cut off")
        escapes = np.frombuffer(inflated, "<i8")
    used = 0
    for position in range(n_values):
        mixture = predictor.predict(position)
        places = coder.block(mixture)
        k = mixture.lows + places
        (escaped,) = np.nonzero(places == mixture.window - 1)
        require(used + len(escaped) <= len(escapes), "there are too few escapes")
        k[escaped] = escapes[used : used + len(escaped)]
        used += len(escaped)
        q = (k << raw) + (low_bits(low[position], n, raw) if raw else 0)
        predictor.see(position, np.clip(predictor.anchors[position] + grid.step * q, grid.lowest, grid.highest))
    coder.finish()
    require(used == len(escapes), "there are too many escapes")
    return predictor.y


def low_bits(data: bytes, n: int, raw: int) -> Array:
    """Read n numbers of `raw` bits, the highest first."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))[: n * raw].reshape(n, raw).astype(np.int64)
    numbers: Array = bits @ (1 << np.arange(raw, dtype=np.int64)[::-1])
    return numbers


def put_exceptions(data: bytes, values: Array) -> None:
    """Replace the exceptions, in place."""
    if not data:
        return
    each = 4 + values.itemsize
    inflated = inflate(data, each * values.size)
    m, left = divmod(len(inflated), each)
    require(m > 0 and left == 0, "exceptions are cut off")
    gaps = np.frombuffer(inflated, "<u4", m).astype(np.int64)
    places = np.cumsum(gaps)
    require(np.all(gaps[1:] > 0) and places[-1] < values.size, "exceptions are where there are no values")
    values.reshape(-1)[places] = np.frombuffer(inflated, values.dtype, m, 4 * m)


class Pattern(NamedTuple):
    """The neighbours of some positions, as what to add to a position, in their order."""

    before: list[int]
    after: list[int]


def find_patterns(shape: Shape) -> tuple[list[Pattern], list[int]]:
    """Find the patterns of a record's shape, and which of them each position has."""
    axes = [length for length in shape if length > 1] or [1]
    if len(axes) > 3:
        axes = [math.prod(axes[:-2]), *axes[-2:]]
    near = sorted(offsets(len(axes)), key=lambda offset: (sum(map(abs, offset)), *reversed(offset)))
    strides = [math.prod(axes[axis + 1 :]) for axis in range(len(axes))]
    numbers: dict[tuple[Shape, ...], int] = {}
    patterns, number_of = [], []
    for position in itertools.product(*(range(length) for length in axes)):
        there = tuple(
            offset
            for offset in near
            if all(0 <= at + by < length for at, by, length in zip(position, offset, axes, strict=True))
        )
        if there not in numbers:
            numbers[there] = len(numbers)
            deltas = [sum(by * stride for by, stride in zip(offset, strides, strict=True)) for offset in there]
            patterns.append(Pattern([d for d in deltas if d < 0], [d for d in deltas if d > 0]))
        number_of.append(numbers[there])
    return patterns, number_of


def offsets(n_axes: int) -> list[Shape]:
    """Give the offsets of all neighbours."""
    found = [offset for offset in itertools.product((-1, 0, 1), repeat=n_axes) if any(offset)]
    for axis in range(n_axes):
        for far in range(2, (8 if n_axes == 1 else 2) + 1):
            found.append(tuple(-far if other == axis else 0 for other in range(n_axes)))
    return found


def between(low: int, numbers: Array, high: int) -> None:
    """Move numbers into a range, in place; quicker than np.clip where they are few."""
    np.maximum(numbers, low, out=numbers)
    np.minimum(numbers, high, out=numbers)


class Mixture(NamedTuple):
    """What is expected of a position: weights, scales and means (K, n), and lows (n,)."""

    weights: Array
    scales: Array
    means: Array
    lows: Array
    window: int

    def starts(self) -> Array:
        """Compute F(0) … F(A), (A + 1, n)."""
        j = np.arange(self.window + 1)[:, None]
        mass = np.zeros((self.window + 1, len(self.lows)), np.int64)
        for weight, scale, mean in zip(self.weights, self.scales, self.means, strict=True):
            d = 16 * j + (16 * self.lows - 8 - mean)
            between(-(1 << 24), d, 1 << 24)
            d *= SLOPE[scale]
            d >>= 16
            between(-2048, d, 2048)
            d += 2048
            mass += weight * SIGMOID.take(d)
        sums: Array = j + (((65536 - self.window) * mass) >> 31)
        sums[0], sums[-2], sums[-1] = 0, 65535, 65536
        return sums


class MixtureDecoder:
    """Takes a message apart whose entries have mixtures instead of tables."""

    def __init__(self, message: Message) -> None:
        self.states: list[int] = message.states.tolist()
        self.words: list[int] = message.words.tolist()
        self.position = 0
        require(min(self.states) >= 1 << 16, "a state is too small")

    def block(self, mixture: Mixture) -> Array:
        """Decode a position of all records, one after the other."""
        places = np.empty(len(mixture.lows), np.int64)
        for record, starts in enumerate(np.ascontiguousarray(mixture.starts().T)):
            lane = record % len(self.states)
            x = self.states[lane]
            slot = x & 0xFFFF
            place = int(starts.searchsorted(slot, side="right")) - 1
            c, end = starts[place : place + 2].tolist()
            x = (end - c) * (x >> 16) + slot - c
            if x < 1 << 16:
                require(self.position < len(self.words), "a message calls for a word past its last")
                x = (x << 16) + self.words[self.position]
                self.position += 1
            self.states[lane], places[record] = x, place
        return places

    def finish(self) -> None:
        """Check that the message ended as messages do."""
        ended = all(state == 1 << 16 for state in self.states) and self.position == len(self.words)
        require(ended, "a message does not end well")


class Predictor:
    """Says what to expect of each position, from what is known of its neighbours."""

    def __init__(self, weights: bytes, grid: Grid, raw: int, anchors: Array, shape: Shape, *, has_code: bool) -> None:
        self.grid, self.raw, self.anchors, self.has_code = grid, raw, anchors, has_code
        self.coarse = grid.step << raw
        self.y, self.errors = np.zeros_like(anchors), np.zeros_like(anchors)
        self.patterns, self.number_of = find_patterns(shape)
        n_inputs = [len(p.before) + (1 + len(p.before) + len(p.after) if has_code else 0) for p in self.patterns]
        length = 193 + 8 * sum(n + 1 for n in n_inputs)
        inflated = inflate(weights, length)
        require(len(inflated) == length and inflated[0] < len(WINDOWS), "weights are of another length")
        self.window = WINDOWS[inflated[0]]
        self.scales = np.frombuffer(inflated, np.uint8, 96, 1).astype(np.int64)
        kinds = np.frombuffer(inflated, np.uint8, 96, 97).astype(np.int64)
        require(np.all(self.scales <= 63) and np.all(kinds <= 7), "a bin is not as it should be")
        self.shares, self.spreads = np.array(SHARES)[kinds % 4], np.array(SPREADS)[kinds // 4]
        numbers = np.frombuffer(inflated, "<i8", -1, 193).astype(np.int64)
        require(np.all((numbers >= -(1 << 62)) & (numbers <= 1 << 62)), "a weight is too large")
        self.weights = np.split(numbers, np.cumsum([n + 1 for n in n_inputs])[:-1])

    def predict(self, position: int) -> Mixture:
        """Give the mixture for a position of all records."""
        number = self.number_of[position]
        pattern, weights = self.patterns[number], self.weights[number]
        self.prediction = self.linear(position, pattern, weights)
        half = (self.coarse - self.grid.step) // 2
        mean = self.sixteenths(self.prediction - self.anchors[position] - half)
        bins = self.bins(position, pattern)
        scales, shares = self.scales[bins], self.shares[bins]
        return Mixture(
            weights=np.stack([32768 - shares, shares]),
            scales=np.stack([scales, np.minimum(scales + self.spreads[bins], 63)]),
            means=np.stack([mean, mean]),
            lows=((mean + 8) >> 4) - self.window // 2,
            window=self.window,
        )

    def linear(self, position: int, pattern: Pattern, weights: Array) -> Array:
        """Predict y from the inputs."""
        inputs = [self.y[position + by] for by in pattern.before]
        if self.has_code:
            around = [self.anchors[position + by] for by in (*pattern.before, *pattern.after)]
            inputs = [self.anchors[position], *inputs, *around]
        first = inputs[0] if inputs else np.zeros_like(self.anchors[position])
        total = np.full_like(first, weights[-1])
        for c, x in zip(weights[1:-1], inputs[1:], strict=True):
            total += c * (x - first)
        predicted: Array = np.clip((total >> 16) + first, self.grid.lowest, self.grid.highest)
        return predicted

    def bins(self, position: int, pattern: Pattern) -> Array:
        """Find the bin of the errors nearby."""
        near = [self.errors[position + by] for by in pattern.before[:6]]
        counts = [2, 2, 1, 1, 1, 1][: len(near)]
        activity = sum((c * e for c, e in zip(counts, near, strict=True)), np.zeros_like(self.anchors[position]))
        found = []
        for a in (activity // max(1, sum(counts))).tolist():
            digits = f"{a:b}" if a else ""
            found.append(2 * len(digits) - (not digits.startswith("11")) if a else 0)
        return np.array(found)

    def sixteenths(self, distances: Array) -> Array:
        """Compute S(d), in Python's whole numbers, which have no limit."""
        limit = 1 << 60
        return np.array([max(-limit, min(limit, 16 * d // self.coarse)) for d in distances.tolist()], np.int64)

    def see(self, position: int, y: Array) -> None:
        """Take note of the units of a position."""
        self.y[position] = y
        self.errors[position] = np.minimum(np.abs(self.sixteenths(y - self.prediction)), 1 << 46)


class Network:
    """A model's network of residuals: says what to expect of a value, given those before it in the image."""

    def __init__(self, settings: dict[str, Any], tensors: Tensors, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.lowest = whole(settings.get("lowest"), -(1 << 31), 1 << 31, "lowest")
        self.highest = whole(settings.get("highest"), self.lowest + 1, self.lowest + 65535, "highest")
        self.reach = whole(settings.get("reach"), 1, 16, "reach")
        require(dtype.name in ("bool", "uint8", "uint16") and len(shape) in (2, 3), "records are no images")
        order = np.arange(math.prod(shape)).reshape(*shape, *[1] * (3 - len(shape)))
        self.images = np.moveaxis(order, 0, 2) if order.shape[2] > 4 else order
        self.order = self.images.ravel()
        height, width, self.channels = self.images.shape
        require(self.channels <= 4, "records have too many channels")
        self.read_tensors(tensors, height, width)
        most = 1 if dtype.name == "bool" else np.iinfo(dtype).max
        require(self.levels is None or self.levels[-1] <= most, "a level is no value of a record")
        self.check_bounds()
        require(self.golden() == settings.get("golden"), "the network of residuals has another hash")

    def read_tensors(self, tensors: Tensors, height: int, width: int) -> None:
        """Take the weights out of the model."""
        c, n = self.channels, 2 * self.reach * (self.reach + 1) * self.channels + self.channels - 1
        weights_1 = tensor(tensors, "causal.weights_1", "int16", c, n, None)
        h = weights_1.shape[2]
        weights_3 = tensor(tensors, "causal.weights_3", "int16", c, h, None)
        self.k, left = divmod(weights_3.shape[2], 3)
        require(1 <= h <= 1024 and 1 <= self.k <= 16 and left == 0, "the network has too many units, or none")
        weights_2 = tensor(tensors, "causal.weights_2", "int16", c, h, h)
        self.weights = [weights.astype(np.int64) for weights in (weights_1, weights_2, weights_3)]
        self.rows = tensor(tensors, "causal.rows", "int64", c, height, h)
        self.columns = tensor(tensors, "causal.columns", "int64", c, width, h)
        self.biases_2 = tensor(tensors, "causal.biases_2", "int64", c, h)
        self.biases_3 = tensor(tensors, "causal.biases_3", "int64", c, 3 * self.k)
        self.shifts = tensor(tensors, "causal.shifts", "int64", 5).tolist()
        self.levels: Array | None = None
        if "causal.levels" in tensors:
            self.levels = tensor(tensors, "causal.levels", "int64", self.highest + 1)
            is_rising = bool((np.diff(self.levels) > 0).all())
            require(is_rising and self.lowest == 0 <= self.levels[0] <= self.levels[-1] <= 65535, "levels do not rise")
        require(all(0 <= shift <= 52 for shift in self.shifts), "a shift is out of range")
        size = len(self.order)
        require(size * n <= 1 << 24 and size * h * (n + h + 3 * self.k) <= 1 << 36, "the network takes too much work")

    def check_bounds(self) -> None:
        """Refuse a network in which a sum could reach 2^53; in Python's whole numbers, which have no limit."""

        def largest(biases: Array, axis: int) -> Array:
            magnitudes: Array = abs(biases.astype(object)).max(axis=axis)
            return magnitudes

        sums = [np.abs(weights).sum(axis=1) for weights in self.weights]
        bounds = (
            largest(self.rows, 1) + largest(self.columns, 1) + 65535 * sums[0],
            largest(self.biases_2[:, None], 1) + 32767 * sums[1],
            largest(self.biases_3[:, None], 1) + 32767 * sums[2],
        )
        require(all(bound < EXACT for layer in bounds for bound in layer.flat), "the network's numbers are too large")

    def say(self, y: Array, position: int) -> tuple[Array, Array, Array]:
        """Give weights, means M and scales E, (K, n), of a position, from all y (V, n) before it."""
        height, width, channels = self.images.shape
        place, c = divmod(position, channels)
        i, j = divmod(place, width)
        seen = [(i - d, j + s) for d in range(self.reach, 0, -1) for s in range(-self.reach, self.reach + 1)]
        seen += [(i, j - s) for s in range(self.reach, 0, -1)]
        inputs = [(row, column, channel) for row, column in seen for channel in range(channels)]
        inputs += [(i, j, channel) for channel in range(channels - 1)]
        told = np.clip(y[:position] - self.lowest, 0, 65535)
        x = np.zeros((y.shape[1], len(inputs)), np.int64)
        for number, (row, column, channel) in enumerate(inputs):
            at = (row * width + column) * channels + channel
            if 0 <= row < height and 0 <= column < width and at < position:
                x[:, number] = told[at]
        e = self.rows[c, i] + self.columns[c, j] + x @ self.weights[0][c]
        a = np.clip(e >> self.shifts[0], 0, 32767)
        b = np.clip((self.biases_2[c] + a @ self.weights[1][c]) >> self.shifts[1], 0, 32767)
        o = (self.biases_3[c] + b @ self.weights[2][c]).T
        logits, means, scales = (
            o[at * self.k : (at + 1) * self.k] >> shift for at, shift in enumerate(self.shifts[2:])
        )
        return weights_of(logits), means, scales

    def golden(self) -> str:
        """Hash what the network says of two records that are made up."""
        size = len(self.order)
        numbers = (2 * np.arange(size)[:, None] + np.arange(2)) * 40503 % (self.highest - self.lowest + 1)
        digest = hashlib.sha256()
        for position in range(min(size, 256)):
            weights, means, scales = self.say(self.lowest + numbers, position)
            for told in (weights, means + 16 * self.lowest, np.clip(scales, 0, 63)):
                digest.update(told.astype("<i8").tobytes())
        return digest.hexdigest()


def weights_of(logits: Array) -> Array:
    """Give the weights (K, n) of components with these logits."""
    parts = EXP[np.minimum(logits.max(axis=0) - logits, 511)]
    weights: Array = (parts << 15) // parts.sum(axis=0)
    first = logits.argmax(axis=0)
    weights[first, np.arange(len(first))] += 32768 - weights.sum(axis=0)
    return weights


class NetworkPredictor:
    """Says what to expect of each position, by the model's network."""

    def __init__(self, network: Network, grid: Grid, raw: int, anchors: Array, *, has_code: bool) -> None:
        self.network, self.grid, self.raw, self.anchors = network, grid, raw, anchors
        self.coarse = grid.step << raw
        self.y = np.zeros_like(anchors)
        places = self.in_steps(grid.highest) - self.in_steps(grid.lowest) + 2 + (has_code and grid.step > 1)
        self.window, self.holds_all = min(places, 4096), places <= 4096

    def in_steps(self, distance: Any) -> Any:
        """Compute C(d)."""
        return (distance + self.grid.step // 2) // self.grid.step >> self.raw

    def predict(self, position: int) -> Mixture:
        """Give the mixture for a position of all records."""
        weights, means, scales = self.network.say(self.y, position)
        middle = self.anchors[position] + (self.coarse - self.grid.step) // 2
        means = (means - 16 * (middle - self.network.lowest)) // self.coarse
        if self.holds_all:
            lows = self.in_steps(self.grid.lowest - self.anchors[position])
        else:
            main = means[weights.argmax(axis=0), np.arange(weights.shape[1])]
            lows = ((main + 8) >> 4) - self.window // 2
        digits = (self.coarse**8).bit_length() // 2
        return Mixture(weights, np.clip(scales - digits, 0, 63), means, lows, self.window)

    def see(self, position: int, y: Array) -> None:
        """Take note of the units of a position."""
        self.y[position] = y


# Tiling


def join_tiles(tiles: Array, tiling: Tiling) -> Array:
    """Make images of their tiles."""
    images = np.empty((len(tiles) // tiling.per_image, *tiling.image_shape), tiles.dtype)
    for number in range(len(images)):
        own = tiles[number * tiling.per_image : (number + 1) * tiling.per_image]
        in_front = np.moveaxis(images[number], tiling.axes, (0, 1))  # a view: what is written here is in `images`
        in_front[...] = (blend if tiling.overlap else lay)(
            [np.moveaxis(tile, tiling.axes, (0, 1)) for tile in own], tiling
        )
    return images


def places(tiling: Tiling, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Give the pixels that each tile covers, row by row; a slice may reach beyond the image."""
    for i in range(tiling.rows):
        for j in range(tiling.columns):
            y, x = i * (height - tiling.overlap), j * (width - tiling.overlap)
            yield slice(y, y + height), slice(x, x + width)


def canvas(tiles: list[Array], tiling: Tiling, dtype: npt.DTypeLike) -> Array:
    """Give an image of zeros, height and width in front."""
    height, width = (tiling.image_shape[axis] for axis in tiling.axes)
    return np.zeros((height, width, *tiles[0].shape[2:]), dtype)


def lay(tiles: list[Array], tiling: Tiling) -> Array:
    """Lay tiles side by side."""
    image = canvas(tiles, tiling, tiles[0].dtype)
    for tile, (rows, columns) in zip(tiles, places(tiling, *tiles[0].shape[:2]), strict=True):
        part = image[rows, columns]
        part[...] = tile[: part.shape[0], : part.shape[1]]
    return image


def blend(tiles: list[Array], tiling: Tiling) -> Array:
    """Take the weighted mean where tiles overlap, in whole numbers where the type allows it."""
    dtype = tiles[0].dtype
    exact = dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize <= 4)
    number = np.int64 if exact else np.float64
    total, weight = canvas(tiles, tiling, number), canvas(tiles, tiling, number)
    down, along = (ramp(length, tiling.overlap) for length in tiles[0].shape[:2])
    weights = np.multiply.outer(down, along).astype(number).reshape(len(down), len(along), *[1] * (total.ndim - 2))
    small = canvas(tiles, tiling, np.float64)  # the same sums of values times 2^-64
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for tile, (rows, columns) in zip(tiles, places(tiling, *tiles[0].shape[:2]), strict=True):
            height, width = total[rows, columns].shape[:2]
            total[rows, columns] += (weights * tile.astype(number))[:height, :width]
            small[rows, columns] += (weights * (tile.astype(np.float64) * 2.0**-64))[:height, :width]
            weight[rows, columns] += weights[:height, :width]
        if exact:
            return (2 * total + weight) // (2 * weight)
        return to_dtype(np.where(np.isfinite(total), total / weight, small / weight * 2.0**64), dtype)


def ramp(length: int, overlap: int) -> Array:
    """Give the weights of a tile along one axis: r(y, h) = min(y + 1, h − y, o)."""
    y = np.arange(length)
    return np.minimum(np.minimum(y + 1, length - y), overlap)


# Entropy coding: tables


class Tables:
    """Frequency tables, their entries numbered through: those of table t are first[t] … first[t] + sizes[t].

    The last of a table is its escape. As each table sums to 2^P, the running sum of all frequencies is t · 2^P + c for
    an entry of table t that starts at c.
    """

    def __init__(self, settings: dict[str, Any], tensors: Tensors, prefix: str) -> None:
        self.precision = whole(settings.get("precision"), 8, 15, "precision")
        self.lows = tensor(tensors, prefix + "lows", "int32", None).astype(np.int64)
        self.sizes = tensor(tensors, prefix + "sizes", "int32", len(self.lows)).astype(np.int64)
        total = 1 << self.precision
        require(len(self.lows) > 0 and np.all((self.sizes >= 1) & (self.sizes <= total)), "tables have other sizes")
        require(np.all((self.lows >= -65536) & (self.lows + self.sizes <= 65537)), "tables have values beyond 65536")
        self.frequencies = tensor(tensors, prefix + "frequencies", "uint16", None).astype(np.int64)
        require(len(self.frequencies) == np.sum(self.sizes + 1), "there are more or fewer frequencies than entries")
        self.first = np.cumsum(self.sizes + 1) - (self.sizes + 1)
        require(np.all(np.add.reduceat(self.frequencies, self.first) == total), "frequencies do not sum to 2^P")
        may_be_zero = np.zeros(len(self.frequencies), bool)
        may_be_zero[(self.first + 1)[self.sizes == 1]] = True
        require(np.all(may_be_zero | (self.frequencies > 0)), "a frequency is zero")
        self.starts = np.cumsum(self.frequencies) - self.frequencies

    def __len__(self) -> int:
        return len(self.lows)

    def find(self, numbers: Array, slots: Array) -> Array:
        """Give the entry that each slot of each table is in."""
        found: Array = np.searchsorted(self.starts, (numbers << self.precision) + slots, side="right") - 1
        return found

    def start(self, numbers: Array, entries: Array) -> Array:
        """Give the sum of the frequencies before each entry in its table."""
        return self.starts[entries] - (numbers << self.precision)


# Entropy coding: rANS


class Decoder:
    """Takes a message apart, block by block."""

    def __init__(self, tables: Tables, message: Message) -> None:
        self.tables = tables
        self.states = message.states.astype(np.int64)
        self.words = message.words.astype(np.int64)
        self.position = 0
        self.escapes = parse_escapes(message.escapes)
        self.escape = 0
        require(np.all(self.states >= 1 << 16), "a state is too small")

    def code(self, _symbol: int, numbers: Array, offsets: Array) -> Array:
        """Decode one block: a symbol of each record, with the tables of the given numbers."""
        lanes = len(self.states)
        rows = [self.row(numbers[i : i + lanes]) for i in range(0, len(numbers), lanes)]
        inside = np.concatenate([np.zeros(0, np.int64), *rows]) - self.tables.first[numbers]
        values: Array = self.tables.lows[numbers] + inside + offsets
        escaped = inside == self.tables.sizes[numbers]
        end = self.escape + int(np.count_nonzero(escaped))
        require(end <= len(self.escapes), "there are too few escapes")
        values[escaped] = self.escapes[self.escape : end]
        self.escape = end
        require(np.all(np.abs(values) <= 32767), "a symbol is beyond 32767")
        return values

    def row(self, numbers: Array) -> Array:
        """Decode one entry in each of the first lanes."""
        precision = self.tables.precision
        x = self.states[: len(numbers)]
        slots = x & ((1 << precision) - 1)
        entries = self.tables.find(numbers, slots)
        x = self.tables.frequencies[entries] * (x >> precision) + slots - self.tables.start(numbers, entries)
        low = np.flatnonzero(x < 1 << 16)
        words = self.words[self.position : self.position + len(low)]
        require(len(words) == len(low), "a message calls for a word past its last")
        x[low] = (x[low] << 16) + words
        self.position += len(low)
        self.states[: len(numbers)] = x
        return entries

    def finish(self) -> None:
        """Check that the message ended as messages do."""
        require(np.all(self.states == 1 << 16) and self.position == len(self.words), "a message does not end well")
        require(self.escape == len(self.escapes), "there are too many escapes")


class Encoder:
    """Collects the entries that stand for known symbols, to make a message of them at last."""

    def __init__(self, tables: Tables, symbols: Array) -> None:
        self.tables = tables
        self.symbols = symbols
        self.blocks: list[tuple[list[int], list[int]]] = []
        self.escapes = bytearray()

    def code(self, symbol: int, numbers: Array, offsets: Array) -> Array:
        """Note down one block: frequency and start of each record's entry."""
        values = self.symbols[:, symbol]
        sizes, first = self.tables.sizes[numbers], self.tables.first[numbers]
        inside = values - offsets - self.tables.lows[numbers]
        escaped = (inside < 0) | (inside >= sizes)
        entries = first + np.where(escaped, sizes, inside)
        frequencies = self.tables.frequencies[entries]
        require(np.all(frequencies > 0), "a constant table cannot code this symbol")
        self.blocks.append((frequencies.tolist(), self.tables.start(numbers, entries).tolist()))
        for value in values[escaped].tolist():
            self.escapes += format_escape(value)
        return values

    def message(self, n_lanes: int) -> Message:
        """Encode what was noted down, backwards."""
        precision = self.tables.precision
        states, words = [1 << 16] * n_lanes, []
        for frequencies, starts in reversed(self.blocks):
            for record in range(len(frequencies) - 1, -1, -1):
                x, f, c = states[record % n_lanes], frequencies[record], starts[record]
                if x >= f << (32 - precision):
                    words.append(x & 0xFFFF)
                    x >>= 16
                states[record % n_lanes] = ((x // f) << precision) + x % f + c
        return Message(np.array(states, "<u4"), np.array(words[::-1], "<u2"), bytes(self.escapes))


def decode(entropy: EntropyModel, message: Message, n: int) -> Array:
    """Decode the symbols of n records, (n, D)."""
    decoder = Decoder(entropy.tables, message)
    symbols = entropy.walk(n, decoder.code)
    decoder.finish()
    return symbols


def encode(entropy: EntropyModel, symbols: Array, n_lanes: int) -> Message:
    """Encode the symbols of records."""
    encoder = Encoder(entropy.tables, symbols)
    entropy.walk(len(symbols), encoder.code)
    return encoder.message(n_lanes)


def parse_escapes(data: bytes) -> Array:
    """Read escaped symbols."""
    values = []
    number = digits = 0
    for byte in data:
        number |= (byte & 127) << (7 * digits)
        digits += 1
        require(digits <= 3, "an escape has too many digits")
        if byte < 128:
            require(byte != 0 or digits == 1, "an escape has more digits than it needs")
            require(number <= 65534, "an escape is beyond 32767")
            values.append(-(number // 2) - 1 if number % 2 else number // 2)
            number = digits = 0
    require(digits == 0, "escapes are cut off")
    return np.array(values, np.int64)


def format_escape(value: int) -> bytes:
    """Write an escaped symbol."""
    number = 2 * value if value >= 0 else -2 * value - 1
    digits = bytearray()
    while number >= 128:
        digits.append(128 | (number & 127))
        number >>= 7
    return bytes([*digits, number])


# Entropy coding: models. `code(symbol, tables, offsets)` decodes one symbol of every record, or takes a known one


Code = Callable[[int, Array, Array], Array]


class Independent:
    """Table d codes symbol d."""

    def __init__(self, settings: dict[str, Any], tensors: Tensors, prefix: str, n_symbols: int) -> None:
        self.tables = Tables(settings, tensors, prefix)
        require(len(self.tables) == n_symbols, "there is not one table for each symbol")

    def walk(self, n: int, code: Code) -> Array:
        """Go through the symbols of n records in the order of coding; return them, (n, D)."""
        symbols = np.zeros((n, len(self.tables)), np.int64)
        for d in range(len(self.tables)):
            symbols[:, d] = code(d, np.full(n, d), np.zeros(n, np.int64))
        return symbols


class Autoregressive:
    """A small network chooses each symbol's table, from the symbols coded before."""

    def __init__(self, settings: dict[str, Any], tensors: Tensors, prefix: str, n_symbols: int) -> None:
        self.tables = Tables(settings, tensors, prefix)
        self.grid = wholes(settings.get("grid"), 1, 32768, "grid", range(2, 3))
        self.shifts = wholes(settings.get("shifts"), 0, 52, "shifts", range(2, 3))
        self.n_scales = whole(settings.get("n_scales"), 1, 4096, "n_scales")
        self.n_phases = whole(settings.get("n_phases"), 1, 4096 // self.n_scales, "n_phases")
        require(self.n_phases & (self.n_phases - 1) == 0, "n_phases is not a power of two")
        places = math.prod(self.grid)
        require(n_symbols % places == 0, "the grid does not divide the symbols")
        self.channels = n_symbols // places
        self.read_tensors(tensors, prefix, places)
        self.check_bounds()

    def read_tensors(self, tensors: Tensors, prefix: str, places: int) -> None:
        """Take the network's weights out of the model."""
        channels = self.channels
        self.weights_in = tensor(tensors, prefix + "weights_in", "int16", channels, None).astype(np.int64)
        hidden = self.weights_in.shape[1]
        n_near = 0 if places == 1 else 4
        near = tensor(tensors, prefix + "weights_near", "int16", n_near * channels, hidden)
        self.weights_near = near.astype(np.int64).reshape(n_near, channels, hidden)
        self.biases = tensor(tensors, prefix + "biases", "int64", places, hidden)
        weights_out = tensor(tensors, prefix + "weights_out", "int16", channels, 2, hidden)
        self.weights_out = weights_out.astype(np.int64)
        self.biases_out = tensor(tensors, prefix + "biases_out", "int64", places, channels, 2)
        numbers = tensor(tensors, prefix + "table_numbers", "uint16", self.n_scales * self.n_phases)
        self.table_numbers = numbers.astype(np.int64)
        require(np.all(self.table_numbers < len(self.tables)), "a table is named that there is not")
        require(len(self.tables) << self.tables.precision <= 1 << 22, "there are too many tables")

    def check_bounds(self) -> None:
        """Refuse a network in which a number could reach 2^53; in Python's whole numbers, which have no limit."""

        def magnitude(array: Array) -> Array:
            whole_numbers: Array = array.astype(object)
            return abs(whole_numbers)

        inputs = np.concatenate([self.weights_in, *self.weights_near])
        hidden = magnitude(self.biases).max(axis=0) + 127 * magnitude(inputs).sum(axis=0)
        outputs = (magnitude(self.weights_out) * hidden).sum(axis=2) + magnitude(self.biases_out).max(axis=0)
        outputs = outputs + np.array([(1 << shift) // 2 for shift in self.shifts], object)
        require(all(value < EXACT for value in [*hidden.flat, *outputs.flat]), "the network's numbers are too large")

    def walk(self, n: int, code: Code) -> Array:
        """Go through the symbols of n records in the order of coding; return them, (n, D)."""
        height, width = self.grid
        symbols = np.zeros((n, self.channels, height, width), np.int64)
        for place in range(height * width):
            row, column = divmod(place, width)
            e = self.context(symbols, row, column)
            for c in range(self.channels):
                numbers, offsets = self.predict(e, place, c)
                s = code(c * height * width + place, numbers, offsets)
                symbols[:, c, row, column] = s
                e = e + np.clip(s, -127, 127)[:, None] * self.weights_in[c]
        return symbols.reshape(n, -1)

    def context(self, symbols: Array, row: int, column: int) -> Array:
        """Sum up what the neighbours of a place say, (n, H)."""
        height, width = self.grid
        e = np.repeat(self.biases[row * width + column][None], len(symbols), axis=0)
        steps = [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
        for (down, along), weights in zip(steps[: len(self.weights_near)], self.weights_near, strict=True):
            r, c = row + down, column + along
            if 0 <= r < height and 0 <= c < width:
                e = e + np.clip(symbols[:, :, r, c], -127, 127) @ weights
        return e

    def predict(self, e: Array, place: int, channel: int) -> tuple[Array, Array]:
        """Choose the table and the offset of a symbol of each record."""
        o = np.maximum(e, 0) @ self.weights_out[channel].T + self.biases_out[place, channel]
        m = round_shift(o[:, 0], self.shifts[0])
        k = np.clip(round_shift(o[:, 1], self.shifts[1]), 0, self.n_scales - 1)
        offsets = np.clip(m // self.n_phases, -32767, 32767)
        return self.table_numbers[k * self.n_phases + m % self.n_phases], offsets


class Context:
    """The indices to the left and above choose each symbol's table."""

    def __init__(self, settings: dict[str, Any], tensors: Tensors, prefix: str, n_symbols: int) -> None:
        self.tables = Tables(settings, tensors, prefix)
        sizes = (whole(settings.get(name), 1, 32768, name) for name in ("channels", "height", "width"))
        self.channels, self.height, self.width = sizes
        require(self.channels * self.height * self.width == n_symbols, "the maps are not the symbols")
        self.left = tensor(tensors, prefix + "left", "uint16", None).astype(np.int64)
        self.above = tensor(tensors, prefix + "above", "uint16", len(self.left)).astype(np.int64)
        require(2 <= len(self.left) <= 32769, "there are too few or too many classes")
        self.table_numbers = tensor(tensors, prefix + "table_numbers", "uint16", None, None).astype(np.int64)
        n_left, n_above = self.table_numbers.shape
        require(self.left.max() < n_left and self.above.max() < n_above, "a class has no tables")
        require(np.all(self.table_numbers < len(self.tables)), "a table is named that there is not")
        require(len(self.tables) << self.tables.precision <= 1 << 22, "there are too many tables")

    def walk(self, n: int, code: Code) -> Array:
        """Go through the symbols of n records in the order of coding; return them, (n, D)."""
        symbols = np.zeros((n, self.channels, self.height, self.width), np.int64)
        last = len(self.left) - 2
        for d, (c, row, column) in enumerate(np.ndindex(self.channels, self.height, self.width)):
            a = np.full(n, self.left[-1])
            b = np.full(n, self.above[-1])
            if column > 0:
                a = self.left[np.clip(symbols[:, c, row, column - 1], 0, last)]
            if row > 0:
                b = self.above[np.clip(symbols[:, c, row - 1, column], 0, last)]
            symbols[:, c, row, column] = code(d, self.table_numbers[a, b], np.zeros(n, np.int64))
        return symbols.reshape(n, -1)


EntropyModel = Independent | Autoregressive | Context


def build_entropy(settings: dict[str, Any], tensors: Tensors, prefix: str, n_symbols: int) -> EntropyModel:
    """Make an entropy model of its settings and tensors."""
    name = settings.get("name")
    if name == "independent":
        return Independent(settings, tensors, prefix, n_symbols)
    if name == "autoregressive":
        return Autoregressive(settings, tensors, prefix, n_symbols)
    if name == "context":
        return Context(settings, tensors, prefix, n_symbols)
    raise ValueError("the entropy model is of an unknown kind")


# The decoder: operations on records of whole numbers. Each `build_…` checks an operation for records of a shape, and
# returns the shape of its results and the function that computes them, for any number of records


Step = Callable[[Array], Array]
Builder = Callable[["Operation", Shape], tuple[Shape, Step]]


class Operation:
    """An operation as the JSON has it, with its tensors; it knows which of its settings nobody asked for."""

    def __init__(self, settings: dict[str, Any], tensors: Tensors, prefix: str) -> None:
        self.settings, self.tensors, self.prefix = settings, tensors, prefix
        self.unread = set(settings) - {"kind"}
        self.n_weights = self.n_multiplications = 0
        self.n_values_within = self.n_operations_within = 0

    def get(self, key: str) -> object:
        """Look up a setting."""
        self.unread.discard(key)
        return self.settings.get(key)

    def shift(self) -> int:
        """Look up the setting `shift`."""
        return whole(self.get("shift"), 0, 62, "shift")

    def pair(self, key: str, low: int, high: int) -> Shape:
        """Look up a setting of two numbers."""
        return wholes(self.get(key), low, high, key, range(2, 3))

    def tensor(self, key: str, dtype: str, *shape: int | None) -> Array:
        """Look up a tensor, as int64."""
        name = self.get(key)
        require(isinstance(name, str), f"{key} is not the name of a tensor")
        found = tensor(self.tensors, f"{self.prefix}{name}", dtype, *shape)
        require(found.size > 0, f"{key} holds no values")
        self.n_weights += found.size
        return found.astype(np.int64)


def check_sums(weights: Array, biases: Array, shift: int) -> None:
    """Refuse weights, one row for each output, with which a sum could reach 2^53."""
    require(np.all((biases > -EXACT) & (biases < EXACT)), "a bias is too large")
    rows = np.abs(weights).reshape(len(weights), -1).sum(axis=1)
    require(np.all((rows << 15) + np.abs(biases) + ((1 << shift) >> 1) < EXACT), "sums could reach 2^53")


def build_rescale(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Multiply each value by its own number."""
    shift = op.shift()
    multipliers = op.tensor("multipliers", "int32", math.prod(shape))
    check_sums(multipliers, np.zeros_like(multipliers), shift)
    return shape, lambda x: clip16(round_shift(multipliers.reshape(shape) * x, shift))


def build_codebook(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Replace each value by the row of a table that it numbers."""
    table = op.tensor("table", "int16", None, None)
    last = len(table) - 1
    require(last < 1 << 15, "a codebook has too many rows")
    return (*shape, table.shape[1]), lambda x: table[np.clip(x, 0, last)]


def build_dense(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Multiply by a matrix."""
    require(len(shape) == 1, "a dense layer takes one dimension")
    shift = op.shift()
    weights = op.tensor("weights", "int16", None, shape[0])
    biases = op.tensor("biases", "int64", len(weights))
    check_sums(weights, biases, shift)
    op.n_multiplications = weights.size
    return (len(weights),), lambda x: clip16(round_shift(x @ weights.T + biases, shift))


def build_convolution(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Convolve a map."""
    require(len(shape) == 3, "a convolution takes a map")
    h, w, n_in = shape
    shift = op.shift()
    weights = op.tensor("weights", "int16", None, n_in, None, None)
    n_out, _, kh, kw = weights.shape
    biases = op.tensor("biases", "int64", n_out)
    p0, p1 = op.pair("padding", 0, max(kh, kw) - 1)
    require(p0 < kh and p1 < kw, "padding is not smaller than the kernel")
    require((h + 2 * p0) * (w + 2 * p1) * n_in <= 1 << 26, "a map is too large")
    height, width = h + 2 * p0 - kh + 1, w + 2 * p1 - kw + 1
    require(height >= 1 and width >= 1, "a map is smaller than the kernel")
    check_sums(weights, biases, shift)
    op.n_multiplications = max(h, height) * max(w, width) * kh * kw * n_in * max(n_out, 32)

    def step(x: Array) -> Array:
        padded = np.pad(x, ((0, 0), (p0, p0), (p1, p1), (0, 0)))
        sums = np.zeros((len(x), height, width, n_out), np.int64) + biases
        for i in range(kh):
            for j in range(kw):
                sums += padded[:, i : i + height, j : j + width] @ weights[:, :, i, j].T
        return clip16(round_shift(sums, shift))

    return (height, width, n_out), step


def build_transposed(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Convolve a map the other way round: every input adds to the outputs under the kernel."""
    require(len(shape) == 3, "a transposed convolution takes a map")
    h, w, n_in = shape
    shift = op.shift()
    weights = op.tensor("weights", "int16", n_in, None, None, None)
    _, n_out, kh, kw = weights.shape
    biases = op.tensor("biases", "int64", n_out)
    s0, s1 = op.pair("stride", 1, 16)
    p0, p1 = op.pair("padding", 0, max(kh, kw) - 1)
    e0, e1 = op.pair("output_padding", 0, 15)
    require(p0 < kh and p1 < kw, "padding is not smaller than the kernel")
    require(e0 < s0 and e1 < s1, "output_padding is not smaller than the stride")
    require((h + 2 * kh) * (w + 2 * kw) * n_in <= 1 << 26, "a map is too large")
    full_height, full_width = (h - 1) * s0 + kh + e0, (w - 1) * s1 + kw + e1
    height, width = full_height - 2 * p0, full_width - 2 * p1
    require(height >= 1 and width >= 1, "a map becomes smaller than one value")
    check_sums(np.moveaxis(weights, 1, 0), biases, shift)
    op.n_multiplications = max(h, -(-height // s0)) * max(w, -(-width // s1)) * kh * kw * n_in * max(n_out, 32)

    def step(x: Array) -> Array:
        full = np.zeros((len(x), full_height, full_width, n_out), np.int64)
        for i in range(kh):
            for j in range(kw):
                full[:, i : i + h * s0 : s0, j : j + w * s1 : s1][:, :h, :w] += x @ weights[:, :, i, j]
        return clip16(round_shift(full[:, p0 : p0 + height, p1 : p1 + width] + biases, shift))

    return (height, width, n_out), step


def build_lookup(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Apply a function given by points, with straight lines between."""
    table = op.tensor("table", "int16", None)
    k = (len(table) - 1).bit_length() - 1
    require(0 <= k <= 16 and len(table) == (1 << k) + 1, "a lookup table has another length")
    m = 16 - k

    def step(x: Array) -> Array:
        u = x + 32768
        i = u >> m
        return round_shift((table[i] << m) + (table[i + 1] - table[i]) * (u - (i << m)), m)

    return shape, step


def build_rectify(_op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Set what is negative to zero."""
    return shape, lambda x: np.maximum(x, 0)


def build_clip(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Keep values between two limits."""
    low = whole(op.get("low"), -(1 << 15), (1 << 15) - 1, "low")
    high = whole(op.get("high"), low, (1 << 15) - 1, "high")
    return shape, lambda x: np.minimum(np.maximum(x, low), high)


def build_branches(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Add up what several lists of operations make of the same record."""
    lists = op.get("branches")
    if not isinstance(lists, list) or not 2 <= len(lists) <= 8:
        raise ValueError("branches is not a list of 2 to 8")
    shifts = wholes(op.get("shifts"), 0, 32, "shifts", range(len(lists), len(lists) + 1))
    shift = op.shift()
    require(sum(1 << (15 + one) for one in shifts) + ((1 << shift) >> 1) < EXACT, "sums could reach 2^53")
    rows = [build_row(operations, shape, op.tensors, op.prefix, WITHOUT_BRANCHES) for operations in lists]
    require(len({row.shape for row in rows}) == 1, "branches make records of different shapes")
    op.n_weights = sum(row.n_weights for row in rows)
    op.n_multiplications = sum(row.n_multiplications for row in rows)
    op.n_values_within = sum(row.n_values for row in rows)
    op.n_operations_within = sum(row.n_operations for row in rows)

    def step(x: Array) -> Array:
        sums = sum(row.run(x.copy()) << one for row, one in zip(rows, shifts, strict=True))
        return clip16(round_shift(np.asarray(sums), shift))

    return rows[0].shape, step


def build_argmax(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Find the largest value of each segment of the last axis."""
    lengths = op.tensor("lengths", "int32", None)
    require(lengths.min() >= 1 and lengths.max() <= 1 << 15, "a segment is empty or too long")
    ends = np.cumsum(lengths)
    require(ends[-1] == shape[-1], "the segments are not the last axis")

    def step(x: Array) -> Array:
        segments = np.split(x, ends[:-1], axis=-1)
        return np.stack([one[..., 0] if one.shape[-1] == 1 else one.argmax(axis=-1) for one in segments], axis=-1)

    return (*shape[:-1], len(lengths)), step


def build_reshape(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Give the same values another shape."""
    new = wholes(op.get("shape"), 1, 1 << 26, "shape")
    require(math.prod(new) == math.prod(shape), "a reshape changes the number of values")
    return new, lambda x: x.reshape(-1, *new)


def build_transpose(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Permute the axes."""
    axes = wholes(op.get("axes"), 0, len(shape) - 1, "axes")
    require(sorted(axes) == list(range(len(shape))), "axes are no permutation")
    return tuple(shape[axis] for axis in axes), lambda x: x.transpose(0, *(axis + 1 for axis in axes))


def build_upsample(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Enlarge a map by repeating values."""
    require(len(shape) == 3, "upsample takes a map")
    height, width = op.pair("size", 1, 1 << 26)
    rows = np.arange(height) * shape[0] // height
    columns = np.arange(width) * shape[1] // width
    return (height, width, shape[2]), lambda x: x[:, rows][:, :, columns]


# Every 1/64 from -8 to 8, in units of 2^-15.
TANH = [min(round(32768 * math.tanh(i / 64)), 32767) for i in range(-512, 513)]


def hyperbolic_tangent(v: Array) -> Array:
    """Look up arguments in units of 2^-16, limited to 20 bits."""
    table = np.array(TANH, np.int64)
    u = np.clip(v, -(1 << 19), (1 << 19) - 1) + (1 << 19)
    i = u >> 10
    return round_shift((table[i] << 10) + (table[i + 1] - table[i]) * (u - (i << 10)), 10)


class Recurrence(NamedTuple):
    """The products and inputs of a recurrent layer of H units."""

    weights: Array
    biases: Array
    weight_scale: int
    input_scale: int

    @property
    def units(self) -> int:
        """H."""
        return self.weights.shape[1]

    def products(self, h: Array, group: int) -> Array:
        """Multiply states by a group of H rows."""
        rows = slice(group * self.units, (group + 1) * self.units)
        return h @ self.weights[rows].T + self.biases[rows]

    def inputs(self, x: Array, group: int) -> Array:
        """Return a group of inputs as they are."""
        return x[:, group * self.units : (group + 1) * self.units]

    def sums(self, x: Array, h: Array, group: int) -> Array:
        """Add inputs and products, in the units of the products."""
        return self.products(h, group) + (self.inputs(x, group) << (self.weight_scale + 15 - self.input_scale))

    def gate(self, x: Array, h: Array, group: int) -> Array:
        """Return a sigmoid in units of 2^-16."""
        return 32768 + hyperbolic_tangent(round_shift(self.sums(x, h, group), self.weight_scale))


def limited(values: Array) -> Array:
    """Limit to 24 bits."""
    return np.clip(values, -(1 << 23), (1 << 23) - 1)


def read_recurrence(op: Operation, shape: Shape, n_gates: int, most_groups: int) -> Recurrence:
    """Check the settings and tensors of a recurrent layer for records of a shape."""
    require(len(shape) == 3 and shape[0] == 1, "a recurrent layer takes a map of height 1")
    weights = op.tensor("weights", "int16", None, None)
    rows, units = weights.shape
    require(rows in [groups * units for groups in range(n_gates, most_groups + 1)], "weights have other groups of rows")
    require(shape[2] == n_gates * units, "a recurrent layer takes as many inputs as it has gates")
    biases = op.tensor("biases", "int64", rows)
    weight_scale = whole(op.get("weight_scale"), 1, 20, "weight_scale")
    input_scale = whole(op.get("input_scale"), 0, min(32, weight_scale + 15), "input_scale")
    require(np.all((biases > -EXACT) & (biases < EXACT)), "a bias is too large")
    largest = (np.abs(weights).sum(axis=1) << 15) + np.abs(biases)
    inputs = 1 << (weight_scale + 30 - input_scale)
    require(int(largest.max()) + inputs + (1 << (weight_scale - 1)) < EXACT, "sums could reach 2^53")
    op.n_multiplications = shape[1] * (weights.size + (1 << 16))
    return Recurrence(weights, biases, weight_scale, input_scale)


def build_gru(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Run a gated recurrent unit over the steps."""
    layer = read_recurrence(op, shape, 3, 4)
    units = layer.units

    def step(x: Array) -> Array:
        h, states = np.zeros((len(x), units), np.int64), []
        for t in range(shape[1]):
            r, u = layer.gate(x[:, 0, t], h, 0), layer.gate(x[:, 0, t], h, 1)
            sums = r * limited(round_shift(layer.products(h, 2), layer.weight_scale - 1))
            sums += layer.inputs(x[:, 0, t], 2) << (32 - layer.input_scale)
            if len(layer.weights) > 3 * units:
                sums += limited(round_shift(layer.products(h, 3), layer.weight_scale - 1)) << 16
            n = hyperbolic_tangent(round_shift(sums, 16))
            h = n + round_shift(u * (h - n), 16)
            states.append(h)
        return np.stack(states, axis=1)[:, None]

    return (1, shape[1], units), step


def build_lstm(op: Operation, shape: Shape) -> tuple[Shape, Step]:
    """Run a long short-term memory over the steps."""
    layer = read_recurrence(op, shape, 4, 4)
    units = layer.units

    def step(x: Array) -> Array:
        h = c = np.zeros((len(x), units), np.int64)
        states = []
        for t in range(shape[1]):
            i, f, o = (layer.gate(x[:, 0, t], h, group) for group in (0, 1, 3))
            g = hyperbolic_tangent(round_shift(layer.sums(x[:, 0, t], h, 2), layer.weight_scale - 1))
            c = limited(round_shift(f * c + 2 * i * g, 16))
            h = round_shift(o * hyperbolic_tangent(c), 16)
            states.append(h)
        return np.stack(states, axis=1)[:, None]

    return (1, shape[1], units), step


WITHOUT_BRANCHES = {
    "rescale": build_rescale,
    "codebook": build_codebook,
    "dense": build_dense,
    "convolution": build_convolution,
    "transposed-convolution": build_transposed,
    "lookup": build_lookup,
    "rectify": build_rectify,
    "clip": build_clip,
    "argmax": build_argmax,
    "reshape": build_reshape,
    "transpose": build_transpose,
    "upsample": build_upsample,
    "gru": build_gru,
    "lstm": build_lstm,
}
BUILDERS = {**WITHOUT_BRANCHES, "branches": build_branches}


RESCALES = (["rescale", "reshape"], ["codebook", "reshape", "transpose", "reshape"])


class Row(NamedTuple):
    """Operations one after the other, checked and ready to run, and what they take."""

    shape: Shape
    steps: list[Step]
    n_operations: int
    n_values: int
    n_weights: int
    n_multiplications: int

    def run(self, x: Array) -> Array:
        """Compute records of whole numbers."""
        for step in self.steps:
            x = step(x)
        return x


class Program(NamedTuple):
    """Operations, checked and ready to run."""

    in_shape: Shape
    out_shape: Shape
    row: Row
    kinds: list[str]
    work: int

    def run(self, x: Array) -> Array:
        """Compute records of whole numbers."""
        return self.row.run(x.reshape(-1, *self.in_shape))


def build_row(operations: object, shape: Shape, tensors: Tensors, prefix: str, builders: dict[str, Builder]) -> Row:
    """Make operations of their JSON, for records of a shape."""
    if not isinstance(operations, list) or len(operations) > 1000:
        raise ValueError("operations is not a list of at most 1000")
    steps = []
    n_operations, n_values, n_weights, n_multiplications = len(operations), math.prod(shape), 0, 0
    for settings in operations:
        op = Operation(as_object(settings, "an operation"), tensors, prefix)
        kind = settings.get("kind")
        if not isinstance(kind, str) or kind not in builders:
            raise ValueError("an operation is of an unknown kind")
        shape, step = builders[kind](op, shape)
        require(not op.unread, "an operation has unknown settings")
        require(math.prod(shape) <= 1 << 26, "a record has too many values")
        steps.append(step)
        n_operations += op.n_operations_within
        n_values += math.prod(shape) + op.n_values_within
        n_weights += op.n_weights
        n_multiplications += op.n_multiplications
    return Row(shape, steps, n_operations, n_values, n_weights, n_multiplications)


def build_program(value: object, tensors: Tensors, prefix: str) -> Program:
    """Make a program of its JSON."""
    program = as_object(value, "a program")
    in_shape = wholes(program.get("in_shape"), 1, 1 << 26, "in_shape")
    require(math.prod(in_shape) <= 1 << 26, "a record has too many values")
    operations = program.get("operations")
    row = build_row(operations, in_shape, tensors, prefix, BUILDERS)
    require(row.n_operations <= 1000, "a program has too many operations")
    require(row.n_values <= 1 << 28 and row.n_weights <= 1 << 27, "a program has too many values or weights")
    work = row.n_multiplications + 64 * row.n_values
    require(work <= 1 << 36, "a program takes too much work")
    kinds = [str(settings["kind"]) for settings in operations] if isinstance(operations, list) else []
    return Program(in_shape, row.shape, row, kinds, work)


# The frozen model


class Quality(NamedTuple):
    """One of a model's qualities."""

    entropy: EntropyModel
    rescale: Program


class Model(NamedTuple):
    """What is needed of a model to restore records."""

    shape: Shape
    dtype: np.dtype[Any]
    n_symbols: int
    decoder: Program | None
    qualities: list[Quality]
    scale: Array
    offset: Array
    network: Network | None


def parse_tensors(blob: bytes) -> tuple[Tensors, dict[str, Any]]:
    """Read a safetensors file: its tensors, and its strings."""
    length = int.from_bytes(take(blob, 0, 8), "little")
    entries = parse_object(take(blob, 8, length))
    strings = as_object(entries.pop("__metadata__", None), "__metadata__")
    data = blob[8 + length :]
    return {name: parse_tensor(as_object(entry, name), data) for name, entry in entries.items()}, strings


def parse_tensor(entry: dict[str, Any], data: bytes) -> Array:
    """Read one tensor."""
    name = entry.get("dtype")
    if not isinstance(name, str) or name not in TENSOR_DTYPES:
        raise ValueError("a tensor is of an unknown type")
    dtype = np.dtype(TENSOR_DTYPES[name])
    shape = wholes(entry.get("shape"), 0, 1 << 30, "shape", range(32))
    begin, end = wholes(entry.get("data_offsets"), 0, len(data), "data_offsets", range(2, 3))
    require(end - begin == math.prod(shape) * dtype.itemsize, "a tensor has another length than its shape")
    return np.frombuffer(data[begin:end], dtype).reshape(shape)


def tensor(tensors: Tensors, name: str, dtype: str, *shape: int | None) -> Array:
    """Look up a tensor of a type and shape, with None for a length that may be any."""
    if name not in tensors:
        raise ValueError(f"the model has no tensor {name}")
    found = tensors[name]
    require(found.dtype == np.dtype(dtype) and found.ndim == len(shape), f"{name} is of another type or shape")
    fits = all(want is None or want == have for want, have in zip(shape, found.shape, strict=True))
    require(fits, f"{name} is of another shape")
    return found


def load_model(blob: bytes) -> Model:
    """Read a frozen model and check that this machine computes as it should."""
    tensors, strings = parse_tensors(blob)
    text = strings.get("narrows_codec")
    if not isinstance(text, str):
        raise ValueError("not a frozen model")
    meta = parse_object(text.encode("utf-8"))
    whole(meta.get("format"), 1, 1, "the model's format")
    z_shape = wholes(meta.get("z_shape"), 1, 1 << 26, "z_shape")
    described = meta.get("qualities")
    if not isinstance(described, list) or not described:
        raise ValueError("the model has no qualities")
    qualities = [build_quality(q, tensors, f"quality.{i}.", z_shape) for i, q in enumerate(described)]
    n_symbols = qualities[0].rescale.in_shape[0]
    require(all(q.rescale.in_shape == (n_symbols,) for q in qualities), "qualities have other numbers of symbols")
    shape = wholes(meta.get("shape"), 1, 1 << 30, "shape", range(1, 32))
    require(meta.get("dtype") in DTYPES, "unknown dtype")
    model = Model(
        shape=shape,
        dtype=np.dtype(meta["dtype"]).newbyteorder("<"),
        n_symbols=n_symbols,
        decoder=build_program(meta.get("decoder"), tensors, "decoder."),
        qualities=qualities,
        scale=output_tensor(tensors, "output.scale", shape),
        offset=output_tensor(tensors, "output.offset", shape),
        network=build_network(meta, tensors, shape),
    )
    check_decoder(model, z_shape)
    check_golden(model, tensors, meta.get("golden"))
    return model


def check_decoder(model: Model, z_shape: Shape) -> None:
    """Check that a decoder is from codes to records."""
    assert model.decoder is not None
    require(model.decoder.in_shape == z_shape, "the decoder takes other codes")
    require(math.prod(model.decoder.out_shape) == math.prod(model.shape), "the decoder makes other records")


def build_network(meta: dict[str, Any], tensors: Tensors, shape: Shape) -> Network | None:
    """Make the network of residuals, if the model has one."""
    if "causal" not in meta:
        return None
    return Network(as_object(meta["causal"], "causal"), tensors, shape, np.dtype(meta["dtype"]))


def build_quality(value: object, tensors: Tensors, prefix: str, z_shape: Shape) -> Quality:
    """Make a quality of its JSON."""
    entry = as_object(value, "a quality")
    rescale = build_program(entry.get("rescale"), tensors, prefix + "rescale.")
    require(len(rescale.in_shape) == 1 and rescale.out_shape == z_shape, "rescale is not from symbols to codes")
    require(rescale.kinds in RESCALES, "rescale is neither a rescale and a reshape, nor a codebook and its layout")
    entropy = as_object(entry.get("entropy"), "entropy")
    return Quality(build_entropy(entropy, tensors, prefix + "entropy.", rescale.in_shape[0]), rescale)


def output_tensor(tensors: Tensors, name: str, shape: Shape) -> Array:
    """Look up a tensor of shape () or of a record's."""
    found = tensors.get(name)
    if found is None or found.dtype != np.dtype("<f8") or found.shape not in ((), shape):
        raise ValueError(f"{name} is missing, or of another type or shape")
    require(np.all(np.isfinite(found)), f"{name} is not finite")
    return found


def restore(model: Model, quality: Quality, symbols: Array) -> Array:
    """Make records of their symbols."""
    if model.decoder is None:
        raise ValueError("the model has no decoder")
    x = model.decoder.run(quality.rescale.run(symbols)).reshape(-1, *model.shape)
    with np.errstate(over="ignore", under="ignore"):
        product = x.astype(np.float64) * model.scale
        return to_dtype(product + model.offset, model.dtype)


def to_dtype(y: Array, dtype: np.dtype[Any]) -> Array:
    """Bring binary64 numbers to the type of records."""
    if dtype.kind == "b":
        return y >= 0.5
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        return np.clip(y, -limit, limit).astype(dtype)
    info = np.iinfo(dtype)
    high = float(info.max)
    if int(high) > info.max:
        high = math.nextafter(high, 0)
    return np.clip(np.rint(y), float(info.min), high).astype(dtype)


def check_golden(model: Model, tensors: Tensors, hashes: object) -> None:
    """Encode and decode the golden symbols in each quality and compare the hashes."""
    golden = tensor(tensors, "golden", "int32", None, model.n_symbols).astype(np.int64)
    check_hashes(model, golden, hashes)


def check_hashes(model: Model, golden: Array, hashes: object) -> None:
    """Encode and decode golden symbols in each quality and compare the hashes."""
    require(model.decoder is not None, "the model has no decoder")
    assert model.decoder is not None
    work = model.decoder.work + max(quality.rescale.work for quality in model.qualities) + (model.n_symbols << 16)
    require(len(golden) * work <= 1 << 36, "the golden vectors take too much work")
    require(len(golden) <= 64 and np.all(np.abs(golden) <= 32767), "the golden vectors are not as they should be")
    if not isinstance(hashes, list) or len(hashes) != len(model.qualities):
        raise ValueError("there is not one golden hash for each quality")
    for quality, expected in zip(model.qualities, hashes, strict=True):
        message = encode(quality.entropy, golden, n_lanes=2)
        require(np.array_equal(decode(quality.entropy, message, len(golden)), golden), "the coder does not come back")
        records = restore(model, quality, golden)
        parts = (message.states.tobytes(), message.words.tobytes(), message.escapes, records.tobytes())
        require(hashlib.sha256(b"".join(parts)).hexdigest() == expected, "the golden vectors have another hash")


def check_fit(header: Header, model: Model) -> None:
    """Check that archive and model speak of the same records."""
    same = (header.shape, header.dtype, header.n_symbols) == (model.shape, model.dtype, model.n_symbols)
    require(same and header.quality < len(model.qualities), "archive and model do not fit")


# A model in parts

DECODER_PART, QUALITY_PART, NETWORK_PART, GOLDEN_PART = 1, 2, 3, 4
WAYS = ["coded"]
for _stored in ("u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"):
    WAYS += [_stored, "zlib " + _stored]
TEXT_DICTIONARY = (
    b'"padding":[1,1],"output_padding":[0,0],"stride":[2,2],"kind":"branches","branches":"shifts":[],"kind":"codebook",'
    b'"kind":"clip","high":32767,"low":0,"kind":"upsample","size":[],"kind":"transpose","axes":[2,0,1],"kind":"argmax",'
    b'"kind":"rectify","kind":"transposed-convolution","kind":"convolution","kind":"lookup","table":"2.table",'
    b'"kind":"reshape","shape":[28,28,1],"kind":"dense","biases":"0.biases","weights":"0.weights","shift":14,'
    b'{"decoder":{"in_shape":[32],"operations":[{"dtype":"uint8","shape":[8,8],"tensors":[["decoder.0.biases","int64",'
    b'[512]],["decoder.0.weights","int16",[512,32]],["output.offset","float64",[]],["output.scale","float64",[]]],'
    b'"z_shape":[32]}{"entropy":{"name":"independent","n_places":1,"name":"autoregressive","precision":12},'
    b'"psnr_db":20.5,"rescale":{"in_shape":[32],"operations":[{"kind":"rescale","multipliers":"0.multipliers",'
    b'"shift":14},{"kind":"reshape","shape":[32]}]},"tensors":[["entropy.frequencies","uint16",[1024]],["entropy.lows",'
    b'"int32",[32]],["entropy.sizes","int32",[32]],["rescale.0.multipliers","int32",[32]]]}{"golden":"","highest":255,'
    b'"lowest":0,"reach":5,"tensors":[["biases_2","int64",[1,64]],["biases_3","int64",[1,18]],["columns","int64",'
    b'[1,28,64]],["rows","int64",[1,28,64]],["shifts","int64",[5]],["weights_1","int16",[1,60,64]],["weights_2",'
    b'"int16",[1,64,64]],["weights_3","int16",[1,64,18]]]}'
)
SCALES = [2 ** (e / 4 - 2) for e in range(64)]  # in sixteenths
LEVELS = np.array([round(32 * math.log(2) * scale * 2**-0.125) for scale in SCALES[1:]])
WIDTHS = np.array([round(256 * scale) for scale in SCALES])
FORMS = (
    ((32768, 0, 0),),
    ((10256, 0, -5), (22512, 0, 1)),
    ((13172, -12, -2), (13172, 12, -2), (3212, -38, -3), (3212, 38, -3)),
    ((12616, 0, -3), (10076, -21, 0), (10076, 21, 0)),
    ((5276, 0, -12), (16580, 0, -3), (10912, 0, 4)),
    ((6520, -24, -8), (6520, 24, -8), (5686, -8, -7), (5686, 8, -7), (4178, -37, -12), (4178, 37, -12)),
)


class Cursor:
    """Takes bytes one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        """How many bytes are not taken yet."""
        return len(self.data) - self.at

    def bytes(self, n: int) -> bytes:
        """Take n bytes."""
        found = take(self.data, self.at, n)
        self.at += n
        return found

    def number(self, low: int, high: int) -> int:
        """Take a number in base 128."""
        value = 0
        for digit in range(9):
            byte = self.bytes(1)[0]
            value += (byte % 128) << 7 * digit
            if byte < 128:
                return whole(value, low, high, "a number of the model")
        raise ValueError("a number of the model has too many bytes")


class Part(NamedTuple):
    """A part of a model: its JSON, its tensors and its name."""

    settings: dict[str, Any]
    tensors: Tensors
    name: bytes


def load_parts(archive: Archive, blob: bytes | None) -> Model:
    """Read the parts that an archive holds; or take those of a whole model, if they have the right names."""
    header = archive.header
    if blob is not None:
        return parts_of_model(header, blob)
    found: dict[int, bytes] = {}
    names = bytes(96)
    for entry in archive.models:
        block = block_of(archive, entry)
        require(block.coding == 4, "a whole model is where parts should be")
        cursor = Cursor(block.payload)
        names = cursor.bytes(96)
        require(hashlib.sha256(names).hexdigest() == header.model, "the parts are of another model")
        while cursor.left:
            kind = cursor.number(1, 1 << 20)
            found[kind] = cursor.bytes(cursor.number(0, cursor.left))
    parts = {kind: parse_part(kind, found[kind]) for kind in (1, 2, 3) if kind in found}
    for kind, part in parts.items():
        require(part.name == names[32 * kind - 32 : 32 * kind], "a part has another name")
    return model_of(header, parts, found.get(GOLDEN_PART))


def model_of(header: Header, parts: dict[int, Part], golden: bytes | None) -> Model:
    """Make a model of the parts that are there."""
    network = None
    if NETWORK_PART in parts:
        settings, tensors, _ = parts[NETWORK_PART]
        if settings.get("model") in {"bytes", "bytes-2", "bytes-3", "bytes-4"}:
            network = sibling("bytes_decoder").Model(settings, tensors)
            return Model(header.shape, header.dtype, header.n_symbols, None, [], np.ones(()), np.ones(()), network)
        network = Network(settings, {f"causal.{name}": t for name, t in tensors.items()}, header.shape, header.dtype)
    one = np.ones(())
    if DECODER_PART not in parts or QUALITY_PART not in parts:
        return Model(header.shape, header.dtype, header.n_symbols, None, [], one, one, network)
    meta, tensors, _ = parts[DECODER_PART]
    shape = wholes(meta.get("shape"), 1, 1 << 30, "shape", range(1, 32))
    z_shape = wholes(meta.get("z_shape"), 1, 1 << 26, "z_shape")
    quality = build_quality(parts[QUALITY_PART].settings, parts[QUALITY_PART].tensors, "", z_shape)
    model = Model(
        shape=shape,
        dtype=np.dtype(meta["dtype"]).newbyteorder("<"),
        n_symbols=quality.rescale.in_shape[0],
        decoder=build_program(meta.get("decoder"), tensors, "decoder."),
        qualities=[quality],
        scale=output_tensor(tensors, "output.scale", shape),
        offset=output_tensor(tensors, "output.offset", shape),
        network=network,
    )
    check_decoder(model, z_shape)
    same = (header.shape, header.dtype, header.n_symbols) == (model.shape, model.dtype, model.n_symbols)
    require(same, "archive and model do not fit")
    if golden is not None:
        check_hashes(model, spread_symbols(model), [golden.hex()])
    return model


def spread_symbols(model: Model) -> Array:
    """Make up golden symbols."""
    assert model.decoder is not None
    n, golden = model.n_symbols, []
    for v, r in enumerate((3, 40, 1000, 32767)):
        golden.append((v * n + np.arange(n, dtype=np.int64)) * 40503 % (2 * r + 1) - r)
    work = model.decoder.work + model.qualities[0].rescale.work + (n << 16)
    return np.stack(golden)[: (1 << 36) // work]


def parse_part(kind: int, data: bytes) -> Part:
    """Read a part."""
    cursor = Cursor(data)
    stream = zlib.decompressobj(wbits=-15, zdict=TEXT_DICTIONARY)
    try:
        text = stream.decompress(cursor.bytes(cursor.number(1, 1 << 22)), 1 << 22)
    except zlib.error as error:
        raise ValueError("the text of a part is damaged") from error
    require(stream.eof and not stream.unused_data, "the text of a part is damaged")
    settings = parse_object(text)
    listed = settings.get("tensors")
    require(isinstance(listed, list) and len(listed) <= 1 << 13, "the tensors of a part are no list")
    described = [(str(name), str(dtype), wholes(shape, 0, 1 << 27, "shape", range(9))) for name, dtype, shape in listed]
    require(sum(math.prod(shape) for _, _, shape in described) <= 1 << 27, "a part has too many values")
    ways = [(WAYS[cursor.number(0, len(WAYS) - 1)], cursor.number(0, cursor.left)) for _ in described]
    tensors = {
        name: parse_way(dtype, shape, way, cursor.bytes(length))
        for (name, dtype, shape), (way, length) in zip(described, ways, strict=True)
    }
    require(cursor.left == 0 and len(tensors) == len(described), "a part has more than it should")
    return Part(settings, tensors, name_of(kind, text, tensors))


def name_of(kind: int, text: bytes, tensors: Tensors) -> bytes:
    """Hash a part."""
    values = b"".join(np.ascontiguousarray(tensors[name]).tobytes() for name in sorted(tensors))
    return hashlib.sha256(bytes([kind]) + text + values).digest()


def parse_way(dtype: str, shape: Shape, way: str, data: bytes) -> Array:
    """Read a tensor."""
    require(dtype in ("int64", "float64", "int32", "uint16", "int16"), "a tensor has another dtype")
    size = math.prod(shape)
    if way == "coded":
        require(dtype != "float64", "floats are not coded")
        numbers = parse_coded(data, shape)
    else:
        stored = np.dtype("<" + way[-2:])
        require((stored.kind == "f") == (dtype == "float64"), "a tensor is written as another kind of numbers")
        plain = inflate(data, size * stored.itemsize) if way.startswith("zlib") else data
        require(len(plain) == size * stored.itemsize, "a tensor has another length")
        numbers = np.frombuffer(plain, stored).reshape(shape)
    found = numbers.astype(np.dtype(dtype).newbyteorder("<"))
    require(dtype == "float64" or np.array_equal(found, numbers), "a number does not fit its dtype")
    return found


def parse_coded(data: bytes, shape: Shape) -> Array:
    """Read whole numbers that are entropy-coded."""
    size, cursor = math.prod(shape), Cursor(data)
    step, order = cursor.number(1, 1 << 50), cursor.number(0, 2)
    lag, turned = cursor.number(1, max(1, size)), cursor.number(0, max(0, len(shape) - 1))
    numbers = parse_matrix(cursor, size).ravel()[:size]
    require(cursor.left == 0, "a tensor has more than it should")
    for _ in range(order):
        rows = np.concatenate([numbers, np.zeros(-size % lag, np.int64)]).reshape(-1, lag)
        numbers = rows.cumsum(0).ravel()[:size]
    require(abs(numbers).max(initial=0).astype(float) * step < 2**51, "a number is too large")
    numbers = numbers * step
    if turned:
        numbers = numbers.reshape(-1, math.prod(shape[:turned])).T
    return numbers.reshape(shape)


def parse_matrix(cursor: Cursor, size: int, *, of_offsets: bool = False) -> Array:
    """Read a matrix of whole numbers."""
    rows, columns = cursor.number(1, size), cursor.number(1, size)
    require(size <= rows * columns < size + columns and size <= 64 * cursor.left, "a matrix has another size")
    form, level, low = cursor.number(0, len(FORMS) - 1), cursor.number(0, 1 << 40), cursor.number(0, 1 << 54)
    low = low // 2 if low % 2 == 0 else -(low + 1) // 2
    window, raw, has_offsets = cursor.number(2, 8192), cursor.number(0, 40), cursor.number(0, 0 if of_offsets else 1)
    n_lanes, n_words = cursor.number(1, 4096), cursor.number(0, rows * columns)
    n_escapes = cursor.number(0, cursor.left)
    require(n_lanes >= columns or rows * -(-columns // n_lanes) <= 1 << 20, "a matrix has too few lanes")
    states = np.frombuffer(cursor.bytes(4 * n_lanes), "<u4").astype(np.int64)
    words = np.frombuffer(cursor.bytes(2 * n_words), "<u2").astype(np.int64)
    escapes = np.frombuffer(inflate(cursor.bytes(n_escapes), 8 * rows * columns) if n_escapes else b"", "<i8")
    n_low = -(-columns * raw // 8)
    bits = [cursor.bytes(n_low) for _ in range(rows)] if raw else []
    offsets = np.zeros(rows, np.int64)
    if has_offsets:
        offsets = parse_matrix(cursor, rows, of_offsets=True).ravel()
        require(np.all(np.abs(offsets) <= 31), "the offset of a row is too large")
    coder = MatrixDecoder(form, low, window, states, words)
    matrix, levels, used = np.empty((rows, columns), np.int64), np.full(columns, level), 0
    for row in range(rows):
        scales = np.clip(np.searchsorted(LEVELS, levels, side="right") + offsets[row], 0, 63)
        places = coder.row(scales)
        found = low + places
        (escaped,) = np.nonzero(places == window - 1)
        require(used + len(escaped) <= len(escapes), "there are too few escapes")
        found[escaped] = escapes[used : used + len(escaped)]
        used += len(escaped)
        levels = levels + ((256 * np.abs(np.clip(found, low, low + window - 2)) - levels) >> 4)
        matrix[row] = (found << raw) + (low_bits(bits[row], columns, raw) if raw else 0)
    require(used == len(escapes), "there are too many escapes")
    coder.finish()
    return matrix


class MatrixDecoder:
    """Takes the message of a matrix apart, row by row."""

    def __init__(self, form: int, low: int, window: int, states: Array, words: Array) -> None:
        require(len(states) > 0 and states.min() >= 1 << 16, "a state is too small")
        self.states, self.words, self.position = states, words, 0
        every = np.arange(64)
        mixture = Mixture(
            weights=np.array([[weight] * 64 for weight, _, _ in FORMS[form]]),
            scales=np.array([np.clip(every + away, 0, 63) for _, _, away in FORMS[form]]),
            means=np.array([(mean * WIDTHS + 2048) >> 12 for _, mean, _ in FORMS[form]]),
            lows=np.full(64, low),
            window=window,
        )
        self.starts = mixture.starts().T  # of each scale
        self.one_after_another = (self.starts + (every << 17)[:, None]).ravel()

    def row(self, scales: Array) -> Array:
        """Decode a row of places."""
        places = np.empty(len(scales), np.int64)
        for first in range(0, len(scales), len(self.states)):
            e = scales[first : first + len(self.states)]
            x = self.states[: len(e)]
            slots = x & 0xFFFF
            found = np.searchsorted(self.one_after_another, slots + (e << 17), side="right") - 1
            place = found - e * self.starts.shape[1]
            start = self.starts[e, place]
            x = (self.starts[e, place + 1] - start) * (x >> 16) + slots - start
            low = np.flatnonzero(x < 1 << 16)
            taken = self.words[self.position : self.position + len(low)]
            require(len(taken) == len(low), "a message calls for a word past its last")
            x[low] = (x[low] << 16) + taken
            self.position += len(low)
            self.states[: len(e)], places[first : first + len(e)] = x, place
        return places

    def finish(self) -> None:
        """Check that the message ended as messages do."""
        ended = np.all(self.states == 1 << 16) and self.position == len(self.words)
        require(ended, "a message does not end well")


def parts_of_model(header: Header, blob: bytes) -> Model:
    """Take a whole model, if the archive names parts of it."""
    tensors, strings = parse_tensors(blob)
    meta = parse_object(strings["narrows_codec"].encode("utf-8"))
    model = load_model(blob)
    decoder = {key: meta[key] for key in ("shape", "dtype", "z_shape", "decoder")}
    both = {name: value for name, value in tensors.items() if name.startswith(("decoder.", "output."))}
    network = bytes(32)
    if header.max_error is not None and "causal" in meta:
        network = named(NETWORK_PART, meta["causal"], under("causal.", tensors))
    for number, described in enumerate(meta["qualities"]):
        settings = {key: described[key] for key in ("entropy", "rescale", "psnr_db")}
        of_quality = under(f"quality.{number}.", tensors)
        of_quality.pop("steps")
        names = named(DECODER_PART, decoder, both) + named(QUALITY_PART, settings, of_quality) + network
        if hashlib.sha256(names).hexdigest() == header.model:
            return model._replace(qualities=[model.qualities[number]])
    raise ValueError("the archive belongs to another model")


def under(prefix: str, tensors: Tensors) -> Tensors:
    """Take the tensors whose names begin in a way."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def named(kind: int, settings: dict[str, Any], tensors: Tensors) -> bytes:
    """Name a part, given its content."""
    listed = [[name, tensors[name].dtype.name, list(tensors[name].shape)] for name in sorted(tensors)]
    text = json.dumps({**settings, "tensors": listed}, sort_keys=True, separators=(",", ":"))
    return name_of(kind, text.encode(), tensors)
