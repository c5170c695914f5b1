"""Archives of tables, damaged and made to deceive: what comes out is right, or an error by name.

As part of the tests some dozens; by itself as many as you like, here with seed 7::

    python tests/archive/fuzz_tables.py 20000 7

What a forged model restores may be anything, but no other error than those of narrows.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import struct
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import zstandard

import narrows
from narrows.archive import open_archive, recover, verify
from narrows.archive.blocks import BlockWriter
from narrows.archive.byte_file import ByteFile
from narrows.archive.header import read_header, read_index, read_payload
from narrows.archive.layout import BLOCK_BYTES, pack_header, parse_block, parse_header, size_of_header
from narrows.archive.packing import PACKED, unpack
from narrows.archive.table_writer import compress_table
from narrows.data.tables.opening import open_csv
from narrows.errors import NarrowsError

_spec = importlib.util.spec_from_file_location("narrows_fuzz_series", Path(__file__).with_name("fuzz_series.py"))
series = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = series
_spec.loader.exec_module(series)
fuzz = series.fuzz

TABLE = "n,word,text,when\n" + "".join(
    f"{i * 7 % 40 / 4},{'abc'[i % 3]},{'x' * (i % 4)}{i * 31 % 97},2024-01-{i % 28 + 1:02}\n" for i in range(24)
).replace("0.5,", "half,", 1)
NUMBERS = (-(1 << 70), -1, 0, 1, 2, 63, 1 << 20, 1 << 62, 1 << 70, 1.5, True, None, "", "x", [], {})
TEXTS = (
    "number",
    "moment",
    "float",
    "category",
    "text",
    "csv",
    "arrow",
    "YYYY",
    "mm",
    "HH:MM'",
    "'",
    "utf-9",
    "zz",
    "00",
)


class Original(NamedTuple):
    """A whole archive of the table."""

    data: bytes


def originals(folder: Path) -> list[Original]:
    """Return an archive in three groups, one in one, and one as a text, also packed."""
    made = []
    (folder / "t.csv").write_text(TABLE)
    for n_bytes, most in ((8 * 16, 0), (1 << 20, 0), (1 << 20, 1 << 15)):
        with (
            mock.patch("narrows.archive.table_writer._GROUP_BYTES", n_bytes),
            mock.patch("narrows.archive.plain_table.MOST_TEXT", most),
        ):
            compress_table(open_csv(folder / "t.csv"), folder / "whole", force=True)
        data = (folder / "whole").read_bytes()
        made.append(Original(unpack(data) if data.startswith(PACKED) else data))
    return [*made, Original(data)]


def forge_the_description(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change something in the description of the table, or in its text, with hashes and checksums that are right."""
    data = unpack(data) if data.startswith(PACKED) else data
    scratch = Path(tempfile.mkstemp(dir=fuzz.SCRATCH)[1])
    scratch.write_bytes(data)
    try:
        with ByteFile(scratch) as source:
            header = read_header(source)
            index = read_index(source, header)
            blocks = [parse_block(source.read(at, BLOCK_BYTES)) for at in index.entries["offset"].tolist()]
            payloads = [
                read_payload(source, at, block, "a block", source.size)
                for at, block in zip(index.entries["offset"].tolist(), blocks, strict=True)
            ]
    finally:
        scratch.unlink()
    metadata = parse_header(data[: size_of_header(data[:20], len(data))])
    if "plain_rows" in metadata:
        forge_the_text(payloads, metadata, rng)
    else:
        (n,) = struct.unpack_from("<I", payloads[0])
        described = json.loads(zstandard.ZstdDecompressor().decompress(payloads[0][4 : 4 + n]))
        change(described if rng.random() < 0.8 else metadata["table"], rng)
        packed = zstandard.ZstdCompressor().compress(json.dumps(described).encode())
        payloads[0] = struct.pack("<I", len(packed)) + packed + payloads[0][4 + n :]
    metadata["model"] = hashlib.sha256(payloads[0]).hexdigest()
    made = Path(tempfile.mkstemp(dir=fuzz.SCRATCH)[1])
    with made.open("wb") as file:
        head = pack_header(metadata)
        file.write(head)
        writer = BlockWriter(file, head, len(head))
        writer.model(payloads[0])
        for block, payload in zip(blocks[1:], payloads[1:], strict=True):
            writer.records(payload, block.first, block.n_records, block.coding)
        writer.finish(index.n_records)
    found = made.read_bytes()
    made.unlink()
    return found


def forge_the_text(payloads: list[bytes], metadata: dict, rng: random.Random) -> None:
    """Change how a text is read, or put another in its place."""
    text = bytearray(TABLE.encode())
    for _ in range(rng.randrange(4)):
        text[rng.randrange(len(text))] = rng.choice(b'\n",;\0\xff')
    payloads[0] = bytes((len(text) & 127 | 128, len(text) >> 7, rng.choice((0, 0, 1)))) + bytes(text)
    metadata["plain_rows"] = {
        rng.choice(("delimiter", "encoding", "header", "kinds", "skipped", "other")): rng.choice(
            (*NUMBERS, *TEXTS, {"n": "text"}, {"n": "skip"}, {"word": "date"}, {"other": "text"}, ["n"])
        )
        for _ in range(rng.randrange(3))
    }


def change(values: object, rng: random.Random) -> None:
    """Change one entry, somewhere in JSON values."""
    keys = list(values) if isinstance(values, dict) else list(range(len(values)))
    if not keys:
        return
    key = rng.choice(keys)
    one = values[key]
    if isinstance(one, dict | list) and one and rng.random() < 0.9:
        change(one, rng)
    elif isinstance(values, dict) and rng.random() < 0.1:
        del values[key]
    else:
        values[key] = rng.choice(NUMBERS if rng.random() < 0.5 else TEXTS)


def judge(path: Path, out: Path, _original: Original, name: str, _rng: random.Random) -> str:
    """Return what came of a file: ``"right"``, or the name of the error.

    Raises
    ------
    fuzz.WrongOutcomeError
        If anything that was returned is not what was compressed, unless the model was forged.
    """
    outcome = "right"
    try:
        with open_archive(path) as archive:
            some = archive[1:3]
        found = narrows.restore(path, out=out.with_suffix(".csv"), force=True).read_bytes()
        is_forged = name == forge_the_description.__name__
        if not is_forged and (found != TABLE.encode() or some[0]["word"] != "b"):
            raise fuzz.WrongOutcomeError("the table is wrong")
    except NarrowsError as error:
        outcome = type(error).__name__
    try:
        verify(path)
        recover(path, out, force=True)
        with open_archive(out) as archive:
            archive.read()
    except NarrowsError:
        pass
    return outcome


def run(n: int, seed: int = 0, watch=None) -> Counter:
    """Put n damaged files to the test, and count what came of them.

    Raises
    ------
    fuzz.WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    with tempfile.TemporaryDirectory(dir=fuzz.SCRATCH) as scratch, mock.patch("os.fsync"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wholes = originals(Path(scratch))
    steps = (*fuzz.DAMAGE, *[forge_the_description] * 3)
    return fuzz.put_to_the_test("tables", n, seed, fuzz.by_steps(wholes, steps), judge, watch)


if __name__ == "__main__":
    fuzz.run_by_command(run)
