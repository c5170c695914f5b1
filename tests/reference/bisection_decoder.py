"""The independent decoder of bisection, and of packed archives, written from docs/format.md and nothing else."""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MASK = (1 << 64) - 1
TAIL = [round((1 << 30) / (1 + math.exp(i / 64))) for i in range(1281)]
LOGIT = [round(256 * math.log((i + 0.5) / (4095.5 - i))) for i in range(4096)]
FEATURES = {"tiling": 1, "max_error": 2, "field": 4, "parts": 8, "windows": 16, "decimals": 32, "readings": 256}
FEATURES |= {"exceptions": 512, "text": 64, "byte_model": 1024, "time_steps": 1 << 14, "over_channels": 1 << 17}


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def sigmoid(z: int) -> int:
    return min(65535, max(1, round(65536 / (1 + math.exp(-z / 256)))))


class Numbers:
    """Numbers n and z at the start of bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def n(self, low: int, high: int) -> int:
        found = 0
        for digit in range(10):
            require(self.at < len(self.data), "the numbers are cut off")
            byte = self.data[self.at]
            found, self.at = found + ((byte & 127) << 7 * digit), self.at + 1
            if byte < 128:
                require(low <= found <= high, "a number is beyond its limits")
                return found
        raise ValueError("a number is too long")

    def z(self, most: int) -> int:
        found = self.n(0, 1 << 65)
        found = -(found + 1) // 2 if found % 2 else found // 2
        require(abs(found) <= most, "a number is beyond its limits")
        return found

    def bytes(self, n: int) -> bytes:
        require(self.at + n <= len(self.data), "bytes are cut off")
        self.at += n
        return self.data[self.at - n : self.at]


def mix(k: int, x: int) -> int:
    z = (k ^ (x & MASK)) * 0x9E3779B97F4A7C15 & MASK
    return z ^ (z >> 32)


def key(f: int, *xs: int) -> int:
    k = mix(0, f + 1)
    for x in xs:
        k = mix(k, x)
    return k


class Bisected:
    """The units of the values of a block; `bases` are what other channels predict."""

    def __init__(self, data: bytes, n: int, bases: list[int]) -> None:
        self.bases = bases
        numbers = Numbers(data)
        flags = numbers.n(0, 7)
        self.numbering, self.has_contexts = flags & 3, bool(flags & 4)
        require(self.numbering < 3, "no such numbering")
        base = numbers.z(1 << 63)
        self.n, self.modulus = numbers.n(1, 1 << 54), 1
        if self.numbering == 0:
            self.offset, self.factor = numbers.z(1 << 55), numbers.n(1, 1 << 54)
            self.modulus = numbers.n(1, 1 << 54)
        elif self.numbering == 1:
            self.levels = [numbers.z(1 << 55)]
            for _ in range(self.n - 1):
                self.levels.append(self.levels[-1] + numbers.n(1, 1 << 54))
        else:
            self.digits, self.offset = numbers.n(1, 16), numbers.z(1 << 55)
        self.low, self.high = self.v(0), self.v(self.n - 1)
        require(max(abs(self.low), abs(self.high)) <= 1 << 55 and self.high - self.low < 1 << 54, "values too far")
        self.level, self.period = numbers.z(1 << 55), numbers.n(0, 1 << 40)
        lags = [numbers.n(0, 1 << 40) for _ in range(numbers.n(0, 32))]
        self.lags = [(lag, 128 * numbers.z(1 << 13)) for lag in lags]
        self.bits = data[numbers.at :]
        self.at, self.range, self.code = 4, (1 << 32) - 1, int.from_bytes(self.bits[:4].ljust(4, b"\0"), "big")
        first = [24000, 8000, 8000, 20000, 14000, 14000, 14000, 0]
        self.weights: tuple[dict[int, list[int]], ...] = ({}, {})
        self.first = first
        self.slots: list[dict[int, list[int]]] = [{}, {}, {}, {}]
        self.slot_bits = min(20, max(14, n.bit_length() + 5))
        self.spreads = [((self.high - self.low) // 8 + 1) * 32] * 3
        self.y: list[int] = []
        for t in range(n):
            self.value(t)
        self.units = [y + base for y in self.y]

    def v(self, i: int) -> int:
        if self.numbering == 0:
            return self.offset + self.factor * i
        if self.numbering == 1:
            return self.levels[i]
        j, s = abs(self.offset + i), self.digits
        if j > 10**s:
            a, b = divmod(j - 10**s, 9 * 10 ** (s - 1))
            j = (10**s + 10 * b) * 10**a
        return -j if self.offset + i < 0 else j

    def value(self, t: int) -> None:
        y_1 = self.y[t - 1] if t else self.level
        y_2 = self.y[t - 2] if t > 1 else y_1
        y_3 = self.y[t - 3] if t > 2 else y_2
        y_p = self.y[t - self.period] if 0 < self.period <= t else y_2
        b = self.bases
        h = max(0, (self.high - self.low + max(b) - min(b)).bit_length() - 38)
        last, total = y_1 - b[t - 1] if t else y_1, 1 << 15
        for lag, w in self.lags:
            x = self.level if lag == 0 else self.y[t - lag] - b[t - lag] if lag <= t else last
            total += w * ((x - last) >> h)
        prediction = min(self.high, max(self.low, last + ((total >> 16) << h) + b[t]))
        self.centres = [prediction, y_1, y_p]
        self.scales = []
        for s in self.spreads:
            k = max(0, s.bit_length() - 24)
            self.scales.append((k, (363332 << 28) // (s >> k), 9 * (s >> k) // 10))
        self.ends = [[0, 1 << 30] for _ in range(3)]
        self.edges, self.decisions = [2 * self.low, 2 * self.high], 0
        self.stage, self.q, self.keys = 0, 0, [key(0, 0), key(1, y_1, y_2), key(2, y_p), key(3, y_1, y_2, y_3)]
        at = self.halve(0, self.modulus, -(-self.n // self.modulus))
        if self.modulus > 1:
            size = abs(self.v(at))
            self.stage, self.q = 1, at
            self.keys = [key(4, len(str(size)) if size else 0), key(5, 0), key(6, at), key(7, at, y_1)]
            at = self.halve(at, 1, min(self.modulus, self.n - at))
        v = self.v(at)
        self.y.append(v)
        a = min(4, (t + 1).bit_length())
        for i, c in enumerate(self.centres):
            self.spreads[i] = max(8, self.spreads[i] + ((16 * abs(2 * v - 2 * c) - self.spreads[i]) >> a))

    def halve(self, at: int, step: int, n: int) -> int:
        half, left = 2 ** (n - 1).bit_length() // 2, n
        while half >= 1:
            if half < left:
                if self.decide(at + half * step):
                    at, left = at + half * step, left - half
                else:
                    left = half
            half //= 2
        return at

    def decide(self, m: int) -> int:
        e, belows, inputs = self.v(m - 1) + self.v(m), [], []
        for c, (k, slope, cap), (low, high) in zip(self.centres, self.scales, self.ends, strict=True):
            d, tail = abs(e - 2 * c) >> k, TAIL[1280]
            if d < cap:
                i, r = divmod(d * slope >> 20, 1 << 16)
                tail = TAIL[i] + ((TAIL[i + 1] - TAIL[i]) * r >> 16)
            below = min(high, max(low, (1 << 30) - tail if e > 2 * c else tail))
            inputs.append(LOGIT[(high - below) * 4095 // (high - low)] if high - low >= 1 << 16 else 0)
            belows.append(below)
        slots = self.contexts(m) if self.has_contexts else []
        inputs += [LOGIT[p >> 4] * {0: 0, 1: 12}.get(n, 16) >> 4 for p, n, _ in slots] or [0] * 4
        bit = self.mixed(e, [*inputs, 256], [n for _, n, _ in slots]) if any(inputs) else self.coded(1 << 15)
        for slot in slots:
            slot[0] += (65535 * bit - slot[0]) * (655360 // (10 * slot[1] + 16)) >> 16
            slot[1] = min(63, slot[1] + 1)
        for end, below in zip(self.ends, belows, strict=True):
            end[0 if bit else 1] = below
        self.edges[0 if bit else 1] = e
        self.decisions += 1
        return bit

    def contexts(self, m: int) -> list[list[int]]:
        found = []
        for table, k in zip(self.slots, self.keys, strict=True):
            g = mix(k, 2 * (m - self.q) + self.stage)
            slot = table.setdefault(g % (1 << self.slot_bits), [1 << 15, 0, 0])
            if slot[2] != g >> 54:
                slot[:] = [1 << 15, 0, g >> 54]
            found.append(slot)
        return found

    def mixed(self, e: int, x: list[int], counts: list[int]) -> int:
        s, c = self.spreads[0].bit_length(), self.centres[0]
        a = min(31, max(0, (16 * (self.edges[1] - self.edges[0])).bit_length() - s + 8))
        b = min(7, max(0, (16 * abs(e - 2 * c)).bit_length() - s + 3))
        chosen = 16 * (32 * self.stage + min(31, self.decisions)) + sum((n > 2) << i for i, n in enumerate(counts))
        places = (16 * a + 2 * b + (e > 2 * c), chosen)
        sets = [one.setdefault(place, list(self.first)) for one, place in zip(self.weights, places, strict=True)]
        z = [min(3071, max(-3071, sum(map(int.__mul__, w, x)) >> 16)) for w in sets]
        bit = self.coded(min(65528, max(8, sigmoid((z[0] + z[1]) // 2))))
        for w, one in zip(sets, z, strict=True):
            error = (bit << 16) - sigmoid(one)
            w[:] = [
                min(1 << 22, max(-1 << 22, w_i + ((x_i * error + 8192) >> 14))) for w_i, x_i in zip(w, x, strict=True)
            ]
        return bit

    def coded(self, pi: int) -> int:
        bound = (self.range >> 16) * pi
        bit = int(self.code < bound)
        self.code, self.range = (self.code, bound) if bit else (self.code - bound, self.range - bound)
        while self.range < 1 << 24:
            following = self.bits[self.at] if self.at < len(self.bits) else 0
            self.range, self.code, self.at = self.range << 8, self.code << 8 | following, self.at + 1
        return bit


def units(data: bytes, n: int) -> Any:
    """The units of a block of the kind BISECTED with n values."""
    return np.array(Bisected(data, n, [0] * n).units, np.int64)


def units_of_channels(data: bytes, n: int, n_channels: int) -> Any:
    """The units (n, channels) of a block of the kind BISECTED_CHANNELS with n steps."""
    require(n_channels <= 64, "too many channels")
    numbers, found = Numbers(data), list[list[int]]()
    for number in range(n_channels):
        sources = [numbers.n(0, number - 1) for _ in range(numbers.n(0, min(8, number)))]
        weights = [numbers.z(1 << 28) for _ in sources]
        require(len(set(sources)) == len(sources), "a source twice")
        totals = [1 << 19] * n
        for source, w in zip(sources, weights, strict=True):
            u = found[source]
            for t in range(n):
                require(abs(u[t] - u[0]) < 1 << 31, "a source with values too far apart")
                totals[t] += w * (u[t] - u[0])
        found.append(Bisected(numbers.bytes(numbers.n(0, len(data))), n, [one >> 20 for one in totals]).units)
    require(numbers.at == len(data), "bytes after the last channel")
    return np.array(found, np.int64).T


def file_bytes(path: str | Path) -> bytes:
    """The bytes of an archive; those that it stands for if it is packed."""
    data = Path(path).read_bytes()
    magic = b"\x89NRW\r\n\x1a\n"
    if data[:12] != magic + b"\2\0\0\0":
        return data
    require(len(data) <= 1 << 20 and zlib.crc32(data[16:]) == int.from_bytes(data[12:16], "little"), "damaged")
    flags = data[16]
    require(flags in {0, 1, 3}, "unknown flags")
    numbers = Numbers(data[17:])
    inflate = zlib.decompressobj(-15, zdict=dictionary("series" if flags == 0 else "texts"))
    text = inflate.decompress(numbers.bytes(numbers.n(0, 1 << 20)))
    metadata = json.loads(text)
    if flags == 3:
        metadata["model"] = numbers.bytes(32).hex()
    features = sum(bit for name, bit in FEATURES.items() if metadata.get(name) is not None)
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
    header = magic + struct.pack("<HHII", 1, 0, features, len(text)) + text
    header += zlib.crc32(header).to_bytes(4, "little")
    made, entries, n_records = header, b"", 0

    def block(kind: int, coding: int, first: int, n: int, payload: bytes) -> bytes:
        head = struct.pack("<4sBBHQQI", b"\xb7NRB", kind, coding, 0, len(payload), first, n)
        crc = zlib.crc32(payload).to_bytes(4, "little")
        return head + zlib.crc32(head).to_bytes(4, "little") + payload + crc

    while numbers.at < len(numbers.data):
        kind, parts, first, n = numbers.n(1, 5), 0, n_records, 1
        require(kind in ({1, 2, 5} if flags else {2, 5}), "a type that is not packed")
        coding = 5 if kind == 2 else 0
        if flags:
            coding, parts, first, n = (numbers.n(0, 1 << 32) for _ in range(4))
        elif kind == 5:
            first, n = numbers.n(0, 255), numbers.n(0, (1 << 32) - 1)
        payload = numbers.bytes(numbers.n(0, 1 << 20))
        entries += struct.pack("<QQIIBB2x", len(made), first, n, zlib.crc32(payload), kind, parts)
        made += block(kind, coding, first, n, payload)
        n_records += n if kind == 2 else 0
    trailer = struct.pack("<QQ", len(made), n_records)
    trailer += zlib.crc32(trailer).to_bytes(4, "little") + b"\xb7NRWend\n"
    return made + block(3, 0, n_records, len(entries) // 28, bytes(4) + entries) + trailer


def dictionary(of: str) -> bytes:
    """The dictionary of the page, of series or texts."""
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    section = page.split("\n## Packed archives\n")[1].split("\n## ")[0]
    section = section.split(f"dictionary of {of} ")[1].split("The dictionary")[0]
    return "".join(re.findall(r"^    (.*)$", section, re.MULTILINE)).encode()


def read_again(x: float) -> float:
    """A reading of a quotient."""
    if not math.isfinite(x):
        return x
    text, _, power = repr(abs(x)).removesuffix(".0").partition("e")
    whole, _, decimals = text.partition(".")
    e, found = int(power or 0) - len(decimals), 0.0
    for c in whole + decimals:
        found = 10.0 * found + int(c)
    for i in range(abs(e).bit_length()):
        if abs(e) >> i & 1:
            found = found / 10.0 ** (1 << i) if e < 0 else found * 10.0 ** (1 << i)
    return math.copysign(found, x)
