"""A second, independent decoder of the texts of a chunk, written from the section BYTES of docs/format.md.

`texts` gives the texts of the data of a chunk, and `Model` those of chunks with a model of bytes. Whatever is damaged,
or not as the page says, is a ValueError.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import defaultdict

import numpy as np

FULL = (1 << 64) - 1
NEWLINE = 10
BANDS = (1, 4, 8, 12, 16, 24, 32)


def mix(a: int, b: int) -> int:
    x = (a + b + 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93 & FULL
    return x ^ x >> 32


def rate_of(n: int) -> int:
    return 655360 // (10 * n + 16)


def limited(x: int, most: int) -> int:
    return min(max(x, -most), most)


S = [limited(round(256 * math.log((k + 0.5) / (4095.5 - k))), 2047) for k in range(4096)]


def probability(x: int) -> int:
    return min(max(round(65536 / (1 + math.exp(-x / 256))), 1), 65535)


def digit(c: int) -> bool:
    return chr(c) in "0123456789"


def letter(c: int) -> bool:
    return c >= 128 or chr(c).isalpha()


def kind_of(c: int) -> int:
    if c == NEWLINE:
        return 0
    return 1 if digit(c) else 2 if letter(c) else 3 if c == 32 else 4


class State:
    """A state: a probability in 22 bits, and a number of bits."""

    def __init__(self, p: int) -> None:
        self.p, self.n = p, 0

    def copy(self) -> State:
        found = State(self.p)
        found.n = self.n
        return found

    def change(self, bit: int) -> None:
        self.p += ((bit << 22) - bit - self.p) * rate_of(self.n) >> 16
        self.n = min(250, self.n + 1)


def first_state(last: int) -> State:
    """The state of a map for the last bits at the beginning."""
    digits = bin(last)[3:]
    return State((10 * digits.count("1") + 4) * 4194303 // (10 * len(digits) + 8) if last > 1 else 1 << 21)


class RangeDecoder:
    def __init__(self, data: bytes) -> None:
        self.rest = iter(data)
        self.range, self.code = (1 << 32) - 1, 0
        for _ in range(4):
            self.code = self.code << 8 | next(self.rest, 0)

    def bit(self, pi: int) -> int:
        bound = (self.range >> 16) * pi
        found = int(self.code < bound)
        if found:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        while self.range < 1 << 24:
            self.range <<= 8
            self.code = self.code << 8 | next(self.rest, 0)
        return found


class Known:
    """Stands for a range decoder where the bits are known."""

    def __init__(self, text: bytes) -> None:
        self.bits = []
        for c in (*text, None):
            self.bits += [(NEWLINE if c is None else c) >> shift & 1 for shift in range(7, -1, -1)]
            if c in (NEWLINE, None):
                self.bits.append(int(c is None))
        self.rest = iter(self.bits)

    def bit(self, _: int) -> int:
        return next(self.rest)


class Cell:
    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.p, self.n, self.last = 1 << 15, 0, 1

    def change(self, bit: int) -> None:
        self.p += ((bit << 16) - bit - self.p) * rate_of(self.n) >> 16
        self.n = min(250, self.n + 1)
        self.last = 2 * self.last + bit
        if self.last >= 128:
            self.last = 64 + self.last % 64


class Bucket:
    def __init__(self) -> None:
        self.check, self.cells = 0, [Cell() for _ in range(16)]

    def state(self) -> tuple[int, list[tuple[int, int, int]]]:
        return self.check, [(cell.p, cell.n, cell.last) for cell in self.cells]

    def reset(self, state: tuple[int, list[tuple[int, int, int]]]) -> None:
        self.check, cells = state
        for cell, (p, n, last) in zip(self.cells, cells, strict=True):
            cell.p, cell.n, cell.last = p, n, last


class Match:
    at = length = misses = 0

    @property
    def band(self) -> int:
        return sum(self.length >= bound for bound in BANDS)


class Decoder:
    def __init__(self, bits: int, data: bytes, *, is_larger: bool = False) -> None:
        self.n_contexts, self.n_rows = (20, 6) if is_larger else (18, 5)
        self.coder, self.text, self.size = RangeDecoder(data), [NEWLINE], 1 << bits
        self.heads = [defaultdict(int) for _ in range(3)]
        self.buckets = {}  # by number
        self.maps = [{} for _ in range(self.n_contexts)]
        self.hits = defaultdict(lambda: State(3774872))
        self.w = [defaultdict(self.first_w) for _ in range(self.n_rows)]
        self.v = defaultdict(self.first_v)
        self.end, self.n_bytes, self.is_ended = State(1 << 21), 0, True
        self.learns = self.predicts = True
        self.before: dict[int, object] | None = None  # buckets and heads as they were, if they are to be put back

    def first_w(self) -> list[int]:
        return [7864] * (2 * self.n_contexts + 7)

    def first_v(self) -> list[int]:
        return [65536 // self.n_rows] * self.n_rows

    def start_line(self) -> None:
        self.is_ended, self.start, self.window = False, len(self.text), NEWLINE
        self.word = self.word_1 = self.word_2 = self.field = self.fields = 0
        self.skeleton = self.key = self.since = self.shape = self.number = 0
        self.matches = [Match(), Match(), Match()]
        self.look()

    def extend(self, c: int) -> None:
        before, self.window = self.window % 256, (self.window * 256 + c) & FULL
        if letter(c) or digit(c):
            self.word = mix(self.word, c + 1)
        else:
            if self.word:
                self.word_2, self.word_1, self.word = self.word_1, self.word, 0
            if chr(c) in ":=":
                self.key = self.word_1
        self.since = 0 if chr(c) in ":=" else self.since + 1
        if chr(c) in " ,\t":
            self.fields, self.field, self.shape = self.fields + 1, 0, 0
        else:
            self.field = mix(self.field, c + 1)
        if not (digit(c) and digit(before)):
            self.skeleton = mix(self.skeleton, 48 if digit(c) else c)
        if not digit(c):
            self.number = mix(self.skeleton, 1)
        else:
            if not digit(before):
                self.number = mix(self.word_1, self.skeleton)
            self.number = mix(self.number, c)
        self.shape = mix(self.shape, 1 if digit(c) else 2 if letter(c) else c)

    def look(self) -> None:
        t = len(self.text)
        for k, match in enumerate(self.matches):
            h = mix(self.skeleton, 99)
            if k < 2:
                h = 77 + k
                for place in range(t - 1, max(t - (6, 12)[k], self.start - 1) - 1, -1):
                    h = mix(h, self.text[place])
            m = self.heads[k][h % self.size]
            if m and k == 2 and match.length == 0:
                match.at, match.length, match.misses = m, 1, max(0, match.misses - 1)
            elif m and k < 2 and match.length < 16:
                a = 0
                while a < min(32, t - self.start + 1, m) and self.text[m - 1 - a] == self.text[t - 1 - a]:
                    a += 1
                if a >= (4, 8)[k] and a > match.length:
                    match.at, match.length, match.misses = m, a, 0
            if self.before is not None:
                self.before.setdefault((k, h % self.size), m)
            self.heads[k][h % self.size] = t

    def go_on(self, c: int) -> None:
        for match in self.matches:
            if match.at:
                match.at += 1
                if self.text[match.at - 1] == c:
                    match.length = min(65535, match.length + 1)
                    match.misses -= match.misses > 0 and match.length % 16 == 0
                else:
                    match.length, match.misses = 0, match.misses + 1
                    if match.misses > 8:
                        match.at = 0

    def contexts(self) -> list[int]:
        c, f = self.window % 256, [256 + self.text[m.at] if m.at and m.length else 0 for m in self.matches]
        orders = [self.window % 256 ** (i + 1) for i in range(6)]
        words = [mix(self.word, 0 if self.word else c), mix(self.word, self.word_1)]
        words.append(mix(words[1], self.word_2))
        fields = [mix(self.field, self.fields), self.skeleton, mix(mix(self.key, self.word), self.field)]
        others = [mix(self.shape, self.word), mix(self.number, c), self.window % (1 << 24) & ~255]
        every = [*orders, 0, *words, *fields, *others, mix(f[0], c), mix(f[2], f[1])]
        every += [mix(self.key, self.since), mix(self.key, self.window % 65536)]
        return [mix(context, i << 32) for i, context in enumerate(every[: self.n_contexts])]

    def bucket(self, h: int) -> list[Cell]:
        j, check = h % self.size, h >> 32 | 1
        one, two = (self.buckets.setdefault(number, Bucket()) for number in (j, j ^ 1))
        for number, found in ((j, one), (j ^ 1, two)):
            if self.before is not None and number not in self.before:
                self.before[number] = found.state()
        for found in (one, two):
            if found.check == check:
                return found.cells
        if not one.check:
            found = one
        elif not two.check:
            found = two
        else:
            found = two if one.cells[1].n > two.cells[1].n else one
        found.check = check
        for cell in found.cells:
            cell.clear()
        return found.cells

    def map_of(self, i: int, cell: Cell) -> State:
        key = sum(cell.n >= bound for bound in (8, 20, 250)), cell.last
        if key not in self.maps[i]:
            self.maps[i][key] = first_state(cell.last)
        return self.maps[i][key]

    def byte(self) -> int:
        if self.is_ended:
            self.start_line()
        expected = [256 + self.text[m.at] if m.at else 0 for m in self.matches]
        hashes, so_far, rate = self.contexts(), "1", 32 + 192 * 20000 // (20000 + min(self.n_bytes, 1 << 24))
        for place in range(8):
            if place == 0:
                buckets, since = [self.bucket(h) for h in hashes], "1"
            elif place == 4:
                buckets, since = [self.bucket(mix(h, 16 + int(so_far[1:], 2))) for h in hashes], "1"
            bit = self.bit([bucket[int(since, 2)] for bucket in buckets], expected, so_far, rate)
            so_far, since = so_far + str(bit), since + str(bit)
        self.n_bytes += self.learns
        c = int(so_far[1:], 2)
        self.text.append(c)
        if c == NEWLINE:
            self.is_ended = True
        else:
            self.extend(c)
            self.go_on(c)
            self.look()
        return c

    def bit(self, cells: list[Cell], expected: list[int], so_far: str, rate: int) -> int:
        if not self.predicts:
            bit = self.coder.bit(0)
            for cell in cells:
                cell.change(bit)
            return bit
        x, maps, active = [], [], {}
        for i, cell in enumerate(cells):
            state = self.map_of(i, cell) if cell.n else None
            maps.append(state)
            x += [0, 0] if state is None else [S[cell.p >> 4], S[state.p >> 10]]
        for k, (match, byte) in enumerate(zip(self.matches, expected, strict=True)):
            if not bin(byte)[2:].startswith(so_far):
                x += [0, 0]
                continue
            state = self.hits[k, match.band, min(7, match.misses)]
            wanted, r = int(bin(byte)[2:][len(so_far)]), S[state.p >> 10]
            active[k] = state, wanted
            sign = 1 if wanted else -1
            x += [sign * r, sign * 256 if r > 0 else 0]
        x.append(256)
        rows = self.rows(cells, active, so_far)
        w, v = [table[row] for table, row in zip(self.w, rows, strict=True)], self.v[rows[0]]
        y = [limited(sum(a * b >> 8 for a, b in zip(x, row, strict=True)) >> 8, 2815) for row in w]
        z = limited(sum(a * b for a, b in zip(y, v, strict=True)) >> 16, 2815)
        bit = self.coder.bit(probability(z))
        if not self.learns:
            for cell in cells:
                cell.change(bit)
            return bit
        for state in maps:
            if state is not None:
                state.change(bit)
        for state, wanted in active.values():
            state.change(int(wanted == bit))
        for k, row in enumerate(w):
            error = ((bit << 16) - probability(y[k])) * rate >> 8
            row[:] = [limited(b + ((a * error + (1 << 15)) >> 16), 1 << 19) for a, b in zip(x, row, strict=True)]
            v[k] += (y[k] * ((bit << 16) - probability(z)) * 2 + (1 << 19)) >> 20
        for cell in cells:
            cell.change(bit)
        return bit

    def rows(self, cells: list[Cell], active: dict[int, tuple[State, int]], so_far: str) -> list[int]:
        place, (one, two, three) = len(so_far) - 1, self.matches
        alpha = (1 + (one.length >= 16) + (one.length >= 32)) * (0 in active)
        beta = (1 + two.band) * (1 in active)
        gamma = (1 if three.misses else 2) * (2 in active)
        delta = 0
        if 0 in active and 2 in active:
            delta = 1 if active[0][1] == active[2][1] else 2
        kinds = [kind_of(self.window >> shift & 255) for shift in (0, 8, 16)]
        known = sum(cell.n > 0 for cell in cells)
        return [
            int(so_far, 2),
            self.window % 256,
            ((4 * beta + alpha) * 3 + gamma) * 3 + delta,
            8 * known + place,
            8 * (25 * kinds[0] + 5 * kinds[1] + kinds[2]) + place,
            8 * (self.key % 64) + place,
        ][: self.n_rows]

    def is_end(self) -> int:
        bit = self.coder.bit(min(max(self.end.p >> 6, 32), 65504))
        if self.learns:
            self.end.change(bit)
        return bit

    def record(self, most: int) -> bytes:
        """Read a text."""
        text = bytearray()
        while True:
            byte = self.byte()
            if byte == NEWLINE and self.is_end():
                return bytes(text)
            text.append(byte)
            if len(text) > most:
                raise ValueError("a text is too long")

    def session(self, coder: object, n: int, most: int, *, keeps: bool = False) -> list[bytes]:
        """Read n texts; the tables and the text are then as before, unless they are to be kept."""
        self.coder, self.is_ended, length = coder, True, len(self.text)
        self.before = None if keeps else {}
        found = [self.record(most) for _ in range(n)]
        for place, value in ({} if keeps else self.before).items():
            if isinstance(place, tuple):
                self.heads[place[0]][place[1]] = value
            else:
                self.buckets[place].reset(value)
        if not keeps:
            del self.text[length:]
        self.before = None
        return found

    def learnt(self) -> tuple:
        """A copy of what is learnt."""
        maps = [{key: state.copy() for key, state in one.items()} for one in self.maps]
        hits = {key: state.copy() for key, state in self.hits.items()}
        w = [{key: list(row) for key, row in one.items()} for one in self.w]
        return maps, hits, w, {key: list(row) for key, row in self.v.items()}, self.end.copy(), self.n_bytes

    def take(self, learnt: tuple) -> None:
        maps, hits, w, v, self.end, self.n_bytes = learnt
        self.maps, self.hits = maps, defaultdict(lambda: State(3774872), hits)
        self.v = defaultdict(self.first_v, v)
        self.w = [defaultdict(self.first_w, one) for one in w]

    def take_mean(self, several: list[tuple]) -> None:
        """Take the last of several copies of what is learnt, with the mean of all, rounded down."""
        maps, hits, w, v, end, n_bytes = several[-1]
        for i, one in enumerate(maps):
            for key, state in one.items():
                state.p = sum(copy[0][i].get(key, first_state(key[1])).p for copy in several) // len(several)
        for key, state in hits.items():
            state.p = sum(copy[1].get(key, State(3774872)).p for copy in several) // len(several)
        mean_w = [
            {key: mean_row([copy[2][i].get(key, self.first_w()) for copy in several]) for key in one}
            for i, one in enumerate(w)
        ]
        mean_v = {key: mean_row([copy[3].get(key, self.first_v()) for copy in several]) for key in v}
        self.take((maps, hits, mean_w, mean_v, end, n_bytes))


def mean_row(rows: list[list[int]]) -> list[int]:
    return [sum(column) // len(rows) for column in zip(*rows, strict=True)]


def symbols() -> dict[int, int]:
    """The symbol of each byte."""
    first = [ord(c) for c in "abcdefghijklmnopqrstuvwxyz 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    first += [byte for byte in range(33, 127) if byte not in first] + [9, *range(128, 256)]
    last = [13, 0, 10]
    rest = [byte for byte in range(256) if byte not in first and byte not in last]
    return {byte: symbol for symbol, byte in enumerate([*first, *rest, *last], 1)}


def records(data: bytes, n: int, length: int) -> np.ndarray:
    """Return the records of a chunk, as symbols."""
    found, of_byte = np.zeros((n, length), np.uint16), symbols()
    for record, text in zip(found, texts(data, n, length), strict=True):
        record[: len(text)] = [of_byte[byte] for byte in text]
    return found


def texts(data: bytes, n: int, length: int) -> list[bytes]:
    """Return the n texts of a chunk, of at most ``length`` bytes each."""
    if len(data) < 5:
        raise ValueError("the texts are cut off")
    bits, n_bytes = struct.unpack_from("<BI", data)
    if not 1 <= bits <= 20 or n_bytes > n * length:
        raise ValueError("the texts are too large")
    decoder = Decoder(bits, data[5:])
    found = [decoder.record(length) for _ in range(n)]
    if sum(map(len, found)) != n_bytes:
        raise ValueError("the texts have another number of bytes than stated")
    return found


class Model:
    """A model of bytes: a sample, from which is learnt."""

    def __init__(self, settings: dict, tensors: dict[str, np.ndarray]) -> None:
        n_bytes, n, bits = (settings[name] for name in ("n_bytes", "n_records", "bits"))
        coded = tensors["coded"]
        if coded.dtype != np.int16 or coded.ndim != 1 or (coded.size and not 0 <= coded.min() <= coded.max() <= 255):
            raise ValueError("the sample of a model is not as it should be")
        if not 1 <= bits <= 22 or not 0 <= n_bytes + n <= 1 << 24:
            raise ValueError("the sample of a model is too large")
        self.is_first = settings["model"] == "bytes"
        self.block = 32 if self.is_first else min(64, 1 + n // 32)
        self.is_larger = settings["model"] in {"bytes-3", "bytes-4"}
        self.is_mean = settings["model"] == "bytes-4"
        self.bits, self.groups = bits, Decoder(bits, bytes(coded.tolist()), is_larger=self.is_larger)
        self.sample = self.groups.session(self.groups.coder, n, n_bytes, keeps=True)
        if sum(map(len, self.sample)) != n_bytes:
            raise ValueError("the sample of a model has another number of bytes")
        self.after_sample = self.groups.learnt()
        self._alone: Decoder | None = None

    def alone(self) -> Decoder:
        """The state for texts that are coded alone."""
        if self._alone is None:
            self._alone = state = Decoder(self.bits, b"", is_larger=self.is_larger)
            self.groups.take(self.after_sample)
            state.take(self.groups.learnt())
            copies = []
            for block in range(0, len(self.sample), self.block):
                some = self.sample[block : block + self.block]
                if block % (2 * self.block if self.is_first else 1 << 24):
                    state.learns = True
                    for text in some:
                        state.session(Known(text), 1, len(text))
                    if self.is_mean and 2 * block >= len(self.sample):
                        copies.append(state.learnt())
                state.learns = state.predicts = False
                for text in some:
                    state.session(Known(text), 1, len(text), keeps=True)
                state.predicts = True
            if copies:
                state.take_mean(copies)
        return self._alone

    def records(self, data: bytes, shape: tuple[int, ...], group: int) -> np.ndarray:
        """Return the records of a chunk, as symbols."""
        n, length = shape
        size, at = number(data, 0)
        lengths, rest = lengths_of(data[at : at + size], -(-n // group)), data[at + size :]
        if size > len(data) - at or sum(lengths) != len(rest):
            raise ValueError("the lengths of texts do not add up")
        found, of_byte, k = np.zeros((n, length), np.uint16), symbols(), 0
        for n_coded in lengths:
            coded, rest = rest[:n_coded], rest[n_coded:]
            for text in self.read(coded, min(group, n - k), length, is_group=group > 1):
                found[k, : len(text)] = [of_byte[byte] for byte in text]
                k += 1
        return found

    def read(self, coded: bytes, n: int, length: int, *, is_group: bool) -> list[bytes]:
        if not is_group:
            return self.alone().session(RangeDecoder(coded), n, length)
        found = self.groups.session(RangeDecoder(coded), n, length)
        self.groups.take(self.after_sample)
        self.after_sample = self.groups.learnt()
        return found


def number(data: bytes, at: int) -> tuple[int, int]:
    """A number in base 128, and where the next begins."""
    found = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number is cut off")
        found, shift, at = found + ((data[at] & 127) << shift), shift + 7, at + 1
        if data[at - 1] < 128:
            return found, at


def lengths_of(packed: bytes, n: int) -> list[int]:
    """The lengths of n groups."""
    stream = zlib.decompressobj(-15)
    try:
        plain, at, found = stream.decompress(packed, 5 * n), 0, []
    except zlib.error as error:
        raise ValueError("the lengths of texts are damaged") from error
    for _ in range(n):
        one, at = number(plain, at)
        found.append(one)
    if not stream.eof or stream.unused_data or at != len(plain):
        raise ValueError("the lengths of texts are not as they should be")
    return found
