"""Archives without loss, and within a bound, beside the alternatives on the same records.

    OMP_NUM_THREADS=1 python bench/codec/lossless_sizes.py                       everything, about fifteen minutes
    OMP_NUM_THREADS=1 python bench/codec/lossless_sizes.py mnist fashion-mnist   some of it

Writes bench/codec-lossless-sizes.json. Needs the extra `bench`, the data sets, ECG5000 and the fields in
$NARROWS_DATA, and the models `*-lossless` in bench/models/codec (`train.py`). Bounds are shares of the range of what
is compressed. Fields of three axes are compressed twice: "slices" has a record for each step along the first,
"narrows" all of it as one. Their models have seen noise; only that of the later half of airtemp has seen the earlier
one.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import zstandard
from archives import MODELS
from records import SETS, join, open_records
from run import ROOT, this_run
from sklearn.base import clone

import narrows
from narrows.archive import inspect
from narrows.networks import Dense

RESULTS = ROOT / "bench" / "codec-lossless-sizes.json"
SHARES = (0.01, 0.001, 0.0001)
COLUMNS = 100
_EVERY = 10  # of the test records, for codecs of single images


def row(method: str, n_bytes: int, values: np.ndarray, seconds: tuple[float, float], side: int = 0) -> dict[str, Any]:
    """Return what a method made of values."""
    megabytes = values.nbytes / 1e6
    return {
        "method": method,
        "n_bytes": n_bytes,
        "bits_per_value": round(8 * n_bytes / values.size, 4),
        "side_bytes": side,
        "encode_mb_per_s": round(megabytes / seconds[0], 2),
        "decode_mb_per_s": round(megabytes / seconds[1], 2),
    }


def tried(
    method: str, values: np.ndarray, encode: Callable[[], Any], decode: Callable[[Any], Any], bound: float = 0
) -> dict[str, Any]:
    """Measure a method and check that it keeps the bound."""
    began = time.perf_counter()
    stored = encode()
    encoded = time.perf_counter()
    back = decode(stored)
    decoded = time.perf_counter()
    worst = np.abs(np.asarray(back, np.float64).reshape(values.shape) - values).max()
    if worst > bound * (1 + 1e-6):
        raise ValueError(f"{method} is off by {worst}, and may be by {bound}.")
    n_bytes = len(stored) if isinstance(stored, bytes | bytearray) else sum(map(len, stored))
    return row(method, n_bytes, values, (encoded - began, decoded - encoded))


def ours(values: np.ndarray, model: Any, folder: Path, method: str = "narrows", **how: Any) -> dict[str, Any]:
    """Measure an archive of narrows; the model is a side file."""
    path = folder / "a.narrows"

    def encode() -> bytes:
        narrows.compress(values, path, model=model, force=True, **how)
        return path.read_bytes()

    found = tried(method, values, encode, lambda _: narrows.restore(path, model=model), how.get("max_error", 0))
    assert inspect(path).n_bytes == found["n_bytes"]
    return {**found, "side_bytes": len(model.codec_.only(0, with_causal="lossless" in how).blob)}


def images(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set of images, bit for bit."""
    test = np.ascontiguousarray(open_records(name).test)
    yield ours(test, narrows.load(MODELS / f"{name}-lossless.safetensors", device="cpu"), folder, lossless=True)
    some, sheet = test[::_EVERY], join(test, COLUMNS)
    for method, encode, decode in (
        ("PNG", lambda x: imagecodecs.png_encode(x, level=9), imagecodecs.png_decode),
        ("JPEG XL", lambda x: imagecodecs.jpegxl_encode(x, lossless=True, effort=7), imagecodecs.jpegxl_decode),
        ("WebP", lambda x: imagecodecs.webp_encode(_rgb(x), lossless=True, level=100), imagecodecs.webp_decode),
    ):

        def one(data: bytes, decode: Any = decode, shape: tuple[int, ...] = test.shape[1:]) -> np.ndarray:
            return decode(data) if len(shape) == 3 or decode is not imagecodecs.webp_decode else decode(data)[..., 0]

        yield tried(f"{method}, each", some, lambda e=encode: [e(x) for x in some], lambda s, d=one: [d(x) for x in s])
        yield tried(f"{method}, sheet", sheet, lambda e=encode: e(sheet), one)
    yield tried(
        "zstd, whole",
        test,
        lambda: zstandard.ZstdCompressor(level=19).compress(test.tobytes()),
        lambda s: np.frombuffer(zstandard.ZstdDecompressor().decompress(s), np.uint8),
    )
    yield tried(
        "xz, whole",
        test,
        lambda: lzma.compress(test.tobytes(), preset=9 | lzma.PRESET_EXTREME),
        lambda s: np.frombuffer(lzma.decompress(s), np.uint8),
    )


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, -1)


def bounded(values: np.ndarray, models: dict[str, Any], folder: Path, bound: float) -> Iterator[dict[str, Any]]:
    """Yield the rows of an array of floats within a bound; models by the name of their method."""
    for method, model in models.items():
        # As one record, or a record for each step along the first axis.
        records = values if model.codec_.shape == values.shape[1:] else values[None]
        yield ours(records, model, folder, method, max_error=bound)
    yield tried(
        "zfp", values, lambda: imagecodecs.zfp_encode(values, level=bound, mode="a"), imagecodecs.zfp_decode, bound
    )
    yield tried(
        "SZ3",
        values,
        lambda: imagecodecs.sz3_encode(values, mode="abs", abs=bound),
        lambda s: imagecodecs.sz3_decode(s, values.shape, values.dtype),
        bound,
    )
    step = 2 * bound * (1 - 1e-9)
    steps = np.rint(values.astype(np.float64) / step).astype(np.int32)
    yield tried(
        "pcodec of steps",
        values,
        lambda: imagecodecs.pcodec_encode(steps, level=8),
        lambda s: imagecodecs.pcodec_decode(s, steps.shape, steps.dtype) * step,
        bound * 1.001,
    )


def arrays(data: Path) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Yield ECG5000 and the fields, with models by the name of their method: name, values, models."""
    train = np.loadtxt(data / "ecg5000" / "ECG5000_TRAIN.txt", dtype=np.float32)[:, 1:]
    with gzip.open(data / "ecg5000" / "ECG5000_TEST.txt.gz", "rt") as file:
        test = np.loadtxt(file, dtype=np.float32)[:, 1:]
    quick = narrows.recipe("auto", random_state=0)
    learned = {"narrows": clone(quick).fit(np.ascontiguousarray(train))}
    yield "ecg5000", np.ascontiguousarray(test), learned
    yield "ecg5000, eight times", np.tile(test, (8, 1)), learned  # for the speed
    for path in sorted((data / "fields").glob("*.npy")):
        name, field = path.stem.partition("_")[0], np.load(path)
        models = {"narrows": _knows_nothing(field.shape)}
        if field.ndim == 3:
            models["narrows, slices"] = _knows_nothing(field.shape[1:])
        yield name, field, models
        if name == "airtemp":  # months of some years, then of others: here there is something to learn
            half = len(field) // 2
            yield f"{name}, later half", field[half:], {"narrows": clone(quick).fit(field[:half])}


def _knows_nothing(shape: tuple[int, ...]) -> Any:
    """Return a model of noise: of a single field nothing but what neighbours say is known beforehand."""
    noise = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    small = narrows.Autoencoder(n_latent=1, network=Dense(widths=()), random_state=0)
    return small.set_params(training__epochs=1).fit(noise)


def main() -> None:
    command = " ".join(["python bench/codec/lossless_sizes.py", *sys.argv[1:]])
    results: dict[str, Any] = {**this_run(), "command": command, "rows": []}
    results["machine"]["threads"] = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))

    def add(name: str, setting: str, found: dict[str, Any]) -> None:
        results["rows"].append({"dataset": name, "setting": setting, **found})
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{name:20} {setting:8} {found['method']:16} {found['bits_per_value']:8.3f} bits a value", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            if name in sys.argv[1:] or not sys.argv[1:]:
                for found in images(name, Path(folder)):
                    add(name, "lossless", found)
        if "arrays" in sys.argv[1:] or not sys.argv[1:]:
            for name, values, models in arrays(Path(os.environ["NARROWS_DATA"])):
                reach = float(values.max()) - float(values.min())
                for share in SHARES:
                    for found in bounded(values, models, Path(folder), share * reach):
                        add(name, f"{share:.2%}", found)


if __name__ == "__main__":
    main()
