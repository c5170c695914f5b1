"""Archives damaged in every way there is, and made to deceive: what comes out is right, or an error by name.

As part of the tests a few hundred; by itself as many as you like, here with seed 7, and then of archives with a bound::

    python tests/archive/fuzz.py 100000 7
    python tests/archive/fuzz.py 100000 7 bounded
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

import narrows.archive.models
from narrows.archive import Writer, layout, open_archive, recover, verify
from narrows.archive.index import pack_index
from narrows.archive.layout import (
    APPEND_BYTES,
    BLOCK_BYTES,
    BLOCK_MAGIC,
    CRC_BYTES,
    TRAILER_BYTES,
    BlockType,
    pack_crc,
)
from narrows.codec.entropy_models.independent import Independent
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.chunk import _zstd
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.grouped import encode_groups
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import NarrowsError

MAX_SECONDS = 5.0
MAX_BYTES = 1 << 30
SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None


class TinyEntropy:
    """One table a symbol, in many lanes, which is fast; by default there would be two, which is small."""

    def __init__(self, values: np.ndarray, n_symbols: int) -> None:
        self.model = Independent.fit(np.repeat(values[:, None], n_symbols, axis=1))
        self.decode = self.model.decode

    def encode(self, symbols):
        return self.model.encode(symbols, n_lanes=min(len(symbols), 4096))


class TinyCodec:
    """Records (4,) uint8; a symbol is a value (quality 0) or half of one (quality 1)."""

    shape, dtype, n_symbols, causal, texts = (4,), np.dtype(np.uint8), 4, None, None

    def __init__(self, blob: bytes = b"tiny" * 16) -> None:
        self.blob, self.digest = blob, hashlib.sha256(blob).hexdigest()
        fine, coarse = np.arange(200, dtype=np.int32), np.arange(100, dtype=np.int32)
        self.qualities = tuple(
            SimpleNamespace(entropy=TinyEntropy(values, self.n_symbols)) for values in (fine, coarse)
        )

    def decode(self, symbols, quality):
        return (symbols << quality & 0xFF).astype(np.uint8)


class TinyFloats(TinyCodec):
    """Records (2, 3) float32; a symbol is a value in halves, or in whole numbers."""

    shape, dtype, n_symbols = (2, 3), np.dtype(np.float32), 6

    def decode(self, symbols, quality):
        return (symbols.reshape(-1, *self.shape) * (0.5 * (1 << quality))).astype(np.float32)


class TinyImages(TinyCodec):
    """Records (2, 2) uint8, with a network of no training."""

    shape = (2, 2)

    def __init__(self, blob: bytes) -> None:
        super().__init__(blob)
        rng = np.random.default_rng(0)
        first = rng.integers(-60, 60, (1, 4, 3), np.int16)
        first[..., 0] = 0  # unit 0 knows the value in row 0, column 1, which is small
        last = rng.integers(-60, 60, (1, 3, 6), np.int16)
        last[0, 0, 2:] = -3000, -3000, -6000, -6000
        self.causal = FrozenCausal(
            lowest=0,
            highest=255,
            reach=1,
            weights_1=first,
            rows=np.array([[[8000 << 6, 3000, -2000], [0, 5, -600]]]),
            columns=np.array([[[-8000 << 6, -2000, 3000], [0, 5, 6000]]]),
            weights_2=np.diag(np.array([16384, 20000, 9000], np.int16))[None],
            biases_2=np.array([[0, -99, 12345]]),
            weights_3=last,
            biases_3=np.array([[9 << 20, 0, 700 << 15, 850 << 15, 42 << 22, 40 << 22]]),
            shifts=np.array([6, 14, 20, 15, 22]),
        )

    def decode(self, symbols, quality):
        return super().decode(symbols, quality).reshape(-1, *self.shape)


def make_records(n: int, seed: int) -> np.ndarray:
    """Return n records of even values, no two the same; some of them need escapes."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 100, (n, 4)) * 2
    records[:, 0], records[:, 1] = np.arange(n) % 100 * 2, np.arange(n) // 100 * 2
    records[::50, 3] = 254
    return records.astype(np.uint8)


def make_archive(path, codec, records, *, quality=0, chunk_records=300, names=None, portion=170, **options):
    """Write an archive in portions that have nothing to do with its chunks."""
    if not options.get("append"):
        options["chunk_records"] = chunk_records
    with Writer(path, codec, quality, {"container": {"kind": "array"}}, **options) as writer:
        for start in range(0, len(records), portion):
            part = records[start : start + portion]
            writer.add(
                part.astype(np.int32) >> quality, part, None if names is None else names[start : start + portion]
            )
    return path


@dataclass
class Original:
    """A whole archive, and what is in it."""

    data: bytes
    states: tuple[np.ndarray, ...]  # what it held whenever it was whole: it may be cut back to that
    codec: TinyCodec
    is_whole: bool = True  # otherwise no index names the last chunks, and those of another archive may take their place

    @property
    def records(self) -> np.ndarray:
        return self.states[-1]

    @cached_property
    def rows(self) -> set[bytes]:
        return {row.tobytes() for row in self.records}


def originals(folder: Path, codec: TinyCodec) -> list[Original]:
    """Return archives of several kinds: with names, with the model, appended to, of one chunk, of small groups.

    The last is one that an interrupted append left.
    """
    made = []
    for i, options in enumerate(
        (
            {"embed_model": True},
            {"names": [f"folder/{n}.png" for n in range(700)]},
            {"append": True},
            {"chunk_records": 1 << 14},
            {"group_records": 16},
        )
    ):
        records, path = make_records(700, seed=i), folder / f"original-{i}"
        if options.pop("append", False):
            make_archive(path, codec, records[:400])
            make_archive(path, codec, records[400:], append=True)
            states = (records[:400], records)
        else:
            make_archive(path, codec, records, **options)
            states = (records,)
        made.append(Original(path.read_bytes(), states, codec))
    whole = next(original for original in made if len(original.states) > 1)
    start = next(a for a, _ in blocks_of(whole.data) if whole.data[a + 4] == BlockType.APPEND)
    rest = bytes(APPEND_BYTES) + whole.data[start + APPEND_BYTES :]
    made.append(Original(whole.data[:start] + rest[: len(rest) * 2 // 3], whole.states, codec, is_whole=False))
    return made


def keep_as(kind: Kind, *, on_code: bool):
    """Return what keeps records in this way, whatever is smallest."""

    def keep_so(records, decoded, _n_code, grid, causal, *, group_records):
        if kind == Kind.CAUSAL:
            return encode_predicted(records, decoded if on_code else None, grid, causal)
        if kind == Kind.CAUSAL_GROUPS:
            return encode_groups(records, decoded if on_code else None, grid, causal, group_records)
        if kind in {Kind.ZSTD, Kind.PLAIN}:
            plain = CodedResidual(Kind.PLAIN, False, records.tobytes(), records)
            return plain if kind == Kind.PLAIN else _zstd(records, 15)
        kept = encode_predicted(
            records, decoded if on_code else None, grid if kind == Kind.LINEAR else ErrorBound(grid.dtype, 0)
        )
        return replace(kept, kind=kind)

    return keep_so


def bounded_originals(folder: Path, codec: TinyCodec) -> list[Original]:
    """Return archives with a bound: of several kinds, with a code and without, of whole numbers and of floats."""
    made, floats, images = [], TinyFloats(b"floats" * 10), TinyImages(b"images" * 10)
    for i, (kind, on_code, bound, used) in enumerate(
        (
            (Kind.LINEAR, True, 0, codec),
            (Kind.LINEAR, False, 3, codec),
            (Kind.LINEAR, True, 0.01, floats),
            (Kind.LINEAR, False, 0, floats),
            (Kind.EXACT, True, 0.01, floats),
            (Kind.ZSTD, False, 0, codec),
            (Kind.PLAIN, False, 2, codec),
            (Kind.CAUSAL, False, 0, images),
            (Kind.CAUSAL, True, 3, images),
            (Kind.CAUSAL_GROUPS, False, 0, images),
            (Kind.CAUSAL_GROUPS, True, 3, images),
        )
    ):
        rng = np.random.default_rng(i)
        symbols = (make_records(700, seed=i).astype(np.int32) // 2)[:, [n % 4 for n in range(used.n_symbols)]]
        decoded = used.decode(symbols, 0)
        records = decoded + rng.integers(0, 9, decoded.shape).astype(decoded.dtype) / decoded.dtype.type(8)
        if used is not floats:
            records = decoded + rng.integers(0, 3, decoded.shape, np.uint8)
        else:
            records.flat[[5, 77, 2000, 2001]] = np.nan, np.inf, -np.inf, 3e38
        path, about = folder / f"bounded-{i}", {"container": {"kind": "array"}, "max_error": bound}
        labels = [*(i % 5 for i in range(len(symbols)))] if i % 3 == 2 else None
        about |= {} if labels is None else {"labels": 1, "keep_codes": 1}
        so = mock.patch("narrows.archive.chunk_encoding.encode_chunk", keep_as(kind, on_code=on_code))
        with so, Writer(path, used, 0, about, embed_model=i % 2 == 0, chunk_records=300) as writer:
            writer.add(symbols, decoded, records=records, labels=labels)
        with open_archive(path, model=used) as archive:
            made.append(Original(path.read_bytes(), (archive.read(),), used))
    return made


# -------------------------------------------------------------------------------------------------------- mutations


def blocks_of(data: bytes) -> list[tuple[int, int]]:
    """Return where blocks begin and end."""
    found, at = [], data.find(BLOCK_MAGIC)
    while at >= 0:
        if len(data) >= at + BLOCK_BYTES and pack_crc(data[at : at + 28]) == data[at + 28 : at + 32]:
            found.append((at, min(len(data), at + BLOCK_BYTES + struct.unpack_from("<Q", data, at + 8)[0] + CRC_BYTES)))
        at = data.find(BLOCK_MAGIC, at + 1)
    return found


def flip(data, rng, _):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_near_an_edge(data, rng, _):
    """Flip where sizes and checksums are, which is little of a file."""
    edges = [0, len(data) - TRAILER_BYTES, *(edge for block in blocks_of(data) for edge in block)]
    changed = bytearray(data)
    changed[min(len(data) - 1, max(0, rng.choice(edges) + rng.randrange(-8, 40)))] ^= rng.randrange(1, 256)
    return bytes(changed)


def cut(data, rng, _):
    return data[: rng.randrange(len(data))]


def cut_at_an_edge(data, rng, _):
    return data[: rng.choice([edge for block in blocks_of(data) for edge in block])]


def take_out(data, rng, _):
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 4, 28, 256)) :]


def put_in(data, rng, _):
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.choice((1, 4, 28, 256))) + data[start:]


def blank(data, rng, _):
    start, n = rng.randrange(len(data)), rng.choice((4, 64, 512))
    return data[:start] + bytes(min(n, len(data) - start)) + data[start + n :]


def duplicate_a_block(data, rng, _):
    start, stop = rng.choice(blocks_of(data))
    at = rng.choice([edge for block in blocks_of(data) for edge in block])
    return data[:at] + data[start:stop] + data[at:]


def swap_blocks(data, rng, _):
    (a, b), (c, d) = sorted(rng.sample(blocks_of(data), 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def splice(data, rng, others):
    """Put a block of another archive in the place of one of this."""
    other = rng.choice(others)
    (start, stop), (a, b) = rng.choice(blocks_of(other)), rng.choice(blocks_of(data))
    return data[:a] + other[start:stop] + data[b:]


def repeat_the_tail(data, rng, _):
    return data + data[rng.randrange(len(data)) :]


def some_number(rng, old, n_bits):
    return rng.choice(
        (0, 1, old + 1, old - 1, old * 2, rng.getrandbits(n_bits), (1 << n_bits) - 1, 1 << n_bits - 1)
    ) & ((1 << n_bits) - 1)


def forge_a_block_header(data, rng, _):
    """Change a number in a block's header and put its checksum right."""
    start, _ = rng.choice(blocks_of(data))
    at, code, n_bits = rng.choice(((4, "B", 8), (5, "B", 8), (8, "Q", 64), (16, "Q", 64), (24, "I", 32)))
    changed = bytearray(data)
    (old,) = struct.unpack_from(f"<{code}", data, start + at)
    struct.pack_into(f"<{code}", changed, start + at, some_number(rng, old, n_bits))
    changed[start + 28 : start + 32] = pack_crc(bytes(changed[start : start + 28]))
    return bytes(changed)


def forge_a_payload(data, rng, _):
    """Change a number or a byte in a payload and put its checksum right, also where the index has it."""
    start, stop = rng.choice(blocks_of(data))
    first, last = start + BLOCK_BYTES, stop - CRC_BYTES
    changed = bytearray(data)
    if rng.random() < 0.5 and last - first >= 16:
        at = first + 4 * rng.randrange(4)
        struct.pack_into("<I", changed, at, some_number(rng, struct.unpack_from("<I", data, at)[0], 32))
    elif last > first:
        changed[rng.randrange(first, last)] ^= rng.randrange(1, 256)
    crc = pack_crc(bytes(changed[first:last]))
    changed = bytearray(bytes(changed).replace(data[last:stop], crc))
    return fix_the_index(bytes(changed))


def forge_a_residual(data, rng, _):
    """Change what brings records back within a bound, with all lengths and checksums right."""
    start, stop = rng.choice(
        [edges for edges in blocks_of(data) if data[edges[0] + 4 : edges[0] + 6] in (b"\2\2", b"\2\3", b"\2\6")]
    )
    payload, n = data[start + BLOCK_BYTES : stop - CRC_BYTES], struct.unpack_from("<I", data, start + 24)[0]
    lanes, words, escapes, names = struct.unpack_from("<4I", payload)
    at = 16 + 4 * -(-n // 256) + 4 * lanes + 2 * words + escapes + names
    head, residual = bytearray(payload[at : at + 16]), payload[at + 16 :]
    if rng.random() < 0.15:
        head[0] = rng.randrange(7)
    elif rng.random() < 0.1:
        struct.pack_into("<d", head, 8, rng.choice((0.0, 1e-3, 1e308, -1.0, float("nan"), float("inf"))))
    elif payload[at] in (Kind.LINEAR, Kind.EXACT, Kind.CAUSAL):
        residual = forge_a_prediction(residual, rng)
    else:
        residual = residual[: rng.randrange(len(residual) + 1)] + rng.randbytes(rng.choice((0, 1, 40)))
    return in_place_of(data, start, stop, payload[:at] + bytes(head) + residual)


def forge_a_prediction(residual: bytes, rng) -> bytes:
    """Change a part of the kinds LINEAR, EXACT and CAUSAL."""
    *sizes, raw_bits = struct.unpack_from("<5IB3x", residual)
    n_raw = len(residual) - 24 - sizes[0] - 4 * sizes[1] - 2 * sizes[2] - sizes[3] - sizes[4]
    parts, end = [], 24
    for size in (sizes[0], 4 * sizes[1], 2 * sizes[2], sizes[3], n_raw, sizes[4]):
        parts.append(residual[end : end + size])
        end += size
    chosen = rng.randrange(7)
    if chosen == 6:
        raw_bits = some_number(rng, raw_bits, 8)
        if rng.random() < 0.5:
            parts[4] = bytes(rng.choice((n_raw, 6 * -(-300 * raw_bits // 8), 4 * -(-300 * raw_bits // 8))))
    elif chosen in (0, 3, 5):
        plain = bytearray(zlib.decompress(parts[chosen])) if parts[chosen] else bytearray(rng.randbytes(64))
        for _ in range(rng.choice((1, 3, 40))):
            place = 8 * rng.randrange(max(1, len(plain) // 8)) + (193 % 8 if chosen == 0 else 0)
            word = struct.pack("<q", rng.choice((0, 1, -1, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63), 1 << 21)))
            plain[place : place + 8] = word[: len(plain) - place]
        more = rng.choice((b"", b"", b"", bytes(8), bytes(1 << 22)))
        parts[chosen] = zlib.compress(bytes(plain) + more, 1)
    else:
        changed = bytearray(parts[chosen] or rng.randbytes(8))
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
        parts[chosen] = bytes(changed) * rng.choice((1, 1, 1, 2, 64))
    lengths = [len(parts[0]), len(parts[1]) // 4, len(parts[2]) // 2, len(parts[3]), len(parts[5])]
    if rng.random() < 0.2:
        which = rng.randrange(5)
        lengths[which] = some_number(rng, lengths[which], 32)
    return struct.pack("<5IB3x", *lengths, raw_bits) + b"".join(parts)


def in_place_of(data: bytes, start: int, stop: int, payload: bytes) -> bytes:
    """Return an archive with another payload in a block: lengths, offsets and checksums are right everywhere."""
    found = [(layout.parse_block(data[at : at + BLOCK_BYTES]), at, end) for at, end in blocks_of(data)]
    made, entries = data[: found[0][1]], []
    for block, at, end in found:
        if block.type == BlockType.INDEX:
            continue
        held = payload if (at, end) == (start, stop) else data[at + BLOCK_BYTES : end - CRC_BYTES]
        crc = int.from_bytes(pack_crc(held), "little")
        entries.append((len(made), block.first, block.n_records, crc, block.type))
        made += layout.pack_block(replace(block, n_payload_bytes=len(held))) + held + pack_crc(held)
    n_records, offset = found[-1][0].first, len(made)
    index = pack_index(data[: found[0][1]], entries)
    made += layout.pack_block(layout.Block(BlockType.INDEX, 0, len(index), n_records, len(entries)))
    return made + index + pack_crc(index) + layout.pack_trailer(layout.Trailer(offset, n_records))


def forge_an_entry(data, rng, _):
    """Change a number in the index and put its checksum right."""
    (start, stop) = blocks_of(data)[-1]
    n_copy = struct.unpack_from("<I", data, start + BLOCK_BYTES)[0]
    n = struct.unpack_from("<I", data, start + 24)[0]
    entry = start + BLOCK_BYTES + 4 + n_copy + 28 * rng.randrange(n)
    at, code, n_bits = rng.choice(((0, "Q", 64), (8, "Q", 64), (16, "I", 32), (20, "I", 32), (24, "B", 8)))
    changed = bytearray(data)
    (old,) = struct.unpack_from(f"<{code}", data, entry + at)
    struct.pack_into(f"<{code}", changed, entry + at, some_number(rng, old, n_bits))
    changed[stop - 4 : stop] = pack_crc(bytes(changed[start + BLOCK_BYTES : stop - 4]))
    return bytes(changed)


def forge_the_trailer(data, rng, _):
    at = len(data) - TRAILER_BYTES
    offset, n = struct.unpack_from("<QQ", data, at)
    numbers = [some_number(rng, offset, 64), n] if rng.random() < 0.5 else [offset, some_number(rng, n, 64)]
    packed = struct.pack("<QQ", *numbers)
    return data[:at] + packed + pack_crc(packed) + data[at + 20 :]


def forge_the_metadata(data, rng, _):
    """Change the JSON of the header, in the same length, and put its checksum right."""
    n = struct.unpack_from("<I", data, 16)[0]
    text = data[20 : 20 + n]
    old, new = rng.choice(
        (
            (b'"record_shape":[4]', b'"record_shape":[9]'),
            (b'"record_shape":[4]', b'"record_shape":{ }'),
            (b'"dtype":"uint8"', b'"dtype":"int8" '),
            (b'"n_symbols":4', b'"n_symbols":5'),
            (b'"quality":0', b'"quality":1'),
            (b'"quality":0', b'"quality":9'),
            (b'"chunk_records":300', b'"chunk_records":9  '),
            (b'"chunk_records":300', b'"chunk_records":1e9'),
            (b'"tiling":null', b'"tiling":{}  '),
            (b'"tiling":null', b'"tiling":1234'),
            (b'"max_error":0', b'"max_error":7'),
            (b'"max_error":0', b'"max_errot":0'),
            (b'"max_error":0.01', b'"max_error":1e99'),
            (b'"max_error":0.01', b'"max_error":9999'),
            (b'"max_error":', b'"max_error":-'),
            (b"{", b"["),
            (text, b"[" * n),
            (text, b"{" * n),
            (text, b"9" * n),
            (text[:8], bytes(8)),
        )
    )
    changed = data[:20] + text.replace(old, new, 1) + data[20 + n :]
    return changed[: 20 + n] + pack_crc(changed[: 20 + n]) + changed[24 + n :]


def forge_the_head(data, rng, _):
    """Change a number of the header and put its checksum right where the metadata still end."""
    at, code, n_bits = rng.choice(((8, "H", 16), (10, "H", 16), (12, "I", 32), (16, "I", 32)))
    changed = bytearray(data)
    (old,) = struct.unpack_from(f"<{code}", data, at)
    struct.pack_into(f"<{code}", changed, at, some_number(rng, old, n_bits))
    n = struct.unpack_from("<I", data, 16)[0]
    changed[20 + n : 24 + n] = pack_crc(bytes(changed[: 20 + n]))
    return bytes(changed)


def fix_the_index(data):
    """Put the checksum of the last index right."""
    found = blocks_of(data)
    if not found:
        return data
    start, stop = found[-1]
    return data[: stop - 4] + pack_crc(data[start + BLOCK_BYTES : stop - 4]) + data[stop:]


DAMAGE = (
    *(flip, flip_near_an_edge, cut, cut_at_an_edge, take_out, put_in, blank),
    *(duplicate_a_block, swap_blocks, repeat_the_tail),
)
FORGERIES = (
    *(forge_a_block_header, forge_a_payload, forge_an_entry, forge_the_trailer, forge_the_metadata, forge_the_head),
)


def mutate(original: Original, rng: random.Random, others: list[bytes]) -> tuple[str, bytes]:
    """Return the name of what was done, and the file."""
    kind = rng.random()
    if b'"max_error":' in original.data and rng.random() < 0.6:
        return "forge_a_residual", forge_a_residual(original.data, rng, others)
    if kind < 0.1 and original.is_whole:
        return "splice", splice(original.data, rng, others)
    steps = [rng.choice(DAMAGE if kind < 0.6 else FORGERIES)]
    if rng.random() < 0.2:
        steps.append(rng.choice(DAMAGE))
    data = original.data
    for step in steps:
        try:
            data = step(data, rng, others)
        except (ValueError, IndexError, struct.error):  # nothing is left that this step could change
            break
    return steps[0].__name__, data or b"\0"


# -------------------------------------------------------------------------------------------------------- judgement


class WrongOutcomeError(AssertionError):
    """Neither the right data nor an error by name."""


def judge(path: Path, out: Path, original: Original, _name: str, rng: random.Random) -> str:
    """Return what came of a file: ``"right"``, or the name of the error.

    Raises
    ------
    WrongOutcomeError
        If anything that was returned is not what was compressed.
    """
    codec = original.codec
    model = codec if rng.random() < 0.8 else None
    try:
        with open_archive(path, model=model) as archive:
            state = next((state for state in original.states if len(state) == len(archive)), None)
            if state is None:
                raise WrongOutcomeError(f"opened as {len(archive)} records")
            outcome = _read_all(archive, state, rng)
            if (labels := archive.labels()) is not None and len(labels) != len(archive):
                raise WrongOutcomeError(f"{len(labels)} labels of {len(archive)} records")
    except NarrowsError as error:
        outcome = type(error).__name__
    _verify(path, original, model, outcome)
    _recover(path, out, original, codec)
    return outcome


def _read_all(archive, state, rng) -> str:
    outcome = "right"
    for start, stop in ((0, len(state)), *((i, i + 1) for i in rng.sample(range(len(state)), 2)), (250, 350)):
        try:
            if archive[start:stop].tobytes() != state[start:stop].tobytes():
                raise WrongOutcomeError(f"records {start} to {stop} are wrong")
        except NarrowsError as error:
            outcome = type(error).__name__
    return outcome


def _verify(path, original, model, outcome) -> None:
    try:
        report = verify(path, model=model)
    except NarrowsError:
        return
    if report.is_intact and report.is_restored and outcome != "right":
        raise WrongOutcomeError(f"verify finds nothing wrong, but reading gives {outcome}")
    if report.is_intact and report.n_records not in {len(state) for state in original.states}:
        raise WrongOutcomeError(f"verify finds {report.n_records} records and nothing wrong")


def _recover(path, out, original, codec) -> None:
    try:
        recovery = recover(path, out, model=codec, force=True)
    except NarrowsError:
        return
    try:
        with open_archive(out, model=codec) as archive:
            found = archive.read()
        again = verify(out, model=codec)
    except NarrowsError as error:
        raise WrongOutcomeError(f"what was recovered cannot be read: {error}") from error
    if not all(row.tobytes() in original.rows for row in found):
        raise WrongOutcomeError("records were recovered that never were")
    if len(found) != recovery.n_records or not again.is_intact:
        raise WrongOutcomeError("what was recovered is damaged")


def put_to_the_test(kind: str, n: int, seed: int, damaged, judge, watch=None) -> Counter:
    """Put n damaged files to the test, and count what came of them.

    ``damaged(rng)`` returns an original, the name of what was done to it and the damaged bytes; ``judge(path, out,
    original, name, rng)`` what came of a file.

    Raises
    ------
    WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    counts, slowest = Counter(), 0.0
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch, mock.patch("os.fsync"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, out = Path(scratch) / "input", Path(scratch) / "output"
        for i in range(n):
            rng = random.Random(f"{seed}/{i}")
            try:
                original, name, data = damaged(rng)
            except (ValueError, IndexError, struct.error):  # nothing that this step could change
                continue
            path.write_bytes(data or b"\0")
            started = time.process_time()
            try:
                outcome = judge(path, out, original, name, rng)
            except Exception as error:
                kept = Path(tempfile.gettempdir()) / f"fuzz-{kind}-{seed}-{i}.narrows"
                kept.write_bytes(data)
                raise WrongOutcomeError(f"seed {seed}, input {i} ({name}, kept as {kept}): {error!r}") from error
            seconds = time.process_time() - started
            if seconds > MAX_SECONDS:
                raise WrongOutcomeError(f"seed {seed}, input {i} ({name}) took {seconds:.1f} s")
            slowest = max(slowest, seconds)
            counts[name, outcome] += 1
            if watch is not None and (i + 1) % 5000 == 0:
                watch(f"{i + 1:,} inputs, slowest {slowest:.3f} s")
    return counts


def by_steps(wholes: list, steps):
    """Return what damages one of these originals, which have their bytes in ``data``, by one of the steps."""
    others = [original.data for original in wholes]

    def damaged(rng):
        original, step = rng.choice(wholes), rng.choice(steps)
        return original, step.__name__, step(original.data, rng, others)

    return damaged


def run(n: int, seed: int = 0, *, bounded: bool = False, watch=None) -> Counter:
    """Put n damaged files to the test, archives with a bound or others, and count what came of them.

    Raises
    ------
    WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    codec = TinyCodec()
    codecs = {codec.blob: codec}
    parse = mock.patch.object(narrows.archive.models, "_parse", side_effect=lambda blob: codecs.get(blob, codec))
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch, parse, mock.patch("os.fsync"):
        folder = Path(scratch)
        wholes = (bounded_originals if bounded else originals)(folder, codec)
        codecs.update({original.codec.blob: original.codec for original in wholes})
        make_archive(folder / "other", codec, make_records(700, seed=99))
        others = [(folder / "other").read_bytes()]

        def damaged(rng):
            original = rng.choice(wholes)
            return original, *mutate(original, rng, others)

        return put_to_the_test("images", n, seed, damaged, judge, watch)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_by_command(run, n: int = 20_000, **settings) -> None:
    """Run from the command line, where the number of inputs and the seed may be given, with little memory."""
    words = [word for word in sys.argv[1:] if word != "bounded"]
    n, seed = int(words[0]) if words else n, int(words[1]) if len(words) > 1 else 0
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    except ImportError:
        pass
    started = time.perf_counter()
    counts = run(n, seed, watch=_say, **settings)
    for (name, outcome), count in sorted(counts.items()):
        _say(f"{count:>8,}  {name:<24}{outcome}")
    _say(f"{n:,} inputs in {time.perf_counter() - started:.0f} s: each the right data or an error by name")


if __name__ == "__main__":
    run_by_command(run, 100_000, bounded="bounded" in sys.argv)
