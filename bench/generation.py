"""Measure how far the samples of every generative recipe are from test images of MNIST or Fashion-MNIST.

    python bench/generation.py                   all rows, an hour on two idle cores, most of it training
    python bench/generation.py --only auto wae   some of them
    python bench/generation.py --data fashion-mnist --only auto vae-gan
    python bench/generation.py --pictures        the pictures of docs/generative.md

The score is the Fréchet distance (narrows/evaluation/frechet.py) between 10,000 samples and the 10,000 test images, in
features of a convolutional classifier that is trained here, with a fixed seed, on the training images: the 64 numbers
that its softmax sees. They are scaled so that they vary by 1 over the test images, on average. Beside the samples stand
10,000 training images (the floor: as near as other images come), and samples of one normal distribution over principal
components. Models that take images as black and white are measured by the means they say, as all others are.

Rows that end in "from density" draw codes from the latent density where a recipe has a prior. Takes the models that are
in bench/models (bench/vae.py leaves some there), and trains those that are not. Writes bench/generation.json, for
Fashion-MNIST bench/generation-fashion-mnist.json; rows of earlier runs are kept. Needs the data: see
`narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recipes import MODELS, machine, path_of
from vae import ROWS as VARIATIONAL

import narrows
import narrows.data
from narrows.evaluation.frechet import frechet_distance
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.model.inference import encode
from narrows.networks import Convolutional
from narrows.training import Adam

HERE = Path(__file__).parent
RESULTS = {"mnist": HERE / "generation.json", "fashion-mnist": HERE / "generation-fashion-mnist.json"}
PICTURES = HERE.parent / "docs" / "pictures"
N = 10_000
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("auto", {}),
    **{row.name: (row.recipe, row.changes) for row in VARIATIONAL},
    **{name: (name, {}) for name in ("beta-vae", "conditional-vae", "vq-vae", "wae", "adversarial", "vae-gan")},
    "vae-gan, no adversary": ("vae-gan", {"adversary": None}),
}
DENSITY = ", from density"
FLOOR, PCA = "training images", "PCA, one normal distribution"
ROWS = (
    *(FLOOR, PCA, *RECIPES),
    *(f"{name}{DENSITY}" for name in ("wae", "adversarial", "vae-gan", "vae-gan, no adversary")),
)

# The pictures of docs/generative.md: name, data, row, and the options of `narrows generate`.
DRAWN = (
    ("samples-wae", "mnist", "wae", "-n 60"),
    ("samples-density", "mnist", "auto", "-n 60"),
    ("between", "mnist", "wae", "--between mnist:test#0 mnist:test#1 --between mnist:test#4 mnist:test#7 -n 14"),
    ("traversal", "mnist", "beta-vae", "--traverse"),
    ("manifold", "mnist", "cvae, tuned", "--manifold"),
    ("samples-vae", "mnist", "vae", "-n 60"),
    ("samples-labels", "mnist", "conditional-vae", "-n 60"),
    ("samples-vq", "mnist", "vq-vae", "-n 60"),
    ("samples-adversarial", "mnist", "adversarial", "-n 60"),
    ("samples-vae-gan", "mnist", "vae-gan", "-n 60"),
    ("samples-clothes-density", "fashion-mnist", "auto", "-n 60"),
    ("samples-clothes-adversarial", "fashion-mnist", "adversarial", "-n 60"),
    ("samples-clothes-vae-gan", "fashion-mnist", "vae-gan", "-n 60"),
)


def classifier() -> narrows.AutoencoderClassifier:
    """Return the untrained classifier whose last hidden layer the features are."""
    network = Convolutional(channels=(16, 32), resampling="stride", activation="silu", code_activation="silu")
    return narrows.AutoencoderClassifier(
        narrows.Autoencoder(64, network=network, preprocessing="unit-scale"),
        pretrain=False,
        training=narrows.Training(epochs=4, batch_size=128, optimiser=Adam(learning_rate=2e-3)),
        random_state=0,
    )


class Features:
    """The features, and what is known of the classifier they come from."""

    def __init__(self, train: narrows.data.Source, test: narrows.data.Source) -> None:
        began = time.perf_counter()
        self.classifier = classifier().fit(train)
        self.error = 1 - self.classifier.score(test)
        print(f"classifier: test error {self.error:.4f}, {time.perf_counter() - began:.0f} s", flush=True)
        self.scale = 1.0
        self.test = self.of(test.values)
        self.scale = float(np.sqrt(self.test.var(axis=0).mean()))
        self.test /= self.scale

    def of(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the features of images, (n, 64)."""
        return encode(self.classifier.chain_, images).astype(np.float64) / self.scale


def model_path(row: str, data: str) -> Path:
    """Return where the model of a row is kept."""
    name = row.removesuffix(DENSITY)
    return path_of(name if data == "mnist" else f"{data} {name}")


def trained(row: str, data: str) -> narrows.Autoencoder:
    """Return the model of a row, trained if it has not been."""
    path = model_path(row, data)
    if not path.exists():
        MODELS.mkdir(exist_ok=True)
        name, changes = RECIPES[row.removesuffix(DENSITY)]
        narrows.recipe(name, random_state=0, **changes).fit(f"{data}:train").save(path)
    model = narrows.load(path)
    if not model.has_prior_ and model.latent_density_ is None:
        raise SystemExit(f"{path} was saved before models had a density. Move it away; it will be trained again.")
    return model


def samples(row: str, data: str, train: narrows.data.Source) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return 10,000 images, and how they were made."""
    if row == FLOOR:
        order = np.random.default_rng(0).permutation(len(train))[:N]
        return train.values[np.sort(order)], {"how": "drawn without replacement"}
    if row == PCA:
        components = PrincipalComponents.fit(train.values, 32, 0)
        codes = components.encode(train.values).astype(np.float64)
        factor = np.linalg.cholesky(np.cov(codes, rowvar=False))
        drawn = codes.mean(axis=0) + np.random.default_rng(0).standard_normal((N, 32)) @ factor.T
        images = np.clip(np.rint(components.decode(drawn)), 0, 255).astype(np.uint8).reshape(N, 28, 28)
        return images, {"n_latent": 32, "how": "32 principal components, one normal distribution"}
    model = trained(row, data)
    is_prior = model.has_prior_ and not row.endswith(DENSITY)
    how = {
        "n_latent": model.n_latent_,
        "epochs": len(model.history_),
        "how": "prior" if is_prior else _density(len(model.latent_density_.weights)),
    }
    return model.sample(N, source="prior" if is_prior else "density", random_state=0), how


def _density(n: int) -> str:
    return "density of 1 normal distribution" if n == 1 else f"density of {n} normal distributions"


def measure(row: str, data: str, features: Features, train: narrows.data.Source) -> dict[str, Any]:
    images, how = samples(row, data, train)
    of_data = [] if data == "mnist" else ["--data", data]
    return {
        "row": row,
        **how,
        "frechet": frechet_distance(features.of(images), features.test),
        "n_samples": len(images),
        "seed": 0,
        "classifier_test_error": features.error,
        "machine": machine(),
        "command": "python " + shlex.join(["bench/generation.py", *of_data, "--only", row]),
        "date": datetime.date.today().isoformat(),
    }


def draw(only: list[str] | None) -> None:
    """Draw the pictures, as `narrows generate` does it."""
    from narrows.cli import main as narrows_command

    for name, data, row, options in DRAWN:
        if only is None or row in only:
            trained(row, data)
            where = f"-m {model_path(row, data)} -o {PICTURES / name}.png --force"
            narrows_command(f"generate {where} {options}".split(), standalone_mode=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=ROWS)
    parser.add_argument("--data", choices=RESULTS, default="mnist")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.pictures:
        draw(arguments.only)
        return
    data, path = arguments.data, RESULTS[arguments.data]
    train, test = narrows.data.open(f"{data}:train"), narrows.data.open(f"{data}:test")
    features = Features(train, test)
    for row in ROWS:
        if arguments.only and row not in arguments.only:
            continue
        result = measure(row, data, features, train)
        print(f"{row:28} {result['frechet']:8.3f}  {result['how']}", flush=True)
        results = json.loads(path.read_text()) if path.exists() else {}
        results[row] = result
        path.write_text(json.dumps({name: results[name] for name in ROWS if name in results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
