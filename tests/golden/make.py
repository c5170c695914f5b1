"""Make the golden archives and models of this format version: to be decoded for ever.

They are made once for each version of the format, by hand, and never again: what narrows has written, it must be able
to read. Therefore nothing happens without a flag. The second makes only those that are not there yet, of the archives
with a bound, of small groups, of indices, of categories, of series and of fields::

    python tests/golden/make.py --overwrite
    python tests/golden/make.py --add
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import narrows
import narrows.data
from narrows.archive.chunks import read_chunk
from narrows.bottlenecks import VectorQuantised
from narrows.codec.residual.causal import FrozenCausal as FrozenNetwork
from narrows.codec.residual.chunk import encode_chunk
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.grouped import encode_groups
from narrows.codec.residual.predicted import encode_predicted
from narrows.estimators.value_counts import few_levels
from narrows.lossless import CausalNetwork
from narrows.networks import Convolutional, Dense, Recurrent, Strided

FOLDER = Path(__file__).parent / "v1"
MOST_BYTES = 520_000  # of all files; a new kind of archive takes some thousand
FIELDS = Path(__file__).parent / "fields"
HASHES = FIELDS / "hashes.json"


def sha256(array: np.ndarray) -> str:
    """Return a hash of shape, dtype and values, the same on machines of either byte order."""
    digest = hashlib.sha256(f"{array.dtype.name} {array.shape}\n".encode())
    digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def probes(n_symbols: int) -> np.ndarray:
    """Return symbols of 50 records, spread over what occurs."""
    return (np.arange(50 * n_symbols, dtype=np.int32) * 7919 % 41 - 20).reshape(50, n_symbols)


def models() -> dict[str, tuple[narrows.Autoencoder, np.ndarray, np.ndarray]]:
    """Return models as small as can be, not yet trained, with their training data and other records."""
    small, small_test = (narrows.data.open(f"digits:{split}").values for split in ("train", "test"))
    large, large_test = (np.kron(images, np.ones((1, 2, 2), np.uint8)) for images in (small, small_test))
    rng = np.random.default_rng(0)
    table = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(600, 6))
    table = table.astype(np.float32)
    dense = Dense(widths=(12,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    strided = Strided(
        channels=(4, 6), depth=1, code_channels=1, activation="leaky-relu", output_activation="sigmoid",
        start_at_mean=True,
    )  # fmt: skip
    prior = {"bottleneck__n_hidden": 4, "likelihood__psnr": 13.5, "training__epochs": 15}
    relu = Dense(widths=(10,), activation="relu", output_activation="sigmoid", start_at_mean=True)
    return {
        "dense-codec": (narrows.recipe("codec", n_latent=5, network=dense, **prior), small, small_test),
        "map-codec": (narrows.recipe("codec", network=strided, **prior), large, large_test),
        "ladder": (narrows.Autoencoder(6, network=relu, training=narrows.Training(epochs=30)), small, small_test),
        "table": (
            narrows.Autoencoder(3, network=Dense(widths=(8,)), training=narrows.Training(epochs=40)),
            table[:500],
            table[500:],
        ),
    }


def records_for(name: str, test: np.ndarray) -> np.ndarray:
    """Return what an archive is to hold: more than one group of 256, and some that need escapes."""
    rng = np.random.default_rng(1)
    if name == "table":
        return np.concatenate([test, 1e4 * rng.normal(size=(3, 6)).astype(np.float32)])
    noise = rng.integers(0, 256, (10, *test.shape[1:]), np.uint8, endpoint=False)
    return np.concatenate([test[:290], noise])


def bounded() -> dict[str, tuple[str | None, np.ndarray, float, str]]:
    """Return archives with a bound: model file, or None for a model of their own; records; bound; way to keep them."""
    digits = narrows.data.open("digits:test").values
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (10, 8, 8), np.uint8)
    table = (rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(300, 6))).astype(np.float32)
    wild, far = table.copy(), table + np.float32(1000)
    wild.flat[:7] = [np.nan, np.inf, -np.inf, -0.0, 3e38, 1e-45, -1e-45]
    ends = (table * 1e3).astype(np.int64)
    ends.flat[:4] = [np.iinfo(np.int64).max, np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0]
    near = np.cumsum(np.cumsum(rng.normal(size=(60, 6, 10)), 1), 2)
    box = np.cumsum(rng.normal(size=(90, 2, 4, 3)), 2)
    wide = (near * 200 + 30000).astype(np.uint16)
    colour = np.stack([digits[:24], digits[:24] // 2, 16 - digits[:24]], -1) * np.uint8(15)
    return {
        "uint8-0-smallest": ("ladder.safetensors", digits[:60], 0, "smallest"),
        "uint8-0-linear-on-code": ("ladder.safetensors", digits[:270], 0, "linear on code"),
        "uint8-9-linear": ("ladder.safetensors", digits[:90], 9, "linear"),
        "uint8-0-plain": ("ladder.safetensors", noise, 0, "smallest"),
        "uint8-0-zstd": ("ladder.safetensors", np.tile(noise[:1], (200, 1, 1)), 0, "smallest"),
        "float32-0.05-linear-on-code": ("table.safetensors", wild[:200], 0.05, "linear on code"),
        "float32-0-linear": ("table.safetensors", far, 0, "linear"),
        "float32-1e-12-exact": ("table.safetensors", far, 1e-12, "exact"),
        "bool-0-linear-on-code": (None, table > 0, 0, "linear on code"),
        "int64-2-linear": (None, ends, 2, "linear"),
        "uint16-5-linear-on-code": (None, wide, 5, "linear on code"),
        "float64-0-linear": (None, far.astype(np.float64), 0, "linear"),
        "float16-0.1-linear": (None, box.astype(np.float16), 0.1, "linear"),
        "uint8-0-causal": (None, digits[:60], 0, "causal"),
        "uint8-3-causal-on-code": (None, colour, 3, "causal on code"),
        "uint8-0-levels": (None, digits[:60], 0, "levels"),
        "uint8-0-causal-groups": (None, digits[:60], 0, "causal groups"),
        "uint8-3-causal-on-code-groups": (None, colour, 3, "causal on code, groups"),
        "uint8-0-levels-groups": (None, digits[:60], 0, "levels groups"),
    }


def keep_as(way: str) -> Callable[..., CodedResidual]:
    """Return what keeps records in a way of its own choice, not in the smallest."""

    def keep_so(
        records: np.ndarray,
        decoded: np.ndarray,
        _n_code: int,
        grid: ErrorBound,
        causal: FrozenNetwork | None,
        *,
        group_records: int | None = None,
    ) -> CodedResidual:
        if causal is not None and way.endswith("groups"):
            assert group_records is not None
            return encode_groups(
                records, decoded if way == "causal on code, groups" else None, grid, causal, group_records
            )
        if causal is not None:
            return encode_predicted(records, decoded if way == "causal on code" else None, grid, causal)
        if way == "exact":
            return replace(encode_predicted(records, None, ErrorBound(grid.dtype, 0)), kind=Kind.EXACT)
        return encode_predicted(records, decoded if way == "linear on code" else None, grid)

    return encode_chunk if way == "smallest" else keep_so


def kinds_of(archive: Path, model: Path | None) -> list[str]:
    """Return how an archive with a bound keeps its chunks."""
    with narrows.open_archive(archive, model=model) as opened:
        index = opened._index
        payloads = [read_chunk(opened._source, opened.metadata, index, chunk) for chunk in range(len(index.offsets))]
    return [Kind(payload.residual.kind).name for payload in payloads if payload.residual is not None]


def add_bounded(described: dict[str, dict]) -> None:
    """Write those archives with a bound that are not there yet."""
    for name, (model_file, records, bound, way) in bounded().items():
        archive = FOLDER / f"bounded-{name}.narrows"
        if archive.exists():
            continue
        model = FOLDER / model_file if model_file else None
        is_network = way.startswith(("causal", "levels"))
        residual = CausalNetwork(n_hidden=4, n_components=2, reach=1, epochs=9) if is_network else None
        training = narrows.Training(epochs=3, batch_size=32)
        levels = few_levels if way.startswith("levels") else lambda *_: None
        with mock.patch("narrows.estimators.fitting.few_levels", levels):
            maker = model if model is not None else narrows.Autoencoder(
                2, network=Dense(widths=(4,)), training=training, residual=residual, random_state=0
            ).fit(np.nan_to_num(records, posinf=0, neginf=0) if records.dtype.kind == "f" else records)  # fmt: skip
        middle = 2 * len(records) // 3
        with mock.patch("narrows.archive.chunk_encoding.encode_chunk", keep_as(way)):
            narrows.compress(records[:middle], archive, model=maker, embed_model=model is None, max_error=bound)
            narrows.compress(records[middle:], archive, model=maker, append=True, max_error=bound)
        found = narrows.restore(archive, model=model)
        described["archives"][archive.name] = {
            "model": model_file,
            "shape": list(found.shape),
            "restored": sha256(found),
            "kinds": kinds_of(archive, model),
        }


def add_small_groups(described: dict[str, dict]) -> None:
    """Write an archive of groups of 64 records, as codes of 128 numbers have them, unless it is there."""
    archive = FOLDER / "small-groups-embedded.narrows"
    if archive.exists():
        return
    train, test = (narrows.data.open(f"digits:{split}").values for split in ("train", "test"))
    network = Strided(channels=(4,), depth=0, code_channels=8, output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe(
        "codec", network=network, bottleneck__n_hidden=4, likelihood__psnr=14, training__epochs=5, random_state=0
    ).fit(train)
    narrows.compress(test[:150], archive, model=model, embed_model=True)
    narrows.compress(test[150:200], archive, model=model, append=True)
    found = narrows.restore(archive)
    described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def add_indices(described: dict[str, dict]) -> None:
    """Write archives of the indices of vector-quantised codes, of a map and of numbers, unless they are there."""
    small, small_test = (narrows.data.open(f"digits:{split}").values for split in ("train", "test"))
    large, large_test = (np.kron(images, np.ones((1, 2, 2), np.uint8)) for images in (small, small_test))
    ends = {"output_activation": "sigmoid", "start_at_mean": True}
    strided = Strided(channels=(4,), depth=0, code_channels=4, **ends)
    dense = Dense(widths=(8,), **ends)
    ways = {
        "indices-map": ({"network": strided, "bottleneck": VectorQuantised(n_codes=12)}, large, large_test),
        "indices-groups": ({"network": strided, "bottleneck": VectorQuantised(n_codes=5, dim=2)}, small, small_test),
        "indices-dense": ({"network": dense, "bottleneck": VectorQuantised(n_codes=16)}, small, small_test),
    }
    for name, (parts, train, test) in ways.items():
        archive = FOLDER / f"{name}-embedded.narrows"
        if archive.exists():
            continue
        training = narrows.Training(epochs=5, batch_size=32)
        model = narrows.Autoencoder(training=training, random_state=0, **parts).fit(train)
        narrows.compress(test[:150], archive, model=model, embed_model=True)
        narrows.compress(test[150:200], archive, model=model, append=True)
        found = narrows.restore(archive)
        described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def add_categories(described: dict[str, dict]) -> None:
    """Write archives of categories, of a table and of a map, unless they are there."""
    small, small_test = (narrows.data.open(f"digits:{split}").values // 64 for split in ("train", "test"))
    table, table_test = (images.reshape(len(images), 64)[:, 10:54:4] for images in (small, small_test))
    conv = Convolutional(channels=(4,), activation="relu")
    ways = {"table": (Dense(widths=(12,)), table, table_test), "map": (conv, small, small_test)}
    for name, (network, train, test) in ways.items():
        archive = FOLDER / f"categories-{name}-embedded.narrows"
        if archive.exists():
            continue
        training = narrows.Training(epochs=10, batch_size=32)
        model = narrows.Autoencoder(
            4, network=network, likelihood="categorical", training=training, random_state=0
        ).fit(train)  # fmt: skip
        narrows.compress(test[:150], archive, model=model, embed_model=True)
        narrows.compress(test[150:200], archive, model=model, append=True)
        found = narrows.restore(archive)
        described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def add_series(described: dict[str, dict]) -> None:
    """Write archives of series by recurrent networks, unless they are there."""
    rng = np.random.default_rng(7)
    phases = rng.uniform(0, 6, (300, 1, 2)) + np.arange(9)[:, None] / rng.uniform(1, 3, (300, 1, 2))
    series = (np.sin(phases) + rng.normal(0, 0.05, phases.shape)).astype(np.float32)
    networks = {
        "recurrent": Recurrent(width=5, patch=2, input_width=2),
        "recurrent-forced": Recurrent(width=4, patch=2, input_width=2, teacher_forcing=True),
    }
    for name, network in networks.items():
        archive = FOLDER / f"series-{name}-embedded.narrows"
        if archive.exists():
            continue
        training = narrows.Training(epochs=10, batch_size=32)
        model = narrows.Autoencoder(
            2, network=network, record="series", training=training, artefacts="codec", random_state=0
        ).fit(series[:200])  # fmt: skip
        narrows.compress(series[200:250], archive, model=model, embed_model=True)
        narrows.compress(series[250:270], archive, model=model, append=True)
        found = narrows.restore(archive)
        described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def fields() -> dict[str, tuple[np.ndarray, dict]]:
    """Return small fields, and how they are compressed."""
    rng = np.random.default_rng(5)
    rows, columns = np.ogrid[:30, :41]
    smooth = (np.sin(rows / 7) * np.cos(columns / 9) * 40 + rng.normal(0, 0.2, (30, 41))).astype(np.float32)
    holes = smooth.copy()
    holes[8:15, 10:30], holes[0, 0], holes[3, 3] = np.nan, np.inf, 3e38
    cube = np.cumsum(np.cumsum(rng.normal(size=(6, 6, 7)), 1), 2)
    return {
        "float32-2d": (smooth, {"max_error": 0.05}),
        "float32-2d-coarse": (smooth, {"max_error": 3.0}),
        "float32-2d-holes": (holes, {"max_error": 0.5}),
        "float64-3d": (cube, {"max_error": 0.01}),
        "float64-3d-lossless": (np.round(cube), {"lossless": True}),
        "int16-4d": ((cube.reshape(2, 3, 6, 7) * 50).astype(np.int16), {"max_error": 4}),
        "uint8-1d": ((127 + 90 * np.sin(np.arange(300) / 20)).astype(np.uint8), {"lossless": True}),
        "int64-records": ((cube * 1e9).astype(np.int64), {"max_error": 1e6, "as_records": True}),
        "float16-noise": (rng.normal(size=(9, 9)).astype(np.float16), {"lossless": True}),
    }


def add_fields() -> None:
    """Write those archives of fields that are not there yet, some of several blocks, and their hashes."""
    described = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    for name, (values, how) in fields().items():
        archive = FIELDS / f"{name}.narrows"
        if archive.exists():
            continue
        most = 100 if "3d" in name or "records" in name else 1 << 20
        with mock.patch("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", most):
            narrows.compress(values, archive, **how)
        found = narrows.restore(archive)
        described[archive.name] = {"shape": list(found.shape), "restored": sha256(found)}
    HASHES.write_text(json.dumps(described, indent=2) + "\n")


def add_parts(described: dict[str, dict]) -> None:
    """Write archives with a model in parts: a code, a network, and a code that came with what was appended."""
    digits = narrows.data.open("digits:test").values
    residual = CausalNetwork(n_hidden=4, n_components=2, reach=1, epochs=9)
    training = narrows.Training(epochs=3, batch_size=32)
    with mock.patch("narrows.estimators.fitting.few_levels", return_value=None):
        model = narrows.Autoencoder(
            2, network=Dense(widths=(4,)), training=training, residual=residual, random_state=0
        ).fit(digits)  # fmt: skip
    for name, bound, ways in (
        ("code", None, ()),
        ("network", 0, ("causal",)),
        ("both", 3, ("causal", "causal on code")),
    ):
        archive = FOLDER / f"parts-{name}.narrows"
        if archive.exists():
            continue
        how = {} if bound is None else {"max_error": bound}
        for number, way in enumerate(ways or ("smallest",)):
            with mock.patch("narrows.archive.chunk_encoding.encode_chunk", keep_as(way)):
                append = {"append": True} if number else {"embed_model": True}
                narrows.compress(digits[40 * number : 40 * number + 40], archive, model=model, **append, **how)
        found = narrows.restore(archive)
        described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def add_labels(described: dict[str, dict]) -> None:
    """Write an archive with labels of all kinds, in chunks of which some keep codes beside residuals."""
    archive = FOLDER / "ladder-labels.narrows"
    if archive.exists():
        return
    digits = narrows.data.open("digits:test").values
    noise = np.random.default_rng(3).integers(0, 256, (10, 8, 8), np.uint8)
    how = {"model": FOLDER / "ladder.safetensors", "embed_model": True, "lossless": True, "keep_codes": True}
    narrows.compress(digits[:30], archive, labels=[*range(-1, 13), *"zwölf Möwen, 1 2"], chunk_records=20, **how)
    narrows.compress(noise, archive, labels=[2**62] * 10, append=True, model=how["model"])
    found = narrows.restore(archive)
    described["archives"][archive.name] = {"model": None, "shape": list(found.shape), "restored": sha256(found)}


def add() -> None:
    """Write those archives of the functions above that are not there yet, and their hashes."""
    torch.set_num_threads(1)
    described = json.loads((FOLDER / "hashes.json").read_text())
    add_bounded(described)
    add_small_groups(described)
    add_indices(described)
    add_categories(described)
    add_series(described)
    add_parts(described)
    add_labels(described)
    add_fields()
    (FOLDER / "hashes.json").write_text(json.dumps(described, indent=2) + "\n")
    check_size()


def check_size() -> None:
    """Refuse golden files that are too many or too large."""
    if sum(file.stat().st_size for file in FOLDER.iterdir()) >= MOST_BYTES:
        raise SystemExit(f"That is too much: at most {MOST_BYTES:,} bytes.")


def make() -> None:
    """Train the models, write everything, and the hashes beside it."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    archives, written = {}, {}
    for name, (model, train, test) in models().items():
        model.set_params(random_state=0, training__batch_size=32, training__optimiser__learning_rate=5e-3).fit(train)
        records, model_file = records_for(name, test), f"{name}.safetensors"
        model.save(FOLDER / model_file)
        codec = model.codec_
        written[model_file] = {
            "digest": codec.digest,
            "restored": [sha256(codec.decode(probes(codec.n_symbols), one)) for one in range(len(codec.qualities))],
        }
        ways = {"": {}, "-finest": {"psnr": codec.qualities[-1].psnr_db}, "-embedded": {"embed_model": True}}
        for ending, how in ways.items():
            archive, middle = f"{name}{ending}.narrows", 2 * len(records) // 3
            narrows.compress(records[:middle], FOLDER / archive, model=model, **how)
            narrows.compress(records[middle:], FOLDER / archive, model=model, append=True)
            archives[archive] = None if "embed_model" in how else model_file
        if name == "ladder":
            images = records[:288].reshape(8, 6, 6, 8, 8).swapaxes(2, 3).reshape(8, 48, 48)[:, :41, :45]
            for overlap in (0, 3):
                tiled = f"{name}-tiles-{overlap}.narrows"
                narrows.compress(images, FOLDER / tiled, model=model, overlap=overlap)
                archives[tiled] = model_file
    restored = {}
    for archive, model_file in archives.items():
        found = narrows.restore(FOLDER / archive, model=None if model_file is None else FOLDER / model_file)
        restored[archive] = {"model": model_file, "shape": list(found.shape), "restored": sha256(found)}
    described = {"narrows": narrows.__version__, "models": written, "archives": restored}
    (FOLDER / "hashes.json").write_text(json.dumps(described, indent=2) + "\n")
    add()


def main() -> None:
    """Make the files, if it is really meant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--overwrite", action="store_true", help=f"replace what is in {FOLDER.name}/")
    parser.add_argument(
        "--add",
        action="store_true",
        help="make those of bounds, small groups, indices, categories, series and fields that are not there",
    )
    chosen = parser.parse_args()
    if chosen.add and not chosen.overwrite:
        return add()
    if not chosen.overwrite:
        raise SystemExit(
            f"Golden files are made once for each version of the format. Is there a new one, or is {FOLDER.name} not "
            "released yet? Then say --overwrite."
        )
    return make()


if __name__ == "__main__":
    main()
