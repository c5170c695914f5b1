"""Compare networks for series: errors at the same code size, exactness of archives, and time against length.

    python bench/series/networks.py                the heartbeats of ECG5000, and series of growing length
    python bench/series/networks.py --only keras   a step beside that of Keras, one thread each

Writes bench/series-networks.json and the pictures of docs/series.md. ECG5000 is taken from $NARROWS_DATA/ecg5000, or
from ../shared/data beside the project. Models learn from the 500 training beats, of which a tenth chooses the best
weights, and are measured on the 4,500 test beats. Keras is taken from the environment that bench/training/run.py makes,
if it is not installed beside narrows.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import narrows
from narrows.networks import Dense, Recurrent, Sizes, Temporal

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from datasets import ROOT  # noqa: E402 - the folder above is not a package
from recipes import machine  # noqa: E402

RESULTS = HERE.parent / "series-networks.json"
PICTURES = HERE.parent.parent / "docs" / "pictures"
SIZES = (8, 4, 16)
DRAWN = 8  # numbers of the codes in the picture
LENGTHS = (64, 128, 256, 512, 1024, 2048)
BATCH, STEPS_TIMED, ROUNDS = 16, 9, 5

Beats = NDArray[np.float32]


def beats() -> tuple[Beats, Beats, NDArray[np.int64]]:
    """Return training beats, test beats and the classes of the latter."""
    train = np.loadtxt(ROOT / "ecg5000" / "ECG5000_TRAIN.txt", dtype=np.float32)
    with gzip.open(ROOT / "ecg5000" / "ECG5000_TEST.txt.gz") as file:
        test = np.loadtxt(file, dtype=np.float32)
    return train[:, 1:], test[:, 1:], test[:, 0].astype(np.int64)


def models(n_latent: int) -> dict[str, narrows.Autoencoder]:
    """Return untrained models by name. Their networks stand beside a linear path that starts at PCA."""
    dense = Dense(widths=(512,), activation="silu", linear_path=True)
    return {
        "dense": narrows.recipe("series", n_latent=n_latent, network=dense, random_state=0),
        "temporal": narrows.recipe("series", n_latent=n_latent, random_state=0),
        "recurrent": narrows.recipe("recurrent", n_latent=n_latent, random_state=0),
    }


def measured(model: narrows.Autoencoder, test: Beats) -> dict[str, float]:
    """Return the errors of a model on test beats: in floats, in archives, and between floats and whole numbers.

    The last is the median over beats, since beats far from those of the training saturate in whole numbers.
    """
    codec, codes = model.codec_, model.transform(test[:500])
    finest = len(codec.qualities) - 1
    symbols = model.quantise(test[:500], finest)
    steps = codec.qualities[finest].steps
    by_floats = model.inverse_transform((symbols * steps).astype(np.float64).reshape(codes.shape))
    by_integers = codec.decode(symbols, finest)
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "beats.narrows"
        narrows.compress(test, archive, model=model)
        bytes_per_beat = archive.stat().st_size / len(test)
        restored = narrows.restore(archive, model=model)
    weights = sum(weight.numel() for weight in model.chain_.parameters())
    return {
        "mse": float(np.square(model.reconstruct(test) - test).mean()),
        "integer_deviation": float(np.median(np.sqrt(np.square(by_integers - by_floats).mean(1)))),
        "archive_bytes_per_beat": bytes_per_beat,
        "archive_mse": float(np.square(restored - test).mean()),
        "weights": weights,
    }


def errors(results: dict[str, Any]) -> None:
    """Measure the errors by code size and network, and draw some test beats."""
    train, test, _ = beats()
    rows: dict[str, Any] = results.setdefault("errors", {})
    drawn: dict[str, Beats] = {}
    for n_latent in SIZES:
        row: dict[str, Any] = {}
        for name, model in models(n_latent).items():
            start = time.process_time()
            model.fit(train)
            row[name] = {"cpu_seconds": time.process_time() - start, **measured(model, test)}
            print(f"{n_latent} {name}: {row[name]}", flush=True)
            if n_latent == DRAWN:
                drawn[name] = model.reconstruct(test)
            pca = model.pca_
            assert pca is not None
            row["PCA"] = {"mse": float(np.square(pca.decode(pca.encode(test)) - test).mean())}
            rows[str(n_latent)] = row
            write(results)
        if n_latent == DRAWN:
            draw_beats(results, drawn)


def step_of(network: Any, length: int) -> Any:
    """Return a function that takes a training step on random series of a length."""
    sizes = Sizes((length,), (8,), (8,))
    encoder, decoder = network.build(sizes, torch.Generator().manual_seed(0))
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(weights, lr=1e-3, foreach=True)
    x = torch.randn(BATCH, length, generator=torch.Generator().manual_seed(1))

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.mse_loss(decoder(encoder(x)), x).backward()
        optimiser.step()

    return step


def milliseconds(step: Any) -> float:
    """Return the median CPU time of a step."""
    for _ in range(2):
        step()
    taken = []
    for _ in range(STEPS_TIMED):
        start = time.process_time()
        step()
        taken.append(time.process_time() - start)
    return 1e3 * statistics.median(taken)


def lengths() -> dict[str, dict[str, float]]:
    """Return the CPU milliseconds of a training step by network and length, and the slopes of their logarithms."""
    networks = {
        "temporal": Temporal(channels=(16, 32, 32)),
        "recurrent": Recurrent(),
    }
    found = {}
    for name, network in networks.items():
        times = {str(length): milliseconds(step_of(network, length)) for length in LENGTHS}
        slope = np.polyfit(np.log(LENGTHS[-4:]), np.log(list(times.values())[-4:]), 1)[0]
        found[name] = {**times, "exponent": float(slope)}
        print(name, found[name], flush=True)
    return found


def keras_step(length: int, width: int) -> Any:
    """Return a function that trains Keras on one batch: GRU, repeated code, GRU, a dense layer for each step."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((length, 1)),
            layers.GRU(width),
            layers.Dense(8),
            layers.RepeatVector(length),
            layers.GRU(width, return_sequences=True),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    x = np.random.default_rng(1).standard_normal((BATCH, length, 1)).astype(np.float32)
    return lambda: model.train_on_batch(x, x)


def beside_keras() -> dict[str, Any]:
    """Return the CPU milliseconds of a step of the same layers here and in Keras, in turns: medians of the rounds."""
    sys.path += map(str, (HERE.parent / "training" / ".venv").glob("lib/python*/site-packages"))
    import keras
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    found: dict[str, Any] = {"keras": keras.__version__, "backend": keras.backend.backend()}
    for length in (140, 560):
        steps = {
            "narrows": step_of(Recurrent(width=64, patch=1, code_input="repeated"), length),
            "narrows, patch 4": step_of(Recurrent(width=64), length),
            "keras": keras_step(length, 64),
        }
        rounds = [{name: milliseconds(step) for name, step in steps.items()} for _ in range(ROUNDS)]
        found[str(length)] = {name: statistics.median(one[name] for one in rounds) for name in steps}
        found[str(length)]["ratios"] = sorted(one["keras"] / one["narrows"] for one in rounds)
        print(length, found[str(length)], flush=True)
    return found


def draw_beats(results: dict[str, Any], restored: dict[str, Beats]) -> None:
    """Draw beats of four classes, restored by each network."""
    from narrows.pictures import save
    from narrows.pictures.style import ACCENT, INK, MUTED, new_figure, style

    _, test, classes = beats()
    names = list(restored)
    rows = [int(np.flatnonzero(classes == kind)[3]) for kind in (1, 2, 3, 4)]
    with style():
        figure = new_figure(1640, 1240)
        axes = figure.subplots(len(rows), len(names), sharex=True, sharey="row")
        for line, row in enumerate(rows):
            for column, name in enumerate(names):
                one = axes[line, column]
                one.plot(test[row], color=INK, alpha=0.35, linewidth=2.4, label="original")
                one.plot(restored[name][row], color=ACCENT, linewidth=1.1, label="restored")
                error = float(np.square(restored[name][row] - test[row]).mean())
                one.set_title(f"error {error:.3f}", loc="right", color=MUTED, size=7, weight="normal")
                if line == 0:
                    mean = results["errors"][str(DRAWN)][name]["mse"]
                    one.text(0, 1.28, name, transform=one.transAxes, color=INK, weight="bold", size=10)
                    one.text(0, 1.12, f"{mean:.4f} on all test beats", transform=one.transAxes, color=MUTED, size=7)
        axes[0, 0].legend(loc="lower center")
        for one in axes[-1]:
            one.set_xlabel("step")
        figure.subplots_adjust(left=0.04, right=0.99, top=0.91, bottom=0.06, hspace=0.28, wspace=0.06)
        save(figure, PICTURES / "series-networks.png", force=True)


def draw_lengths(results: dict[str, Any]) -> None:
    """Draw the time of a step against the length of the series, beside lines of times in proportion to it."""
    from narrows.pictures import save
    from narrows.pictures.style import CLASSES, FAINT, MUTED, new_figure, style

    with style():
        figure = new_figure(1240, 760)
        one = figure.subplots()
        for k in range(-6, 8):
            one.loglog(LENGTHS, [2.0**k * length / 16 for length in LENGTHS], color=FAINT, linewidth=0.8)
        highest, lowest = 0.0, float("inf")
        for i, (name, of_name) in enumerate(results["lengths"].items()):
            times = [of_name[str(length)] for length in LENGTHS]
            one.loglog(LENGTHS, times, marker="o", markersize=4, color=CLASSES[i])
            one.annotate(name, (LENGTHS[-1], times[-1]), (8, 0), "data", "offset points", va="center", color=CLASSES[i])
            highest, lowest = max(highest, *times), min(lowest, *times)
        one.set_xticks(LENGTHS, [f"{length:,}" for length in LENGTHS])
        ticks = [tick for tick in (2, 5, 10, 20, 50, 100, 200, 500) if lowest / 1.5 < tick < highest * 1.5]
        one.set_yticks(ticks, [str(tick) for tick in ticks])
        one.minorticks_off()
        one.set_ylim(lowest / 1.5, highest * 1.5)
        one.set_xlim(LENGTHS[0] / 1.15, LENGTHS[-1] * 1.9)
        one.set_xlabel("steps of a series; grey lines: time in proportion to the steps", color=MUTED)
        one.set_title(f"CPU time of a training step of {BATCH} series, ms", loc="left")
        figure.tight_layout()
        save(figure, PICTURES / "series-length.png", force=True)


def write(results: dict[str, Any]) -> None:
    """Write what has been measured so far."""
    results["machine"], results["date"] = machine(), datetime.date.today().isoformat()
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


SECTIONS = ("errors", "lengths", "keras")


def main() -> None:
    """Measure, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=SECTIONS, help="one section; 'keras' needs it to be installed")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if only in {None, "errors"}:
        errors(results)
    if only in {None, "lengths"}:
        results["lengths"] = lengths()
        draw_lengths(results)
    if only == "keras":
        results["beside_keras"] = beside_keras()
    write(results)


if __name__ == "__main__":
    main()
