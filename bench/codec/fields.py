"""Fields within a bound and without a model, beside compressors made for fields.

    OMP_NUM_THREADS=1 python bench/codec/fields.py            everything, a few minutes
    OMP_NUM_THREADS=1 python bench/codec/fields.py isabel     some of it

Writes bench/codec-fields.json and the table in docs/compression.md. Needs the fields in $NARROWS_DATA, and the packages
pysz and imagecodecs (SPERR and ZFP). Every compressor has its best setting: SZ3 the smallest of its three algorithms,
and SPERR arrays of four axes as three. Sizes are those of whole files, and the bound of every file is checked. SPERR
exceeds some bounds by up to 0.2 %, which is let pass.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

import narrows

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "codec-fields.json"
PAGE = ROOT / "docs" / "compression.md"
SHARES = (1, 0.1, 0.01)
ALGORITHMS = ("LORENZO_REG", "INTERP_LORENZO", "INTERP")
PEERS = ("SZ3", "SPERR", "zfp")
_TOLERANCE = 1.002
_START, _END = "<!-- fields -->\n", "<!-- end of fields -->\n"

Array = np.ndarray[Any, np.dtype[Any]]


def spectrum(shape: tuple[int, ...], slope: float, seed: int) -> Array:
    """Return a random field whose power falls with this power of the wave number."""
    waves = np.meshgrid(*(np.fft.fftfreq(n) * max(shape) for n in shape), indexing="ij")
    length = np.sqrt(sum(np.square(wave) for wave in waves))
    length.flat[0] = np.inf
    noise = np.fft.fftn(np.random.default_rng(seed).standard_normal(shape))
    values = np.fft.ifftn(noise * np.maximum(length, 1) ** (-slope / 2)).real
    return (values / values.std()).astype(np.float32)


def fields() -> dict[str, Array]:
    """Return the fields by their names: of simulations, and made up ones."""
    folder = Path(os.environ["NARROWS_DATA"]) / "fields"
    found = {file.name.split("_")[0]: np.load(file) for file in sorted(folder.glob("*.npy"))}
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 241)[:, None]
    jets = 12 * np.cos(latitude) ** 2 * np.sin(3 * latitude) ** 2
    waves = 4 * spectrum((241, 480), 5, 1) * np.cos(latitude) + 0.3 * spectrum((241, 480), 3.2, 2)
    noise = np.random.default_rng(6).standard_normal((256, 256))
    steps = np.random.default_rng(9).standard_normal(200_000)
    noise_of_all = np.random.default_rng(11).standard_normal((500, 700))
    y, x = np.mgrid[:500, :700] / 100
    front = np.where(x + 0.3 * np.sin(2 * y) < 3, 1 + 0.2 * np.sin(3 * x) * np.cos(2 * y), 4 + 0.1 * np.cos(5 * x - y))
    trend = 2 * y + x + 2 * np.sin(2.5 * x)
    return found | {
        "jets, 241 × 480": (jets + waves).astype(np.float32),
        "turbulent, 2-D": spectrum((256, 512), 8 / 3 + 1, 4),
        "noisy, 2-D": (spectrum((256, 256), 5, 5) + 0.01 * noise).astype(np.float32),
        "turbulent, 3-D": spectrum((48, 96, 96), 11 / 3, 7),
        "smooth, 3-D": spectrum((48, 96, 96), 7, 8),
        "smooth, 4-D": spectrum((12, 12, 40, 40), 6, 10),
        "random walk, 1-D": np.cumsum(steps).astype(np.float32),
        "inertial range, 3-D": spectrum((64, 96, 80), 5 / 3 + 2, 12),
        "shock front, 2-D": (front + 0.001 * noise_of_all).astype(np.float32),
        "noise and trend, 2-D": (trend + 0.05 * noise_of_all).astype(np.float32),
    }


def measured(encode: Callable[[], Any], decode: Callable[[Any], Any], values: Array, bound: float) -> dict[str, Any]:
    """Return size and speed of a compressor, after checking the bound."""
    began = time.process_time()
    stored = encode()
    encoded = time.process_time()
    restored = decode(stored)
    decoded = time.process_time()
    error = np.abs(np.asarray(restored).reshape(values.shape).astype(np.float64) - values).max()
    if error > bound * _TOLERANCE:
        raise ValueError(f"The bound is {bound}, and the largest error {error}.")
    megabytes = values.nbytes / 1e6
    return {
        "n_bytes": len(stored),
        "encode_mb_per_s": round(megabytes / max(encoded - began, 1e-9), 1),
        "decode_mb_per_s": round(megabytes / max(decoded - encoded, 1e-9), 1),
    }


def by_sz3(values: Array, bound: float) -> dict[str, Any]:
    """Return what SZ3 makes of a field with the best of its algorithms."""

    def encode(algorithm: str) -> Any:
        config = szConfig()
        config.errorBoundMode, config.absErrorBound = szErrorBoundMode.ABS, bound
        config.cmprAlgo = getattr(szAlgorithm, algorithm)
        return sz.compress(np.ascontiguousarray(values), config)[0]

    def decode(stored: Any) -> Any:
        return sz.decompress(stored, values.dtype, values.shape)[0]

    tried = [measured(lambda: encode(one), decode, values, bound) | {"setting": one} for one in ALGORITHMS]  # noqa: B023
    return min(tried, key=lambda one: int(one["n_bytes"]))


def compared(values: Array, share: float) -> dict[str, Any]:
    """Return what all compressors make of a field within a share of its range, in percent."""
    bound = (float(values.max()) - float(values.min())) * share / 100
    boxed = values.reshape(-1, *values.shape[2:]) if values.ndim > 3 else values
    found: dict[str, Any] = {"narrows": by_narrows(values, bound), "SZ3": by_sz3(values, bound)}
    if values.ndim > 1:
        encode = lambda: imagecodecs.sperr_encode(boxed, bound, "pwe")  # noqa: E731
        found["SPERR"] = measured(encode, imagecodecs.sperr_decode, values, bound)
    encode = lambda: imagecodecs.zfp_encode(values, bound, mode="a")  # noqa: E731
    found["zfp"] = measured(encode, imagecodecs.zfp_decode, values, bound)
    smallest = min(found[peer]["n_bytes"] for peer in PEERS if peer in found)
    return {"within_percent": share, "of_smallest_peer": round(found["narrows"]["n_bytes"] / smallest, 4), **found}


def by_narrows(values: Array, bound: float) -> dict[str, Any]:
    """Return what narrows makes of a field."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "field.narrows"

        def encode() -> bytes:
            narrows.compress(values, file, max_error=bound)
            return file.read_bytes()

        return measured(encode, lambda _: narrows.restore(file), values, bound)


def table(results: dict[str, Any]) -> str:
    """Return the table of the page, in bits a value."""
    rows = ["| within | of | narrows | SZ3 | SPERR | zfp |", "| --- | --- | --- | --- | --- | --- |"]
    for name, facts in results["fields"].items():
        for one in facts["results"]:
            names = ("narrows", *PEERS)
            sizes = [8 * one[peer]["n_bytes"] / facts["n_values"] if peer in one else None for peer in names]
            least = min(size for size in sizes if size is not None)
            cells = ["–" if size is None else f"**{size:.3f}**" if size == least else f"{size:.3f}" for size in sizes]
            rows.append(f"| {one['within_percent']:g} % | {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def this_run() -> dict[str, Any]:
    """Describe what was run, when, and on what."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "command": "python bench/codec/fields.py",
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu or platform.processor(),
            "cores": os.cpu_count(),
            "threads": 1,
            "load at start": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("narrows", "numpy", "imagecodecs", "pysz")},
        "times": "of the processor, of one thread",
    }


def main() -> None:
    """Measure the fields that are named, or all."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() and sys.argv[1:] else {"fields": {}}
    results = {**this_run(), "fields": results["fields"]}
    for name, values in fields().items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        found = [compared(values, share) for share in SHARES]
        facts = {"shape": list(values.shape), "dtype": values.dtype.name, "n_values": values.size}
        results["fields"][name] = {**facts, "results": found}
        sys.stdout.write(f"{name}: {[one['of_smallest_peer'] for one in found]}\n")
        sys.stdout.flush()
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = PAGE.read_text()
    before, _, rest = page.partition(_START)
    _, _, after = rest.partition(_END)
    PAGE.write_text(before + _START + "\n" + table(results) + "\n" + _END + after)


if __name__ == "__main__":
    main()
