"""Measure two claims of the documents that no other benchmark measures, on MNIST and Fashion-MNIST.

    python bench/claims.py          some six minutes on one core

A linear network with squared errors finds what PCA finds (documents 1 and 2): a linear autoencoder and PCA, both with
32 numbers, and the cosines of the angles between their subspaces. An autoencoder works only on data like its training
data (document 4): `auto`, trained on one set and measured on both. Writes bench/claims.json. Needs both data sets: see
`narrows train --help`.
"""

from __future__ import annotations

import datetime
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes import machine

import narrows
import narrows.data

RESULTS = Path(__file__).parent / "claims.json"
SETS = ("mnist", "fashion-mnist")
LINEAR = {"network__widths": (), "training__epochs": 20}


def linear() -> dict[str, Any]:
    """Train a linear autoencoder from random weights; compare its error and its subspace with those of PCA."""
    model = narrows.recipe("vanilla", random_state=0, **LINEAR).fit("mnist:train")
    measured = narrows.evaluate(model, "mnist:test")
    origin = np.zeros((1, model.n_latent_), dtype=np.float32)
    with torch.no_grad():
        decoded = model.decoder_(torch.from_numpy(np.concatenate([origin, np.eye(model.n_latent_, dtype=np.float32)])))
    images = decoded.reshape(len(decoded), -1).double().numpy()
    own, _ = np.linalg.qr((images[1:] - images[0]).T)
    components = model.pca_.components.reshape(model.n_latent_, -1).astype(np.float64)
    cosines = np.linalg.svd(components @ own, compute_uv=False)
    return {
        "changes": {name: repr(value) for name, value in LINEAR.items()},
        "sse": measured["sse_per_record"],
        "pca_sse": measured["pca_sse_per_record"],
        "least_cosine": float(cosines.min()),
        "mean_cosine": float(cosines.mean()),
    }


def elsewhere() -> dict[str, Any]:
    """Measure models of each set on both: squared errors of an image, pixels in [0, 1]."""
    models = {name: narrows.recipe("auto", random_state=0).fit(f"{name}:train") for name in SETS}
    rows: dict[str, Any] = {}
    for trained, measured in product(SETS, SETS):
        metrics = narrows.evaluate(models[trained], f"{measured}:test")
        rows[f"{trained} on {measured}"] = {"sse": metrics["sse_per_record"], "pca_sse": metrics["pca_sse_per_record"]}
    return rows


def main() -> None:
    torch.set_num_threads(1)
    results = {
        "linear": linear(),
        "elsewhere": elsewhere(),
        "machine": machine(),
        "command": "python bench/claims.py",
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
