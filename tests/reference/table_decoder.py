"""A second, independent reader of archives of tables in files of text, written from docs/format.md, section Tables.

`read` gives the bytes of the file. Whatever is damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import struct
import zlib
from pathlib import Path

import bytes_decoder
import columns_decoder
import zstandard

MASK, HALF = (1 << 64) - 1, 1 << 63
RECORDS, MODEL, INDEX = 2, 1, 3
EPOCH = datetime.date(1970, 1, 1)


def require(true: object, why: str) -> None:
    if not true:
        raise ValueError(why)


def inflate(frame: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(frame, max_output_size=1 << 24)


def blocks(data: bytes, at: int) -> list[tuple[int, int, int, int, bytes]]:
    """Type, coding, first, number of records and payload of each block up to the index."""
    found = []
    while True:
        head = data[at : at + 32]
        require(head[:4] == b"\xb7NRB" and zlib.crc32(head[:28]) == int.from_bytes(head[28:], "little"), "no block")
        kind, coding, _, size, first, n = struct.unpack("<BBHQQI", head[4:28])
        payload = data[at + 32 : at + 32 + size]
        require(zlib.crc32(payload) == int.from_bytes(data[at + 32 + size :][:4], "little"), "a damaged payload")
        if kind == INDEX:
            return found
        found.append((kind, coding, first, n, payload))
        at += 36 + size


def number(reader: list) -> int:
    value = shift = 0
    while True:
        data, at = reader
        reader[1] += 1
        value |= (data[at] & 127) << shift
        shift += 7
        if data[at] < 128:
            return value


def exceptions(packed: bytes) -> dict[int, dict[int, bytes]]:
    if not packed:
        return {}
    reader, found = [inflate(packed), 0], {}
    for _ in range(number(reader)):
        column, n, row, rows = number(reader), number(reader), 0, []
        for _ in range(n):
            row += number(reader)
            rows.append(row)
        lengths = [number(reader) for _ in range(n)]
        found[column] = {}
        for one, length in zip(rows, lengths, strict=True):
            found[column][one] = reader[0][reader[1] : reader[1] + length]
            reader[1] += length
    require(reader[1] == len(reader[0]), "bytes after the exceptions")
    return found


def unpacked(data: bytes) -> tuple[int, dict, list[tuple[int, int, int, int, bytes]]]:
    """Features, metadata and blocks of an archive, which may be packed."""
    magic, major, _, features, m = struct.unpack_from("<8sHHII", data)
    require(magic == b"\x89NRW\r\n\x1a\n", "no archive")
    if major == 1:
        require(zlib.crc32(data[: 20 + m]) == int.from_bytes(data[20 + m :][:4], "little"), "a damaged header")
        return features, json.loads(data[20 : 20 + m]), blocks(data, 24 + m)
    require(major == 2 and zlib.crc32(data[16:]) == features, "damaged")  # its place has the CRC-32
    require(data[16] == 4, "no packed table")
    reader, found, n_rows = [data, 17], [], 0
    text = take(reader, number(reader))
    metadata = json.loads(zlib.decompressobj(-15, zdict=dictionary()).decompress(text))
    while reader[1] < len(data):
        kind = take(reader, 1)[0]
        n = number(reader) if kind == RECORDS else 0
        payload = take(reader, number(reader))
        found.append((kind, 3 if kind == RECORDS else 0, n_rows if kind == RECORDS else 0, n, payload))
        n_rows += n
        if kind == MODEL:
            metadata["model"] = hashlib.sha256(payload).hexdigest()
    entries = {"table": 12, "plain_rows": 15, "long_rows": 19}
    return sum((metadata.get(name) is not None) << bit for name, bit in entries.items()), metadata, found


def take(reader: list, n: int) -> bytes:
    reader[1] += n
    require(reader[1] <= len(reader[0]), "an end")
    return reader[0][reader[1] - n : reader[1]]


def dictionary() -> bytes:
    """The dictionary of the page."""
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    section = page.split("\n### Packed tables\n")[1].split("\n### ")[0]
    return "".join(re.findall(r"^    (.*)$", section, re.MULTILINE)).encode()


def plain(blob: bytes, most: int) -> bytes:
    """The text of a table as a text."""
    reader = [blob, 0]
    n = number(reader)
    require(0 < n <= most, "a text that is too long")
    if take(reader, 1) == b"\0":
        return blob[reader[1] :]
    bits = take(reader, 1)
    return bytes_decoder.texts(bits + struct.pack("<I", n) + blob[reader[1] :], 1, n)[0]


def model(blob: bytes) -> tuple[dict, list[bytes], columns_decoder.Model]:
    (a,) = struct.unpack_from("<I", blob)
    described, at = json.loads(inflate(blob[4 : 4 + a])), 4 + a
    b, n, n_bytes, kind = struct.unpack_from("<IIIB", blob, at)
    packed, at = blob[at + 13 : at + 13 + b], at + 13 + b
    if kind == 1:
        head = packed[:1] + struct.pack("<I", n_bytes)
        texts = bytes_decoder.texts(head + packed[1:], n, max(1, n_bytes))
    else:
        data, place = inflate(packed), 4 * n
        texts = []
        for length in struct.unpack_from(f"<{n}I", data):
            texts.append(data[place : place + length])
            place += length
    return described, texts, columns_decoder.Model(blob[at:])


def written(rule: dict, value: object, words: list[bytes]) -> bytes:
    """The text of a value that is not missing."""
    kind = rule["rule"]
    if kind == "text":
        return value
    if kind == "category":
        return words[value] if value < len(words) else b""
    if kind == "float":
        bits = value if value >= 0 else value ^ (HALF - 1)
        return repr(struct.unpack("<d", struct.pack("<q", bits))[0]).encode()
    whole = (rule.get("start", 0) + rule.get("step", 1) * value + HALF & MASK) - HALF
    return decimal(rule, whole) if kind == "number" else moment(rule["pattern"], whole)


def decimal(rule: dict, whole: int) -> bytes:
    digits, least = rule.get("digits", 0), rule.get("least", 0)
    text = str(abs(whole)).zfill(max(digits + 1, rule.get("width", 0)))
    front, after = text[: len(text) - digits], text[len(text) - digits :]
    while len(after) > least and after.endswith("0"):
        after = after[:-1]
    return (("-" if whole < 0 else "") + front + ("." + after if after else "")).encode()


def moment(pattern: str, whole: int) -> bytes:
    letters = "".join(part for i, part in enumerate(pattern.split("'")) if i % 2 == 0)
    n_decimals = letters.count("f")
    per_day = 1 if "H" not in letters else 1440 if "S" not in letters else 86400 * 10**n_decimals
    days, rest = divmod(whole, per_day)
    parts = {}
    if "S" in letters:
        rest, parts["f"] = divmod(rest, 10**n_decimals)
        rest, parts["S"] = divmod(rest, 60)
    parts["H"], parts["M"] = divmod(rest, 60)
    date = EPOCH + datetime.timedelta(min(max(days, -719162), 2932896))
    parts |= {"Y": date.year, "m": date.month, "d": date.day}
    width = {"Y": 4, "f": n_decimals}
    texts = {letter: iter(f"{value:0{width.get(letter, 2)}}") for letter, value in parts.items()}
    out, is_quoted = "", False
    for letter in pattern:
        if letter == "'":
            is_quoted = not is_quoted
        else:
            out += next(texts[letter]) if not is_quoted and letter in texts else letter
    return out.encode()


def read(path: Path, learned: bytes | None = None) -> bytes:
    """Return the bytes of the file in an archive; ``learned`` is its model, if that is elsewhere."""
    data = path.read_bytes()
    features, metadata, found = unpacked(data)
    require(features & ~(1 << 15 | 1 << 19) == 1 << 12, "no archive of a table")
    blob = next((payload for kind, *_, payload in found if kind == MODEL), learned)
    require(hashlib.sha256(blob).hexdigest() == metadata["model"], "another model")
    if features >> 15 & 1:
        require([one[4][4:] for one in found[1:]] == [b"\x12\0\0\0\0"], "other rows")
        return plain(blob, 1 << (22 if features >> 19 else 20))
    described, texts, coder = model(blob)
    rules, words = described["columns"], []
    for rule in rules:
        words.append(texts[: rule["categories"]])
        texts = texts[rule["categories"] :]
    table = metadata["table"]
    file, order = table.get("file", described["file"]), table.get("order", list(range(len(rules))))
    newline, delimiter = b"\r\n" if file["returns"] else b"\n", bytes([file["delimiter"]])
    rows: list[bytes] = []
    for kind, coding, first, n, payload in found:
        if kind != RECORDS:
            continue
        crc, of_kind, e = struct.unpack_from("<IBI", payload)
        require(coding == 3 and of_kind == 15 and first == len(rows), "an unknown group")
        columns = coder.group(payload[9 + e :], n)
        kept, cells = exceptions(payload[9 : 9 + e]), [[b""] * len(rules) for _ in range(n)]
        for number_, (rule, column) in enumerate(zip(rules, columns, strict=True)):
            place = order[number_]
            quote = bytes([file["quote"]]) if rule.get("quoted") else b""
            for i, value in enumerate(column):
                text = bytes.fromhex(rule["null"]) if value is None and "null" in rule else b""
                text = text if value is None else quote + written(rule, value, words[number_]) + quote
                cells[i][place] = kept.get(place, {}).get(i, text)
        group = [delimiter.join(row) + newline for row in cells]
        require(zlib.crc32(b"".join(group)) == crc, "another checksum")
        rows += group
    body = b"".join(rows)
    body = body.removesuffix(newline) if file["open_end"] else body
    return bytes.fromhex(file["head"]) + body + bytes.fromhex(file["tail"])
