"""Archives of fields, damaged and made to deceive: what comes out is right, or an error by name.

As part of the tests a few hundred; by itself as many as you like, here with seed 7::

    python tests/archive/fuzz_fields.py 20000 7
"""

from __future__ import annotations

import importlib.util
import random
import struct
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unittest import mock

import numpy as np

from narrows.archive import open_archive, recover, verify
from narrows.archive.compress import compress
from narrows.archive.layout import BLOCK_BYTES, CRC_BYTES, Coding, pack_crc
from narrows.errors import NarrowsError

_spec = importlib.util.spec_from_file_location("narrows_fuzz", Path(__file__).with_name("fuzz.py"))
fuzz = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = fuzz
_spec.loader.exec_module(fuzz)


@dataclass
class Original:
    """A whole archive, and the array that it restores."""

    data: bytes
    array: np.ndarray

    @cached_property
    def rows(self) -> set[bytes]:
        return {row.tobytes() for row in self.array}


def originals(folder: Path) -> list[Original]:
    """Return archives of fields: of one block and of several, within a bound and exact, of every kind of chunk."""
    rng = np.random.default_rng(0)
    cube = np.cumsum(np.cumsum(rng.normal(size=(12, 9, 8)), 1), 2)
    holes = cube.astype(np.float32)
    holes[2:5, 3:6], holes[0, 0, 0] = np.nan, np.inf
    made = []
    for i, (array, most, how) in enumerate(
        (
            (cube[:, 0], 1 << 20, {"max_error": 0.1}),
            (cube, 200, {"max_error": 0.01}),
            (holes, 300, {"max_error": 0.5, "as_records": True}),
            ((cube * 100).astype(np.int16), 200, {"lossless": True}),
            (rng.normal(size=(20, 30)), 150, {"lossless": True}),
            (np.zeros((40, 50), np.uint8), 1 << 20, {"lossless": True}),
            (np.cumsum(rng.normal(size=900)), 250, {"max_error": 0.2}),
        )
    ):
        path = folder / f"field-{i}"
        with mock.patch("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", most):
            compress(array, path, **how)
        with open_archive(path) as archive:
            made.append(Original(path.read_bytes(), archive.read()))
    return made


def forge_a_block(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change the kind, a length, a weight or a bit of a block, with all checksums of bytes right."""
    start, stop = rng.choice([edges for edges in fuzz.blocks_of(data) if data[edges[0] + 5] == Coding.FIELD])
    payload = bytearray(data[start + BLOCK_BYTES : stop - CRC_BYTES])
    chosen = rng.randrange(5)
    if chosen == 0:
        payload[8] = rng.randrange(9)
    elif chosen == 1 and len(payload) >= 18:
        at, code, n_bits = rng.choice(((9, "I", 32), (13, "H", 16), (15, "B", 8), (16, "B", 8), (17, "B", 8)))
        (old,) = struct.unpack_from(f"<{code}", payload, at)
        struct.pack_into(f"<{code}", payload, at, fuzz.some_number(rng, old, n_bits))
    elif chosen == 2:
        payload = payload[: rng.randrange(len(payload) + 1)] + rng.randbytes(rng.choice((0, 1, 40)))
    elif chosen == 3:
        struct.pack_into("<f", payload, 4, rng.choice((-1.0, float("nan"), float("inf"), 1e30)))
    else:
        payload[rng.randrange(len(payload))] ^= rng.randrange(1, 256)
    return fuzz.in_place_of(data, start, stop, bytes(payload))


def forge_the_field(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change the description of the field in the header, with a checksum that is right."""
    n = struct.unpack_from("<I", data, 16)[0]
    text = data[20 : 20 + n]
    words = (
        (b'"shape":[12', b'"shape":[13'),
        (b'"shape":[', b'"shape":[-'),
        (b'"shape":[12', b'"shape":[9999999999'),
        (b'"block":[', b'"block":[0'),
        (b'"block":[', b'"block":[9'),
        (b'"shape"', b'"shapf"'),
        (b'"field"', b'"fiele"'),
        (b'"records":true', b'"records":1'),
        (b'"float64"', b'"float32"'),
        (b'"int16"', b'"int64"'),
        (b'"max_error":', b'"max_errot":'),
        (b'"max_error":', b'"max_error":1'),
        (b"{", b"["),
    )
    changed = text.replace(*rng.choice(words), 1)
    head = data[:16] + struct.pack("<I", len(changed)) + changed
    return head + pack_crc(head) + data[24 + n :]


def judge(path: Path, out: Path, original: Original, _name: str, _rng: random.Random) -> str:
    """Return what came of a file: ``"right"``, or the name of the error.

    Raises
    ------
    fuzz.WrongOutcomeError
        If anything that was returned is not what was compressed.
    """
    outcome = "right"
    try:
        with open_archive(path) as archive:
            if archive.read().tobytes() != original.array.tobytes():
                raise fuzz.WrongOutcomeError("the array is wrong")
            if archive[1:3].tobytes() != original.array[1:3].tobytes():
                raise fuzz.WrongOutcomeError("slices are wrong")
    except NarrowsError as error:
        outcome = type(error).__name__
    try:
        if verify(path).is_intact and outcome != "right":
            raise fuzz.WrongOutcomeError(f"verify finds nothing wrong, but reading gives {outcome}")
        recover(path, out, force=True)
    except NarrowsError:
        return outcome
    with open_archive(out) as archive:
        found = archive.read()
    if found.dtype == original.array.dtype and not all(row.tobytes() in original.rows for row in found):
        raise fuzz.WrongOutcomeError("slices were recovered that never were")
    return outcome


def run(n: int, seed: int = 0, watch=None) -> Counter:
    """Put n damaged files to the test, and count what came of them.

    Raises
    ------
    fuzz.WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    with tempfile.TemporaryDirectory(dir=fuzz.SCRATCH) as scratch, mock.patch("os.fsync"):
        wholes = originals(Path(scratch))
    steps = (*fuzz.DAMAGE, fuzz.forge_a_block_header, fuzz.forge_a_payload, fuzz.forge_an_entry)
    steps = (*steps, fuzz.forge_the_trailer, fuzz.forge_the_head, fuzz.splice, forge_the_field)
    steps = (*steps, *[forge_a_block] * len(steps))
    return fuzz.put_to_the_test("fields", n, seed, fuzz.by_steps(wholes, steps), judge, watch)


if __name__ == "__main__":
    fuzz.run_by_command(run)
