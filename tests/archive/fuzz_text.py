"""Archives of texts, damaged and made to deceive: what comes out is right, or an error by name.

As part of the tests some dozens; by itself as many as you like, here with seed 7::

    python tests/archive/fuzz_text.py 20000 7

What a forged description restores may be anything, but no other error than those of narrows.
"""

from __future__ import annotations

import importlib.util
import random
import struct
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import narrows
from narrows.archive import open_archive, recover, verify
from narrows.archive.layout import pack_crc
from narrows.errors import NarrowsError
from narrows.networks import Dense

_spec = importlib.util.spec_from_file_location("narrows_fuzz_series", Path(__file__).with_name("fuzz_series.py"))
series = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = series
_spec.loader.exec_module(series)
fuzz = series.fuzz

NAMES = ["emma", "olivia", "", "noah", "mia"]
LONGER = [*NAMES, "longer than a record", "é\0"]
FORGERIES = (
    (b'"texts":7', b'"texts":8'),
    (b'"texts":7', b'"texts":-7'),
    (b'"texts":7', b'"texts":99999999999999'),
    (b'"texts":7', b'"texts":[7]'),
    (b'"texts":7', b'"textz":7'),
    (b'"text":{', b'"text":[{'),
    (b'"text":{', b'"text":7,"x":{'),
    (b'"text":{', b'"windows":{'),
    (b'"text":{', b'"text":{"texts":2,'),
    (b'"kind":"list"', b'"newline":"q"'),
    (b'"kind":"list"', b'"newline":[]'),
    (b'"record_shape":[6]', b'"record_shape":[2,3]'),
    (b'"byte_model":1', b'"byte_model":2'),
    (b'"byte_model":16', b'"byte_model":null'),
    (b'"group_records":16', b'"group_records":32'),
    (b'"dtype":"uint16"', b'"dtype":"uint8"'),
)


class Original(NamedTuple):
    """A whole archive, and the texts that it restores."""

    data: bytes
    texts: list[str]


def originals(folder: Path) -> list[Original]:
    """Return archives of texts that contain their model or need none, and the texts; test_packing has packed ones."""
    settings = {"training__epochs": 1, "random_state": 0, "network": Dense(widths=(3,), embedding=2)}
    model = narrows.recipe("text", n_latent=2, **settings).fit(NAMES * 8)
    of_bytes, made = narrows.ByteModel().fit(NAMES * 8), []
    with mock.patch("narrows.archive.packing.MOST_PACKED_BYTES", 0):
        for texts in (NAMES, LONGER):
            for how in ({}, {"lossless": True}):
                path = folder / "whole"
                narrows.compress(texts, path, model=model, embed_model=True, chunk_records=3, force=True, **how)
                made.append(Original(path.read_bytes(), narrows.restore(path)))
            narrows.compress(texts * 3, path, force=True)
            made.append(Original(path.read_bytes(), texts * 3))
            for group in (1, 16):
                how = {"chunk_records": group, "embed_model": True, "force": True}
                narrows.compress(texts * 3, path, model=of_bytes, **how)
                made.append(Original(path.read_bytes(), texts * 3))
    return made


def forge_the_texts(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change the description of the texts in the header, with a checksum that is right."""
    n = struct.unpack_from("<I", data, 16)[0]
    changed = data[20 : 20 + n].replace(*rng.choice(FORGERIES), 1)
    head = data[:16] + struct.pack("<I", len(changed)) + changed
    return head + pack_crc(head) + data[24 + n :]


def judge(path: Path, out: Path, original: Original, name: str, _rng: random.Random) -> str:
    """Return what came of a file: ``"right"``, or the name of the error.

    Raises
    ------
    fuzz.WrongOutcomeError
        If anything that was returned is not what was compressed, unless the header was forged.
    """
    outcome = "right"
    try:
        with open_archive(path) as archive:
            found, some = archive.read(), archive[1:3]
        narrows.restore(path, out=out.with_suffix(".txt"), force=True)
        is_forged = name == forge_the_texts.__name__
        if not is_forged and (found != original.texts or some != original.texts[1:3]):
            raise fuzz.WrongOutcomeError("the texts are wrong")
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
    steps = (*fuzz.DAMAGE, series.forge_a_column, forge_the_texts, forge_the_texts)
    return fuzz.put_to_the_test("text", n, seed, fuzz.by_steps(wholes, steps), judge, watch)


if __name__ == "__main__":
    fuzz.run_by_command(run)
