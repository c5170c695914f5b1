"""A second, independent decoder of columns, written from the section Columns of docs/format.md.

`Model(data).group(coded, n)` gives the columns of a group: lists with None where an entry is missing. Whatever is
damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

import copy
import io
from collections import defaultdict
from itertools import accumulate

import zstandard
from bytes_decoder import FULL, NEWLINE, Decoder, RangeDecoder, S, State, limited, mix, probability

COUNTS = (1, 2, 3, 4, 5, 6, 8, 12, 20, 40, 80, 160, 250)
NUMBERS, CATEGORIES, TEXTS = range(3)


def require(true, why):
    if not true:
        raise ValueError(why)


def wrapped(number):
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self):
        found = shift = 0
        while True:
            (byte,) = self.take(1)
            found |= byte % 128 << shift
            shift += 7
            if byte < 128:
                return found

    def signed(self):
        number = self.number()
        return -(number + 1) // 2 if number % 2 else number // 2

    def take(self, n):
        found = self.data[self.at : self.at + n]
        require(len(found) == n, "the bytes are cut off")
        self.at += n
        return found

    def packed(self):
        (way,), n = self.take(1), self.number()
        require(way < 2, "bytes are packed in an unknown way")
        if way == 0:
            return self.take(n)
        return zstandard.ZstdDecompressor().decompress(self.take(self.number()), max_output_size=n)

    def list(self):
        n = self.number()
        inner = Reader(self.packed())
        found = [inner.signed() for _ in range(n)]
        require(inner.at == len(inner.data), "a list is too long")
        return found


class Words:
    """The words of a column of texts, and the decoder of others."""

    def __init__(self, reader, is_limited):
        n = reader.number()
        shared, further, word = Reader(reader.packed()), Reader(reader.packed()), b""
        self.words = []
        for _ in range(n):
            word = word[: shared.number()] + further.take(shared.number())
            self.words.append(word)
        n_bytes, n_texts, bits, size = (reader.number() for _ in range(4))
        self.decoder = Decoder(bits, reader.take(size))
        require(sum(map(len, self.texts(self.decoder, n_texts))) == n_bytes, "the sample is damaged")
        self.is_limited = is_limited
        if is_limited:
            reader.number()

    @staticmethod
    def texts(decoder, n):
        found = []
        for _ in range(n):
            text = bytearray()
            while (byte := decoder.byte()) != NEWLINE or not decoder.is_end():
                text.append(byte)
            found.append(bytes(text))
        return found

    def others(self, reader, n):
        if not self.is_limited:
            return self.short(reader, n)
        numbers, data = reader.list(), io.BytesIO(reader.packed())
        half = len(numbers) // 2
        long = {i: data.read(size) for i, size in zip(accumulate(numbers[:half]), numbers[half:], strict=True)}
        require(not data.read(), "long texts are too long")
        short = iter(self.short(reader, n - len(long)))
        return [long[i] if i in long else next(short) for i in range(n)]

    def short(self, reader, n):
        n_bytes, coded = reader.number(), reader.take(reader.number())
        decoder = copy.deepcopy(self.decoder)
        decoder.coder, decoder.is_ended = RangeDecoder(coded), True
        found = self.texts(decoder, n)
        require(sum(map(len, found)) == n_bytes, "texts have another number of bytes than stated")
        return found


class Plan:
    def __init__(self, numbers, gaps, widths, weights):
        head = [next(numbers) for _ in range(7)]
        self.mask, self.modulus, self.lowest, self.bias, self.shift, self.start, self.rate = head
        self.terms = [[next(numbers) for _ in range(5)] for _ in range(next(numbers))]
        self.contexts = [
            [[next(numbers) for _ in range(4)] for _ in range(next(numbers))] for _ in range(next(numbers))
        ]
        self.edges = list(accumulate(next(numbers) for _ in range(next(numbers))))
        self.leaves, end = [], 0
        for _ in range(next(numbers)):
            start, width = end + next(gaps), next(widths) + 1
            self.leaves.append((start, width))
            end = start + width
        self.root = self.tree([1 << next(weights) for _ in self.leaves])

    @staticmethod
    def tree(weights):
        """The root: a node is a dictionary, a leaf its number."""
        total = [0, *accumulate(weights)]

        def divided(a, c):
            return min(range(a + 1, c), key=lambda m: (abs(2 * total[m] - total[a] - total[c]), m))

        def child(a, c):
            return a if c - a == 1 else {"of": (a, c)}

        root = child(0, len(weights))
        level = [root] if isinstance(root, dict) else []
        n = blocks = depth = 0
        if level:
            root |= {"block": 0, "cell": 1}
        while level:
            following = []
            for node in level:
                a, c = node["of"]
                m = divided(a, c)
                node |= {"number": n, "depth": depth, "children": (child(a, m), child(m, c)), "split": m}
                n += 1
                for side, other in enumerate(node["children"]):
                    if not isinstance(other, dict):
                        continue
                    if node["cell"] < 4:
                        other |= {"block": node["block"], "cell": 2 * node["cell"] + side}
                    else:
                        blocks += 1
                        other |= {"block": blocks, "cell": 1}
                    following.append(other)
            level, depth = following, depth + 1
        return root


class Bucket:
    def __init__(self):
        self.check, self.states = 0, []
        self.clear()

    def clear(self):
        self.states = [State(1 << 21) for _ in range(8)]


class Rows:
    """The rows of a group."""

    def __init__(self, model, coded, exceptions):
        plans, bits, self.lookups = model.plans, model.bits, model.lookups
        self.plans, self.size, self.coder, self.exceptions = plans, 1 << bits, RangeDecoder(coded), exceptions
        self.x, self.r = [], []
        self.buckets = defaultdict(Bucket)
        self.maps, self.w, self.v, self.g = {}, {}, {}, defaultdict(int)

    def value(self, i, lag, k):
        return self.x[i - lag][k] if i >= lag else self.plans[k].start

    def row(self, i):
        self.x.append([])
        self.r.append([])
        for k, plan in enumerate(self.plans):
            total = plan.bias
            for column, lag, other, other_lag, factor in plan.terms:
                total += factor * self.value(i, lag, column) * (self.value(i, other_lag, other) if other >= 0 else 1)
            p, r, place = wrapped(total) >> plan.shift, 0, i * len(self.plans) + k
            if k in self.lookups:
                earlier, numbers = self.lookups[k]
                p = wrapped(p + numbers.get(self.x[i][earlier], 0))
            is_missing = plan.mask >= 0 and self.x[i][plan.mask] != 0
            is_exception = place in self.exceptions and not is_missing
            if not is_missing and not is_exception:
                r = self.residual(i, k, plan, p)
            x = wrapped(p + r)
            if plan.modulus:
                x = plan.lowest + wrapped(p + r - plan.lowest) % plan.modulus
            self.x[i].append(self.exceptions[place] if is_exception else x)
            self.r[i].append(r)

    def feature(self, i, p, kind, column, lag, shift):
        if kind == 3:
            return p >> shift
        if kind == 1:
            return self.r[i - lag][column] >> shift if i >= lag else 0
        x = self.value(i, lag, column)
        if kind == 2:
            return sum(edge <= x for edge in self.plans[column].edges) >> shift
        return x >> shift if kind == 0 else x % shift if kind == 4 else wrapped(x - p) >> shift

    def residual(self, i, k, plan, p):
        node, hashes = plan.root, []
        if isinstance(node, dict):
            for j, context in enumerate(plan.contexts):
                h = 12 * k + j
                for one in context:
                    h = mix(h, self.feature(i, p, *one) & FULL)
                hashes.append(h)
        while isinstance(node, dict):
            if node["cell"] == 1:
                block = node["block"]
                buckets = [self.bucket(mix(h, block) if block else h) for h in hashes]
            node = node["children"][self.decision(k, plan, node, buckets)]
        start, width = plan.leaves[node]
        while width > 1:
            half = width // 2
            if self.coder.bit(((width - half) << 16) // width if width <= 1 << 16 else 1 << 15):
                start, width = start + half, width - half
            else:
                width = half
        return start

    def bucket(self, h):
        j, check = h % self.size, h >> 32 | 1
        one, two = self.buckets[j], self.buckets[j ^ 1]
        for found in (one, two):
            if found.check == check:
                return found
        found = one if not one.check or (two.check and one.states[1].n <= two.states[1].n) else two
        found.check = check
        found.clear()
        return found

    def map_of(self, k, j, state):
        key = k, j, sum(state.n >= bound for bound in COUNTS), S[state.p >> 10] + 2048 >> 7
        if key not in self.maps:
            self.maps[key] = State(probability(128 * key[3] - 1984) << 6)
        return self.maps[key]

    def decision(self, k, plan, node, buckets):
        cell, x, maps = node["cell"], [], []
        ns = [bucket.states[cell].n for bucket in buckets]
        for j, bucket in enumerate(buckets):
            state = bucket.states[cell]
            maps.append(self.map_of(k, j, state))
            x += [S[state.p >> 10], S[maps[-1].p >> 10]] if state.n else [0, 0]
        x.append(256)
        counts = 0
        for n in ns[1:4]:
            counts = 4 * counts + (n > 0) + (n > 3) + (n > 30)
        known = 8 * sum(n > 0 for n in ns) + min(7, node["depth"])
        first = min(127, node["number"])
        each = 19661 // len(buckets) + 3277
        w = [self.w.setdefault((k, t, row), [each] * len(x)) for t, row in enumerate((first, known, counts))]
        v = self.v.setdefault((k, first), [21845] * 3)
        y = [limited(sum(a * b >> 8 for a, b in zip(x, row, strict=True)) >> 8, 2815) for row in w]
        z = limited(sum(a * b for a, b in zip(y, v, strict=True)) >> 16, 2815)
        bit = self.coder.bit(probability(z))
        rate = plan.rate + 224 * 400 // (400 + self.g[k, first])
        self.g[k, first] = min(1 << 20, self.g[k, first] + 1)
        for t, row in enumerate(w):
            error = ((bit << 16) - probability(y[t])) * rate >> 8
            row[:] = [limited(b + ((a * error + (1 << 15)) >> 16), 1 << 19) for a, b in zip(x, row, strict=True)]
            v[t] += (y[t] * ((bit << 16) - probability(z)) * 2 + (1 << 19)) >> 20
        for one, bucket in zip(maps, buckets, strict=True):
            if bucket.states[cell].n:
                one.change(bit)
            bucket.states[cell].change(bit)
        return bit


class Model:
    def __init__(self, data):
        reader = Reader(data)
        version, n, *entries = reader.list()
        require(1 <= version <= 4 and len(entries) == 7 * n, "the model has another version, or is damaged")
        self.columns = [entries[at : at + 7] for at in range(0, 7 * n, 7)]
        self.words = [Words(reader, version > 2) if column[0] == TEXTS else None for column in self.columns]
        *self.order, self.bits = reader.list()
        numbers, *leaves = (iter(reader.list()) for _ in range(4))
        self.plans = [Plan(numbers, *leaves) for _ in range(next(numbers))]
        self.lookups, found = {}, iter(reader.list() if version % 2 == 0 else [0])
        for _ in range(next(found)):
            k, earlier, n = (next(found) for _ in range(3))
            keys = list(accumulate(next(found) for _ in range(n)))
            self.lookups[k] = earlier, {key: next(found) for key in keys}
        require(reader.at == len(data), "the model is too long")

    def group(self, data, n):
        reader = Reader(data)
        escapes = iter(reader.list())

        def rows():
            return list(accumulate(next(escapes) for _ in range(next(escapes))))

        absent, wrong = [], []
        for kind, mask, *_ in self.columns:
            absent.append([] if mask else rows())
            wrong.append({})
            if kind == NUMBERS:
                wrong[-1] = {row: next(escapes) for row in rows()}
        exceptions = {place: next(escapes) for place in rows()}
        found = Rows(self, reader.take(reader.number()), exceptions)
        for i in range(n):
            found.row(i)
        of_stream = {stream: [row[k] for row in found.x] for k, stream in enumerate(self.order)}
        streams, columns = iter(of_stream[stream] for stream in range(len(self.order))), []
        for k, (kind, mask, base, step, clock, low, known) in enumerate(self.columns):
            missing = [value != 0 for value in next(streams)] if mask else [i in absent[k] for i in range(n)]
            values = next(streams)
            for _ in range(low):
                values = [wrapped((a << 24) + b) for a, b in zip(values, next(streams), strict=True)]
            if kind == NUMBERS:
                values = [a // 60 * 100 + a % 60 if clock else wrapped(a * step + base) for a in values]
                values = [wrong[k].get(i, a) for i, a in enumerate(values)]
            if kind == TEXTS:
                is_other = [not no and a == known for no, a in zip(missing, values, strict=True)]
                others = iter(self.words[k].others(reader, sum(is_other)))
                words = [*self.words[k].words, b""]
                values = [next(others) if other else words[a] for other, a in zip(is_other, values, strict=True)]
            columns.append([None if no else a for no, a in zip(missing, values, strict=True)])
        require(reader.at == len(data) and next(escapes, None) is None, "the group is too long")
        return columns
