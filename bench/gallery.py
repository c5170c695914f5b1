"""Measure and draw the classics that docs/classics.md shows, all on images that no model was trained on.

    python bench/gallery.py                   all sections, about half an hour on one core
    python bench/gallery.py --only sparse     some of them

Writes bench/gallery.json (sections of earlier runs are kept) and the pictures of the page to docs/pictures. Models are
kept in bench/models and taken from there the next time, so that sections share them. Needs MNIST: see
`narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recipes import MODELS, machine
from sklearn.linear_model import LogisticRegression

import narrows
import narrows.data
from narrows import pictures
from narrows.bottlenecks import TopK
from narrows.corruptions import Corruption, Gaussian, Masking, SaltAndPepper
from narrows.networks import Convolutional
from narrows.penalties import L1, Contractive, KLSparsity
from narrows.penalties.contractive import norm_of_one_layer
from narrows.pictures.style import INK, MUTED, axes_at, new_figure, style, text_at

HERE = Path(__file__).parent
RESULTS = HERE / "gallery.json"
PICTURES = HERE.parent / "docs" / "pictures"
N_TRAIN, EPOCHS = 50_000, 5  # of the recipe `da`, a third of the tutorial's epochs
N_LABELLED = 10_000  # what the classifiers learn from
ACTIVE = 0.1  # from here on a unit counts as active
RARE = 0.01  # and in less than this share of the images as rarely so

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """One model of the page: a recipe, what is changed of it, and how many images it sees."""

    name: str
    changes: dict[str, Any]
    recipe: str = "da"
    records: int = N_TRAIN

    def trained(self) -> narrows.Autoencoder:
        """Return the model, trained if it has not been."""
        path = MODELS / f"gallery-{self.name.replace(' ', '-')}.safetensors"
        if not path.exists():
            MODELS.mkdir(exist_ok=True)
            print(f"training {self.name}", flush=True)
            changes = {"training__epochs": EPOCHS, **self.changes}
            narrows.recipe(self.recipe, random_state=0, **changes).fit(train().limit(self.records)).save(path)
        return narrows.load(path)

    def described(self, model: narrows.Autoencoder) -> dict[str, Any]:
        return {
            "recipe": self.recipe,
            "changes": {name: repr(value) for name, value in self.changes.items()},
            "records": self.records,
            "epochs": len(model.history_),
            "training_seconds": round(sum(epoch["seconds"] for epoch in model.history_), 1),
        }


CLEAN = Run("none", {"corruption": None})
MASKED = Run("masking 0.3", {"corruption": Masking(level=0.3)})
CORRUPTED = [
    CLEAN,
    Run("masking 0.1", {"corruption": Masking(level=0.1)}),
    MASKED,
    Run("masking 0.5", {"corruption": Masking(level=0.5)}),
    Run("masking 0.7", {"corruption": Masking(level=0.7)}),
    Run("gaussian 0.25", {"corruption": Gaussian(scale=0.25)}),
    Run("gaussian 0.5", {"corruption": Gaussian(scale=0.5)}),
    Run("gaussian 1", {"corruption": Gaussian(scale=1.0)}),
    Run("salt-and-pepper 0.1", {"corruption": SaltAndPepper(level=0.1)}),
    Run("salt-and-pepper 0.3", {"corruption": SaltAndPepper(level=0.3)}),
]
WIDTHS = [
    run
    for n in (32, 500, 1568)
    for run in (
        CLEAN if n == 500 else Run(f"{n} numbers", {"corruption": None, "n_latent": n}),
        MASKED if n == 500 else Run(f"{n} numbers, masking 0.3", {"corruption": Masking(level=0.3), "n_latent": n}),
    )
]
SPARSE = [
    CLEAN,
    Run("l1", {"corruption": None, "penalties": (L1(weight=0.3),)}),
    Run("kl-sparsity", {"corruption": None, "penalties": (KLSparsity(weight=3.0, target=0.05),)}),
    # As in the publication units are linear; then steps of 0.1 are too long.
    Run(
        "top-k",
        {
            "corruption": None,
            "bottleneck": TopK(k=25),
            "network__code_activation": "identity",
            "training__optimiser__learning_rate": 0.02,
        },
    ),
]
CONTRACTED = [CLEAN, Run("contractive", {"corruption": None, "penalties": (Contractive(weight=0.1),)}), MASKED]
FEW = {"training__epochs": 150, "training__batch_size": 20, "training__validation": 0.1}
LAST = Run("last", FEW, recipe="dense", records=1000)
STOPPED = Run("stopped", {**FEW, "training__patience": 20}, recipe="dense", records=1000)
POOLED = [
    Run(
        unpooling,
        {"n_latent": 8, "network": Convolutional(channels=(16, 32), unpooling=unpooling)},
        recipe="auto",
        records=20_000,
    )
    for unpooling in ("switches", "repeat")
]


@cache
def train() -> narrows.data.Source:
    return narrows.data.open("mnist:train")


@cache
def test() -> narrows.data.Source:
    return narrows.data.open("mnist:test")


def sse(model: narrows.Autoencoder, images: NDArray[Any] | None = None) -> float:
    """Return the squared error of restored test images, or others, pixels in [0, 1]."""
    return float(narrows.evaluate(model, test() if images is None else images)["sse_per_record"] or 0)


def sse_from(model: narrows.Autoencoder, corruption: Corruption) -> float:
    """Return the squared error of test images restored from ones damaged so, however the model was trained."""
    model.chain_.corruption, own = corruption, model.chain_.corruption
    error = narrows.evaluate(model, test(), corrupted=True)["sse_per_record"]
    model.chain_.corruption = own
    return float(error or 0)


def error_percent(codes: Callable[[narrows.data.Source], NDArray[Any]]) -> float:
    """Return how many test images a linear classifier of their codes gets wrong, in percent."""
    labelled = train().limit(N_LABELLED)
    classifier = LogisticRegression(max_iter=1000).fit(codes(labelled), labelled.labels)
    return 100 * (1 - float(classifier.score(codes(test()), test().labels)))


def corruptions() -> Rows:
    """Kinds and levels of corruption: features for a classifier, and what is restored of each kind of noise."""
    noises = {
        "masking": Masking(level=0.3),
        "gaussian": Gaussian(scale=0.5),
        "salt-and-pepper": SaltAndPepper(level=0.3),
    }
    rows: Rows = {}
    for run in CORRUPTED:
        model = run.trained()
        rows[run.name] = {
            **run.described(model),
            "error": error_percent(model.transform),
            "sse": sse(model),
            **{f"sse_{name}": sse_from(model, noise) for name, noise in noises.items()},
        }
    draw_filters(CORRUPTED, rows, "corruptions", n_columns=5)
    rows["pixels"] = {"error": error_percent(lambda images: images.values.reshape(len(images), -1) / 255)}
    return rows


def overcomplete() -> Rows:
    """Codes shorter and longer than the image, and whether what is no digit comes back as well."""
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(test().values.reshape(len(test()), -1), axis=1).reshape(test().values.shape)
    rows: Rows = {}
    restored = {"image": some(test().values, shuffled)}
    for run in WIDTHS:
        model = run.trained()
        principal = narrows.evaluate(model, shuffled)["pca_sse_per_record"]
        rows[width_name(run)] = {
            **run.described(model),
            "n_latent": model.n_latent_,
            "error": error_percent(model.transform),
            "sse": sse(model),
            "sse_shuffled": sse(model, shuffled),
            "pca_sse": narrows.evaluate(model, test())["pca_sse_per_record"],
            "pca_sse_shuffled": principal,
        }
        restored[width_name(run)] = some(model.reconstruct(test()), model.reconstruct(shuffled))
    figure = pictures.rows(restored)
    pictures.save(figure, PICTURES / "overcomplete.png", force=True)
    return rows


def width_name(run: Run) -> str:
    return {"none": "500 numbers", "masking 0.3": "500 numbers, masking 0.3"}.get(run.name, run.name)


def some(digits: NDArray[Any], shuffled: NDArray[Any]) -> NDArray[Any]:
    """Return five digits and five images of shuffled pixels."""
    return np.concatenate([digits[:5], shuffled[:5]])


def stopping() -> Rows:
    """A thousand images, trained on to the end and until the validation loss no longer falls."""
    from narrows.cli import main as narrows_command

    rows: Rows = {}
    for run in (LAST, STOPPED):
        model = run.trained()
        best = int(np.argmin([epoch["validation_loss"] for epoch in model.history_]))
        kept = best if run is STOPPED else -1
        rows[run.name] = {
            **run.described(model),
            "best_epoch": best + 1,
            "training_loss": model.history_[kept]["loss"],
            "validation_loss": model.history_[kept]["validation_loss"],
            "test_loss": -model.score(test()),
            "sse": sse(model),
        }
    drawn = ["-m", str(MODELS / "gallery-last.safetensors"), "-o", str(PICTURES / "stopping.png")]
    narrows_command(["picture", *drawn, "--kind", "curves", "--force"], standalone_mode=False)
    return rows


def sparse() -> Rows:
    """How many units speak, how many hardly ever do, and what it costs."""
    rows: Rows = {}
    for run in SPARSE:
        model = run.trained()
        activity = np.abs(model.transform(test()))
        rows[run.name] = {
            **run.described(model),
            "mean_activity": float(activity.mean()),
            "active_percent": 100 * float((activity > ACTIVE).mean()),
            "rare_percent": 100 * float(((activity > ACTIVE).mean(axis=0) < RARE).mean()),
            "error": error_percent(model.transform),
            "sse": sse(model),
        }
    draw_filters(SPARSE, rows, "sparse", n_columns=4)
    return rows


def contractive() -> Rows:
    """How far the code moves when the image does."""
    rows: Rows = {}
    for run in CONTRACTED:
        model = run.trained()
        rows[run.name] = {
            **run.described(model),
            "norm": mean_norm(model),
            "error": error_percent(model.transform),
            "sse": sse(model),
            "sse_gaussian": sse_from(model, Gaussian(scale=0.5)),
        }
    draw_filters(CONTRACTED, rows, "contractive", n_columns=3)
    return rows


def mean_norm(model: narrows.Autoencoder) -> float:
    """Return the mean over the test images of the Jacobian's Frobenius norm, ‖∂h/∂x‖_F."""
    layer = model.chain_.encoder.single_layer
    assert layer is not None
    with torch.no_grad():
        squares = norm_of_one_layer(*layer, model.chain_.prepare(torch.from_numpy(np.array(test().values))))
        return float(squares.sqrt().mean())


def unpooling() -> Rows:
    """Two small models alike, but for the way back from max-pooling."""
    rows: Rows = {}
    restored = {"original": test().values[:10]}
    names = {"switches": "with switches", "repeat": "repeated"}
    for run in POOLED:
        model = run.trained()
        rows[run.name] = {**run.described(model), "n_latent": model.n_latent_, "sse": sse(model)}
        restored[names[run.name]] = model.reconstruct(test().limit(10))
    pictures.save(pictures.rows(restored), PICTURES / "unpooling.png", force=True)
    return rows


def draw_filters(runs: list[Run], rows: Rows, name: str, *, n_columns: int) -> None:
    """Draw the first filters of models beside each other, below each how its classifier does."""
    tile, scale, margin, gap, line = (6, 6), 2, 28, 26, 36  # of the last four, pixels
    filters = [run.trained().chain_.encoder.layers[0].weight.detach().numpy()[: tile[0] * tile[1]] for run in runs]
    rasters = [pictures.tile_raster(w.reshape(-1, 28, 28), tile=tile, fill=1.0) for w in filters]
    side = scale * len(rasters[0])
    n_lines = -(-len(runs) // n_columns)
    height = line + side + line + gap
    with style():
        figure = new_figure(2 * margin + n_columns * (side + gap) - gap, 2 * margin + n_lines * height - gap)
        for place, (run, raster) in enumerate(zip(runs, rasters, strict=True)):
            left = margin + place % n_columns * (side + gap)
            top = margin + place // n_columns * height
            text_at(figure, left, top, run.name, va="top", color=INK, weight="bold")
            axes = axes_at(figure, left, top + line, side, side)
            axes.imshow(raster, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            caption = f"{rows[run.name]['error']:.1f} % of test digits wrong"
            text_at(figure, left, top + line + side + 10, caption, va="top", color=MUTED, fontsize=7)
    pictures.save(figure, PICTURES / f"{name}.png", force=True)


SECTIONS: dict[str, Callable[[], Rows]] = {
    "corruptions": corruptions,
    "overcomplete": overcomplete,
    "stopping": stopping,
    "sparse": sparse,
    "contractive": contractive,
    "unpooling": unpooling,
}


def stored() -> dict[str, Any]:
    """Return the results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=list(SECTIONS))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.only or SECTIONS:
        result = {
            "rows": SECTIONS[name](),
            "data": "mnist:test",
            "machine": machine(),
            "command": "python " + shlex.join(["bench/gallery.py", "--only", name]),
            "date": datetime.date.today().isoformat(),
        }
        RESULTS.write_text(json.dumps({**stored(), name: result}, indent=1) + "\n")
        print(name, flush=True)
        for row, numbers in result["rows"].items():
            shown = {key: value for key, value in numbers.items() if isinstance(value, float)}
            print(f"  {row:26} " + ", ".join(f"{key} {value:.4g}" for key, value in shown.items()), flush=True)


if __name__ == "__main__":
    main()
