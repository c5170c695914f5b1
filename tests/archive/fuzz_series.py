"""Archives of series, damaged and made to deceive: what comes out is right, or an error by name.

As part of the tests a few hundred; by itself as many as you like, here with seed 7::

    python tests/archive/fuzz_series.py 20000 7

Digits, times and lengths in a forged header have no checksum that tells them from others, so what such a file restores
may be anything, but no other error than those of narrows.
"""

from __future__ import annotations

import importlib.util
import random
import struct
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

import narrows
from narrows.archive import open_archive, recover, verify
from narrows.archive.layout import BLOCK_BYTES, CRC_BYTES, BlockType, pack_crc
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.sources import source_of
from narrows.errors import NarrowsError
from narrows.networks import Dense

_spec = importlib.util.spec_from_file_location("narrows_fuzz", Path(__file__).with_name("fuzz.py"))
fuzz = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = fuzz
_spec.loader.exec_module(fuzz)


@dataclass
class Original:
    """A whole archive, and the steps and times that it restores."""

    data: bytes
    values: np.ndarray
    ticks: np.ndarray


def originals(folder: Path) -> list[Original]:
    """Return archives of series: decimals and floats, with gaps and several channels, as a field and as windows."""
    rng = np.random.default_rng(0)
    made = []
    for i, (channels, factor, how) in enumerate(
        [
            (1, 1, {"lossless": True}),
            (2, 1, {"max_error": 0.05}),
            (2, np.pi, {"lossless": True}),
            (3, 1, {"lossless": True}),  # channels that predict each other
        ]
    ):
        values = np.round(np.cumsum(rng.normal(size=(130, channels)), axis=0), 2) * factor + 0.0
        if channels == 3:
            values = np.round(values[:, :1] * (1, -2, 0.4) + values / 100, 2) + 0.0
        values[3, 0] = np.nextafter(values[3, 0], 9)
        values[20:23, -1] = np.nan
        values = values[:, 0] if channels == 1 else values
        times = Times(np.cumsum(rng.integers(1, 9, 130)).astype(np.int64), "s")
        whole = WholeSeries(values, (80, 50), ("a", "b"), None, times, decimals_of(values), {"kind": "csv"})
        source = source_of(whole, "series", "csv", window=16, stride=16)
        model = narrows.Autoencoder(
            2, record="series", network=Dense(widths=(3,)), training=narrows.Training(epochs=1), random_state=0
        ).fit(np.nan_to_num(source.values))  # fmt: skip
        for name, more in (("field", {}), ("windows", {"model": model, "embed_model": True, "chunk_records": 3})):
            path = folder / f"{name}-{i}"
            with (
                mock.patch("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", 60),
                mock.patch("narrows.archive.packing.MOST_PACKED_BYTES", 0),  # test_packing has packed ones
            ):
                narrows.compress(source, path, **how, **more)
            with open_archive(path) as archive:
                is_over_channels = archive.metadata.more.get("over_channels") == 1
                assert is_over_channels == (name == "field" and channels == 3), "some archives have such blocks"
                made.append(Original(path.read_bytes(), archive.read(), archive.series.times.ticks))
    return made


def forge_a_column(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change a column, with all checksums of bytes right."""
    start, stop = rng.choice([edges for edges in fuzz.blocks_of(data) if data[edges[0] + 4] == BlockType.COLUMN])
    payload = bytearray(data[start + BLOCK_BYTES : stop - CRC_BYTES])
    chosen = rng.randrange(3)
    if chosen == 0:
        payload[8] = rng.randrange(9)
    elif chosen == 1:
        payload = payload[: rng.randrange(len(payload) + 1)] + rng.randbytes(rng.choice((0, 1, 40)))
    else:
        payload[rng.randrange(len(payload))] ^= rng.randrange(1, 256)
    return fuzz.in_place_of(data, start, stop, bytes(payload))


def forge_the_series(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """Change the description of the series in the header, with a checksum that is right."""
    n = struct.unpack_from("<I", data, 16)[0]
    text = data[20 : 20 + n]
    words = (
        (b'"lengths":[80', b'"lengths":[81'),
        (b'"lengths":[80,50]', b'"lengths":[130]'),
        (b'"lengths":[80', b'"lengths":[-80'),
        (b'"lengths":[80', b'"lengths":[99999999999999'),
        (b'"digits":[', b'"digits":[-'),
        (b'"digits":[', b'"digits":[9'),
        (b'"digits":[', b'"digits":[0,'),
        (b'"missing":true', b'"missing":7'),
        (b'"ulps":true', b'"missing":true'),
        (b'"unit":"s"', b'"unit":"h"'),
        (b'"unit":"s"', b'"unit":""'),
        (b'"time":{', b'"time":{"starts":[1],'),
        (b'"names":["a"', b'"names":[0'),
        (b'"kind":"csv"', b'"kind":[]'),
        (b'"windows":{', b'"windows":[{'),
        (b'"windows"', b'"field"'),
        (b'"field"', b'"windows"'),
        (b'"decimals"', b'"decimal"'),
        (b'"series"', b'"serie"'),
        (b"{", b"["),
    )
    changed = text.replace(*rng.choice(words), 1)
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
            values, series = archive.read(), archive.series
            some = archive[100:110]
        narrows.restore(path, out=out.with_suffix(".csv"), force=True)
        if name != forge_the_series.__name__:
            ticks = None if series is None or series.times is None else series.times.ticks
            if values.tobytes() != original.values.tobytes() or some.tobytes() != original.values[100:110].tobytes():
                raise fuzz.WrongOutcomeError("the values are wrong")
            if ticks is None or not np.array_equal(ticks, original.ticks):
                raise fuzz.WrongOutcomeError("the times are wrong")
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
    steps = (*fuzz.DAMAGE, forge_a_column, forge_a_column, forge_the_series, forge_the_series)
    return fuzz.put_to_the_test("series", n, seed, fuzz.by_steps(wholes, steps), judge, watch)


if __name__ == "__main__":
    fuzz.run_by_command(run)
