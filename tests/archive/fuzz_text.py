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


def originals(folder: Path) -> list[tuple[bytes, list[str]]]:
    """Return archives of texts that contain their model or need none, and the texts; test_packing has packed ones."""
    settings = {"training__epochs": 1, "random_state": 0, "network": Dense(widths=(3,), embedding=2)}
    model = narrows.recipe("text", n_latent=2, **settings).fit(NAMES * 8)
    of_bytes, made = narrows.ByteModel().fit(NAMES * 8), []
    with mock.patch("narrows.archive.packing.MOST_PACKED_BYTES", 0):
        for texts in (NAMES, LONGER):
            for how in ({}, {"lossless": True}):
                path = folder / "whole"
                narrows.compress(texts, path, model=model, embed_model=True, chunk_records=3, force=True, **how)
                made.append((path.read_bytes(), narrows.restore(path)))
            narrows.compress(texts * 3, path, force=True)
            made.append((path.read_bytes(), texts * 3))
            for group in (1, 16):
                how = {"chunk_records": group, "embed_model": True, "force": True}
                narrows.compress(texts * 3, path, model=of_bytes, **how)
                made.append((path.read_bytes(), texts * 3))
    return made


def forge_the_texts(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change the description of the texts in the header, with a checksum that is right."""
    n = struct.unpack_from("<I", data, 16)[0]
    changed = data[20 : 20 + n].replace(*rng.choice(FORGERIES), 1)
    head = data[:16] + struct.pack("<I", len(changed)) + changed
    return head + pack_crc(head) + data[24 + n :]


def judge(path: Path, out: Path, texts: list[str], *, is_forged: bool) -> str:
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
        if not is_forged and (found != texts or some != texts[1:3]):
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


def run(n: int, seed: int = 0) -> Counter:
    """Put n damaged files to the test, and count what came of them.

    Raises
    ------
    fuzz.WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory(dir=fuzz.SCRATCH) as scratch, mock.patch("os.fsync"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(scratch)
        wholes = originals(folder)
        for i in range(n):
            rng = random.Random(f"{seed}/{i}")
            whole, texts = rng.choice(wholes)
            step = rng.choice((*fuzz.DAMAGE, series.forge_a_column, forge_the_texts, forge_the_texts))
            try:
                data = step(whole, rng, [one for one, _ in wholes]) or b"\0"
            except (ValueError, IndexError, struct.error):  # nothing that this step could change
                continue
            path = folder / "input"
            path.write_bytes(data)
            try:
                outcome = judge(path, folder / "output", texts, is_forged=step is forge_the_texts)
            except Exception as error:
                kept = Path(tempfile.gettempdir()) / f"fuzz-text-{seed}-{i}.narrows"
                kept.write_bytes(data)
                message = f"seed {seed}, input {i} ({step.__name__}, kept as {kept}): {error!r}"
                raise fuzz.WrongOutcomeError(message) from error
            counts[step.__name__, outcome] += 1
    return counts


def main() -> None:
    """Run from the command line: the number of inputs, and the seed."""
    for (name, outcome), count in sorted(run(*([int(word) for word in sys.argv[1:]] or [20_000])).items()):
        fuzz._say(f"{count:8,}  {name}: {outcome}")


if __name__ == "__main__":
    main()
