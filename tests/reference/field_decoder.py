"""A second, independent reader of archives of fields, written from docs/format.md and nothing else.

It uses `archive_decoder` for what all archives have in common. `read` gives the array of an archive. Whatever is
damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import bisection_decoder
import numpy as np
import zstandard
from archive_decoder import (
    HEADER_MAGIC,
    INDEX,
    RECORDS,
    Array,
    Grid,
    Shape,
    cut,
    from_linear,
    grid_of,
    inflate,
    parse_block_head,
    parse_trailer,
    require,
    take,
    whole,
    wholes,
)

FIELD, BOUND = 4, 2  # bits of features
COLUMN = 5  # a type of blocks
LINEAR, EXACT, ZSTD, PLAIN, INTERPOLATED, INTERPOLATED_EXACT, BISECTED, BISECTED_CHANNELS = 1, 2, 3, 4, 6, 7, 12, 20
FINENESS = ((16, 16, 16, 16), (16, 13, 10, 8), (16, 10, 6, 4))
WRAP = 1 << 64


class Field(NamedTuple):
    """What the metadata say of a field."""

    dtype: np.dtype[Any]
    bound: float
    shape: Shape
    block: Shape
    are_records: bool


def read(path: str | Path) -> Array:
    """The array of an archive."""
    return read_blocks(path)


def read_blocks(path: str | Path, known: int = 0) -> Array:
    """The array of an archive as it is stored; `known` are more features that the caller understands."""
    data = bisection_decoder.file_bytes(path)
    field, start = parse_header(data, known)
    offset, n_records = parse_trailer(data)
    parts = [-(-n // b) for n, b in zip(field.shape, field.block, strict=True)]
    require(n_records == math.prod(parts), "there is not one chunk for each block")
    _, _, _, _, _, n_entries = parse_block_head(take(data, offset, 32))
    index, _ = block_at(data, offset, (INDEX, 0, n_records, n_entries))
    (length,) = struct.unpack_from("<I", index)
    listed = index[4 + length :]
    require(len(listed) == 28 * n_entries, "the index has another length")
    entries = b"".join(listed[i : i + 28] for i in range(0, len(listed), 28) if listed[i + 24] != COLUMN)
    require(len(entries) == 28 * n_records, "the index has another length")
    array = np.empty(field.shape, field.dtype)
    for number in range(n_records):
        at, first, n, crc, kind = struct.unpack_from("<QQIIB", entries, 28 * number)
        require((kind, n, first) == (RECORDS, 1, number), "the index does not list the blocks in order")
        payload, payload_crc = block_at(data, at, (RECORDS, 5, number, 1))
        require(at >= start and payload_crc == crc, "a chunk of another archive")
        place = np.unravel_index(number, parts)
        slices = tuple(slice(int(i) * b, int(i) * b + b) for i, b in zip(place, field.block, strict=True))
        array[slices] = restore(payload, field, array[slices].shape)
    return array


def block_at(data: bytes, offset: int, expected: tuple[int, int, int, int]) -> tuple[bytes, int]:
    """The payload of a block and its CRC-32, if the block has the type, coding, first record and number of records."""
    kind, length, coding, flags, first, count = parse_block_head(take(data, offset, 32))
    require((kind, coding, first, count) == expected and flags == 0, "a block is not what it should be")
    payload = take(data, offset + 32, length)
    crc = int.from_bytes(take(data, offset + 32 + length, 4), "little")
    require(crc == zlib.crc32(payload), "the payload of a block is damaged")
    return payload, crc


def parse_header(data: bytes, known: int = 0) -> tuple[Field, int]:
    """The metadata of a field, and the end of the header."""
    require(data[:8] == HEADER_MAGIC, "not an archive")
    features, length = struct.unpack_from("<II", data, 12)
    end = 24 + length
    require(zlib.crc32(data[: end - 4]) == struct.unpack_from("<I", data, end - 4)[0], "a damaged header")
    require(features & ~known == FIELD | BOUND, "not a field, or a feature that is not known")
    given = json.loads(data[20 : end - 4])
    described = given["field"]
    shape = wholes(described["shape"], 1, 1 << 50, "a shape", range(1, 32))
    block = wholes(described.get("block", list(shape)), 1, 1 << 50, "a block", range(len(shape), len(shape) + 1))
    require(all(b <= n for b, n in zip(block, shape, strict=True)), "a block is larger than the field")
    require(math.prod(block) <= 1 << 24, "a block is too large")
    bound = float(given["max_error"])
    require(0 <= bound < math.inf, "no valid bound")
    return Field(np.dtype(given["dtype"]), bound, shape, block, described.get("records", False)), end


def restore(payload: bytes, field: Field, shape: Shape) -> Array:
    """The values of a block."""
    crc, _, kind = struct.unpack_from("<IfB", payload)
    data, coded = payload[9:], shape if field.are_records and len(shape) > 1 else (1, *shape)
    n_bytes = math.prod(shape) * field.dtype.itemsize
    require(len(data) <= n_bytes, "a block takes more bytes than its values")
    if kind == ZSTD:
        data, kind = zstandard.ZstdDecompressor().decompress(data, max_output_size=n_bytes), PLAIN
    if kind == PLAIN:
        require(len(data) == n_bytes, "a block has another number of bytes")
        values = np.frombuffer(data, field.dtype.newbyteorder("<") if field.dtype.kind != "b" else "u1")
        values = values.astype(field.dtype)
    elif kind in {LINEAR, EXACT}:
        values = from_linear(data, None, grid_of(field.dtype, field.bound if kind == LINEAR else 0.0), coded)
    elif kind in {BISECTED, BISECTED_CHANNELS}:
        grid = grid_of(field.dtype, 0.0)
        if kind == BISECTED:
            units = bisection_decoder.units(data, math.prod(shape))
        else:
            require(len(coded) == 3 and coded[0] == 1, "channels of something that is no series")
            units = bisection_decoder.units_of_channels(data, *shape)
        require(((units >= grid.lowest) & (units <= grid.highest)).all(), "values that the dtype does not have")
        values = grid.values(units).reshape(coded)
    else:
        require(kind in {INTERPOLATED, INTERPOLATED_EXACT}, "a kind that is not known")
        values = Interpolation(data, field.dtype, field.bound if kind == INTERPOLATED else 0.0, coded).values
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    require(zlib.crc32(np.ascontiguousarray(little).tobytes()) == crc, "a block is not restored correctly")
    return values.reshape(shape)


class Pass(NamedTuple):
    """The positions of a pass, the spacing along each axis, and the last coordinate of each."""

    level: int
    axis: int
    stride: int
    spacing: list[int]
    last: list[int]

    @property
    def first(self) -> list[int]:
        return [int(axis == self.axis) for axis in range(4)]

    def positions(self) -> itertools.product[tuple[int, ...]]:
        axes = zip(self.first, self.last, self.spacing, strict=True)
        return itertools.product(*(range(first, last + 1, gap) for first, last, gap in axes))


class Interpolation:
    """The section on interpolation."""

    def __init__(self, data: bytes, dtype: np.dtype[Any], bound: float, shape: Shape) -> None:
        n_exceptions, n_weights, order, fineness, margin = struct.unpack_from("<IHBBB", data)
        _, weights, exceptions, _ = cut(data[: 9 + n_weights + n_exceptions], [9, n_weights, n_exceptions])
        self.grid: Grid = grid_of(dtype, bound * ((1024 - margin) / 1024))
        self.n, self.sides = shape[0], four_axes(shape[1:])
        self.axes = [axis for axis in range(4) if self.sides[axis] > 1]
        self.order = list(itertools.permutations(self.axes))[order]
        self.fineness = FINENESS[whole(fineness, 0, 2, "the fineness")]
        self.bits = Bits(data[9 + n_weights + n_exceptions :])
        size = (self.n, *self.sides)
        self.y, self.q, self.d = (np.zeros(size, np.int64).astype(object) for _ in range(3))
        self.run(weights)
        restored = self.grid.values(self.y.astype(np.int64).reshape(self.n, -1))
        put(exceptions, restored)
        self.values = restored.reshape(shape)

    def run(self, weights: bytes) -> None:
        known = 0
        for record in range(self.n):
            q = self.bits.number(0, 0, 0, 0)
            known = self.y[record, 0, 0, 0, 0] = self.within(
                known + max(1, self.grid.step * self.fineness[3] // 16) * q
            )
        passes = list(self.passes())
        sizes = [weights[i // 4] >> 2 * (i % 4) & 3 for i in range(len(passes))]
        numbers = iter(leb(weights[-(-len(passes) // 4) :]))
        for one, size in zip(passes, sizes, strict=True):
            pairs, before = self.stencil(one, size)
            w, v = [0] * len(pairs), [0] * len(before)
            if size == 1:
                w[1] = -4096
            elif size > 1:
                w[1:] = [128 * next(numbers) for _ in pairs[1:]]
                v = [128 * next(numbers) for _ in before]
            for record in range(self.n):
                for x in one.positions():
                    self.value(one, (record, x), (pairs, before), (w, v))
        require(next(numbers, None) is None, "there are too many weights")

    def passes(self) -> list[Pass]:
        found = []
        for level in range((max(self.sides) - 1).bit_length(), 0, -1):
            stride = 1 << (level - 1)
            last = [(n - 1) // stride for n in self.sides]
            for at, axis in enumerate(self.order):
                spacing = [1 if other in self.order[:at] else 2 for other in range(4)]
                if last[axis] >= 1:
                    found.append(Pass(level, axis, stride, spacing, last))
        return found

    def stencil(self, one: Pass, size: int) -> tuple[list[Array], list[tuple[int, Array]]]:
        """The offsets of pairs, and those of neighbours before with the number of their axes."""
        unit, g, a = np.eye(4, dtype=int), one.spacing, one.axis
        others = [b for b in self.axes if b != a]
        pairs = [unit[a]]
        if size >= 1:
            pairs.append(3 * unit[a])
        if size >= 2:
            pairs += [unit[a] + s * g[b] * unit[b] for b in others for s in (1, -1)]
        if size == 3:
            pairs.append(5 * unit[a])
            for b, c in itertools.combinations(others, 2):
                pairs += [unit[a] + s * g[b] * unit[b] + t * g[c] * unit[c] for s in (1, -1) for t in (1, -1)]
            pairs += [3 * unit[a] + s * g[b] * unit[b] for b in others for s in (1, -1)]
            pairs += [unit[a] + s * g[b] * unit[b] for b in others for s in (2, -2)]
        before = [(1, -g[d] * unit[d]) for d in reversed(self.axes)]
        for b, c in itertools.combinations(self.axes, 2):
            before += [(2, -g[b] * unit[b] + s * g[c] * unit[c]) for s in (-1, 1)]
        return pairs, before

    def value(self, one: Pass, at: Any, offsets: Any, weights: Any) -> None:
        (record, x), (pairs, before), (w, v) = at, offsets, weights

        def index(place: Any) -> tuple[int, ...]:
            return (record, *(int(i) * one.stride for i in place))

        def mirrored(place: Any) -> tuple[int, ...]:
            return index(max(0, min(abs(i), 2 * n - abs(i))) for i, n in zip(place, one.last, strict=True))

        ends = [(mirrored(np.add(x, o)), mirrored(np.subtract(x, o))) for o in pairs]
        y_0, z_0 = (self.y[end] for end in ends[0])
        gap = wrap(z_0 - y_0)
        total = (gap << 15) + (1 << 15)
        for weight, (plus, minus) in zip(w[1:], ends[1:], strict=True):
            total += weight * ((self.y[plus] - y_0) + (self.y[minus] - y_0) - gap)
        near = sum(abs(self.q[end]) for end in ends[0])
        activity, t, sigma, along = 3 * near, [0, 0, 0], [0, 0], 0
        for (n_axes, o), weight in zip(before, v, strict=True):
            place = np.add(x, o)
            is_present = all(lo <= i <= hi for lo, i, hi in zip(one.first, place, one.last, strict=True))
            q = self.q[index(place)] if is_present else 0
            if is_present:
                total += weight * self.d[index(place)]
            activity += (8 if n_axes == 1 else 4) * abs(q)
            if n_axes == 1:
                if along < 3:
                    t[along] = min(2, abs(q))
                if along < 2:
                    sigma[along] = 0 if q == 0 else 1 if q > 0 else 2
                along += 1
        prediction = self.within(y_0 + (wrap(total) >> 16))
        digits = activity.bit_length()
        half = digits == 1 or (digits > 1 and not activity >> (digits - 2) & 1)
        bin_ = min(63, 2 * digits - half) if activity else 0
        context = 81 * t[0] + 27 * t[1] + 9 * t[2] + min(8, near)
        q = self.bits.number(int(one.level == 1), bin_, context, sigma[0] + 3 * sigma[1])
        step = max(1, self.grid.step * self.fineness[min(one.level, 4) - 1] // 16)
        here = index(x)
        self.y[here] = y = self.within(prediction + step * q)
        self.q[here], self.d[here] = max(-(1 << 20), min(1 << 20, q)), wrap(2 * (y - y_0) - gap)

    def within(self, number: int) -> int:
        return max(self.grid.lowest, min(self.grid.highest, wrap(number)))


class Bits:
    """The range decoder, its states, and the numbers that it decodes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.range = data, 4, (1 << 32) - 1
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self.states: dict[tuple[Any, ...], list[int]] = {}

    def bit(self, *names: tuple[Any, ...]) -> int:
        states = [self.states.setdefault(name, [1 << 21, 0]) for name in names]
        p = 1 << 15
        if states:
            p = max(32, min(65504, sum(state[0] >> 6 for state in states) // len(states)))
        bound = (self.range >> 16) * p
        bit = int(self.code < bound)
        self.code, self.range = (self.code, bound) if bit else (self.code - bound, self.range - bound)
        while self.range < 1 << 24:
            following = self.data[self.at] if self.at < len(self.data) else 0
            self.range, self.code, self.at = self.range << 8, self.code << 8 | following, self.at + 1
        for state in states:
            state[0] += ((bit << 22) - bit - state[0]) * (655360 // (10 * state[1] + 16)) >> 16
            state[1] = min(250, state[1] + 1)
        return bit

    def number(self, fine: int, bin_: int, near: int, sign: int) -> int:
        length = 0
        while length < 64:
            names = [("activity", fine, bin_, min(length, 23))]
            names += [("near", fine, near, length)] if length < 3 else []
            if not self.bit(*names):
                break
            length += 1
        if length == 0:
            return 0
        is_negative, value, first = self.bit(("sign", sign)), 1, 0
        for i in range(length - 1):
            if i == 0:
                bit = first = self.bit(("first", bin_, min(length, 23)))
            else:
                bit = self.bit(("second", min(length, 23), first)) if i == 1 else self.bit()
            value = value << 1 | bit
        return wrap(-value if is_negative else value)


def four_axes(shape: Shape) -> list[int]:
    long = [n for n in shape if n > 1]
    while len(long) > 4:
        long = [long[0] * long[1], *long[2:]]
    return [1] * (4 - len(long)) + long


def leb(data: bytes) -> list[int]:
    """Whole numbers, as escapes are written."""
    found, rest, shift = [], 0, 0
    for byte in data:
        rest |= (byte & 127) << shift
        shift += 7
        require(shift <= 21, "a weight is too long")
        if byte < 128:
            found.append(-(rest + 1) // 2 if rest & 1 else rest // 2)
            rest = shift = 0
    require(shift == 0, "a weight is cut off")
    return found


def put(data: bytes, values: Array) -> None:
    """Exceptions, at record · V + position."""
    if not data:
        return
    plain = inflate(data, (4 + values.itemsize) * values.size)
    m = len(plain) // (4 + values.itemsize)
    require(m >= 1 and len(plain) == m * (4 + values.itemsize), "exceptions are cut off")
    places = np.cumsum(np.frombuffer(plain, "<u4", m).astype(np.int64))
    require(int(places[-1]) < values.size and (np.diff(places) > 0).all(), "exceptions are out of order")
    kind = values.dtype.newbyteorder("<") if values.dtype.kind != "b" else "u1"
    values.reshape(-1)[places] = np.frombuffer(plain, kind, m, 4 * m).astype(values.dtype)


def wrap(number: int) -> int:
    return (int(number) + (WRAP >> 1)) % WRAP - (WRAP >> 1)
