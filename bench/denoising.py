"""Measure what the denoising recipe takes away of noise, beside a median filter, non-local means and PCA.

    python bench/denoising.py    some minutes, and as many again to train the model if it is not there

Noise of 0.5 on the MNIST test set, clipped to [0, 1]. Takes the model that bench/recipes.py leaves in bench/models, or
trains it. Writes bench/denoising.json; bench/documents.py writes the numbers into the documentation, and the picture
there is that of the command in it. Needs MNIST, see `narrows train --help`, and `pip install '.[compare]'`.
"""

from __future__ import annotations

import argparse
import datetime
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from recipes import MODELS, machine

import narrows
from narrows.evaluation.denoising import compare_denoisers

RESULTS = Path(__file__).parent / "denoising.json"
NOISE, MUST_GAIN_DB = 0.5, 6.0
CHANGES = {"training__epochs": 10}


def trained() -> narrows.Autoencoder:
    """Return the model, trained if it has not been."""
    path = MODELS / "conv-denoising-10-epochs.safetensors"
    if not path.exists():
        MODELS.mkdir(exist_ok=True)
        narrows.recipe("conv-denoising", random_state=0, **CHANGES).fit("mnist:train").save(path)
    return narrows.load(path)


def measure() -> dict[str, Any]:
    """Return the comparison, and whether the model is as far ahead as it must be."""
    comparison = compare_denoisers(trained(), "mnist:test", NOISE, 0, progress=show)
    gains = {name: method["gain_db"] for name, method in comparison["methods"].items()}
    ours = gains.pop("narrows")
    return {
        "recipe": "conv-denoising",
        "changes": CHANGES,
        "data": "mnist:test",
        "seed": 0,
        **comparison,
        "must_gain_db": MUST_GAIN_DB,
        "reached": ours >= MUST_GAIN_DB and all(ours > gain for gain in gains.values()),
        "machine": {**machine(), **{name: version(name) for name in ("scipy", "scikit-image")}},
        "command": "python bench/denoising.py",
        "date": datetime.date.today().isoformat(),
    }


def show(activity: str, n_done: int, n_total: int | None, unit: str) -> None:
    print(f"\r{activity}: {n_done:,} of {n_total:,} {unit}", end="" if n_done != n_total else "\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    result = measure()
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for name, method in result["methods"].items():
        print(f"{name:16} {method['psnr_db']:.2f} dB, {method['gain_db']:+.2f}  {method['settings']}")
    print("reached" if result["reached"] else "MISSED")


if __name__ == "__main__":
    main()
