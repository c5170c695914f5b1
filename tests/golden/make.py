"""Make the golden archives and models of this format version: to be decoded for ever.

They are made once for each version of the format, by hand, and never again: what narrows has written, it must be able
to read. Therefore nothing happens without the flag::

    python tests/golden/make.py --overwrite
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

import narrows
import narrows.data
from narrows.networks import Dense, Strided

FOLDER = Path(__file__).parent / "v1"
MOST_BYTES = 400_000


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
    """Return what an archive is to hold: more than one group of 256 or less, and some that need escapes."""
    rng = np.random.default_rng(1)
    if name == "table":
        return np.concatenate([test, 1e4 * rng.normal(size=(3, 6)).astype(np.float32)])
    noise = rng.integers(0, 256, (10, *test.shape[1:]), np.uint8, endpoint=False)
    return np.concatenate([test[:290], noise])


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
        codec = model.frozen_
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
    total = sum(file.stat().st_size for file in FOLDER.iterdir())
    if total >= MOST_BYTES:
        raise SystemExit(f"That is too much: at most {MOST_BYTES:,} bytes.")


def main() -> None:
    """Make the files, if it is really meant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--overwrite", action="store_true", help=f"replace what is in {FOLDER.name}/")
    if not parser.parse_args().overwrite:
        raise SystemExit(
            f"Golden files are made once for each version of the format. Is there a new one, or is {FOLDER.name} not "
            "released yet? Then say --overwrite."
        )
    make()


if __name__ == "__main__":
    main()
