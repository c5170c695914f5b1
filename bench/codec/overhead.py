"""What archives cost beyond the ideal: overhead, speed, one record out of millions, and freezing.

    python bench/codec/overhead.py          a few minutes, two threads

Writes bench/codec-overhead.json. Needs MNIST and models in bench/models/codec (`train.py`).
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from archives import models_of
from measuring import psnr_db
from records import open_records
from run import ROOT, this_run

import narrows
from narrows.archive import Writer

RESULTS = ROOT / "bench" / "codec-overhead.json"
MILLIONS = 5_000_000
SMALL = ("mnist-23.5", "mnist-dense")
_TIMES = 3


def timed(function: Callable[[], Any]) -> float:
    """Return the median time of some calls in seconds, after one that does not count."""
    function()
    seconds = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def of_model(path: Path, test: np.ndarray, folder: Path) -> dict[str, Any]:
    """Measure one model at its usual quality on the test records."""
    model, archive = narrows.load(path, device="cpu"), folder / "test.narrows"
    codec = model.codec_
    usual = codec.qualities[codec.default]
    symbols = model.quantise(test, codec.default)
    ideal = float(usual.entropy.bits(symbols).sum()) / 8
    coded = usual.entropy.encode(symbols)
    summary = narrows.compress(test, archive, model=model, force=True)
    restored = narrows.restore(archive, model=model)
    floats = _float_restored(model, symbols, usual.steps)
    megabytes, megasymbols = test.nbytes / 1e6, symbols.size / 1e6
    return {
        "model": path.stem,
        "bytes_per_record": summary.bytes_per_record,
        "psnr_db": psnr_db(test, restored),
        "ideal_bytes_per_record": ideal / len(test),
        "overhead": summary.n_bytes / ideal - 1,
        "freezing_costs_db": psnr_db(test, floats) - psnr_db(test, restored),
        "symbols_per_record": symbols.shape[1],
        "compress_mb_per_s": megabytes / timed(lambda: narrows.compress(test, archive, model=model, force=True)),
        "restore_mb_per_s": megabytes / timed(lambda: narrows.restore(archive, model=model)),
        "entropy_encode_msymbols_per_s": megasymbols / timed(lambda: usual.entropy.encode(symbols)),
        "entropy_decode_msymbols_per_s": megasymbols / timed(lambda: usual.entropy.decode(coded, len(test))),
    }


def one_of_millions(path: Path, test: np.ndarray, folder: Path) -> dict[str, Any]:
    """Measure how long it takes to open an archive of five million records and restore one."""
    model, archive = narrows.load(path, device="cpu"), folder / "millions.narrows"
    codec = model.codec_
    symbols = model.quantise(test, codec.default)
    restored = codec.decode(symbols, codec.default)
    with Writer(archive, codec, codec.default, force=True) as writer:
        for _ in range(MILLIONS // len(test)):
            writer.add(symbols, restored)

    def read_one() -> None:
        with narrows.open_archive(archive, model=codec) as opened:
            np.testing.assert_array_equal(opened[MILLIONS - 4321], restored[-4321])

    began = time.perf_counter()
    narrows.open_archive(archive, model=path).close()
    return {
        "model": path.stem,
        "records": MILLIONS,
        "archive_bytes": archive.stat().st_size,
        "open_with_model_file_seconds": time.perf_counter() - began,
        "one_record_seconds": timed(read_one),
    }


def _float_restored(model: narrows.Autoencoder, symbols: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return what the decoder in floating point makes of the same symbols."""
    return model.inverse_transform((symbols * steps).astype(np.float32))


def main() -> None:
    test = np.ascontiguousarray(open_records("mnist").test)
    models = models_of("mnist")
    results: dict[str, Any] = {**this_run(), "command": "python bench/codec/overhead.py"}
    results["machine"]["threads"] = 2
    results |= {"models": [], "one_of_millions": []}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(models, key=lambda path: path.stem not in SMALL):
            results["models"].append(of_model(path, test, Path(folder)))
            if path.stem in SMALL:
                results["one_of_millions"].append(one_of_millions(path, test, Path(folder)))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
