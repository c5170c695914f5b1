"""The other methods: those of PyOD with its settings, and DDAE, written from its paper.

PyOD's get the standardised records. PCA gets the columns that vary, since its scores are infinite otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

__all__ = ["PEERS", "ddae"]

Floats = npt.NDArray[np.float64]
Scores = Callable[[Floats, Floats, int], Floats]
"""Scores of records, given training records (both standardised) and a seed."""

_LADDER = (0.1, 0.3, 1.0, 3.0)


def _of_pyod(module: str, name: str, **settings: Any) -> Scores:
    def scores(train: Floats, test: Floats, seed: int) -> Floats:
        from importlib import import_module
        from inspect import signature

        kind = getattr(import_module(f"pyod.models.{module}"), name)
        seeded = {"random_state": seed} if "random_state" in signature(kind).parameters else {}
        torch.manual_seed(seed)
        varies = train.std(axis=0) > 0
        detector = kind(**settings, **seeded).fit(train[:, varies])
        if train is test:
            return np.asarray(detector.decision_scores_, np.float64)
        return np.asarray(detector.decision_function(test[:, varies]), np.float64)

    return scores


def _cblof(train: Floats, test: Floats, seed: int) -> Floats:
    """Return scores of CBLOF, with 8 clusters or, where these do not separate, the nearest number that does."""
    for n_clusters in (8, 7, 9, 6, 10, 5, 11, 4, 12, 3):
        try:
            return _of_pyod("cblof", "CBLOF", n_clusters=n_clusters)(train, test, seed)
        except ValueError as error:
            if "cluster separation" not in str(error):
                raise
    raise ValueError("CBLOF finds no clusters that are separate.")


class _Denoiser(nn.Module):
    """Restores records x + σ ε, given σ."""

    def __init__(self, d: int, width: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, d)
        )

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.layers(torch.cat([x / (1 + sigma**2).sqrt(), sigma.log() / 2], 1))
        return restored


def ddae(train: Floats, test: Floats, seed: int, *, steps: int = 1000, batch: int = 256) -> Floats:
    """Return scores of a diffusion denoising autoencoder (after Sattarov, Schreyer and Borth, KDD 2025).

    A network of two layers of 192 units learns to remove noise of a strength drawn between 0.1 and 3, which it is told.
    The score is the squared error of the restored record, summed over four strengths of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    varies = train.std(axis=0) > 0
    x, given = (torch.tensor(one[:, varies], dtype=torch.float32) for one in (train, test))
    model = _Denoiser(x.shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        clean = x[torch.randint(len(x), (min(batch, len(x)),), generator=generator)]
        low, high = np.log(_LADDER[0]), np.log(_LADDER[-1])
        sigma = torch.exp(low + (high - low) * torch.rand(len(clean), 1, generator=generator))
        restored = model(clean + sigma * torch.randn(clean.shape, generator=generator), sigma)
        loss = (restored - clean).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    total = torch.zeros(len(given))
    with torch.no_grad():
        for strength in _LADDER:
            sigma = torch.full((len(given), 1), strength)
            noisy = given + sigma * torch.randn(given.shape, generator=generator)
            total += (model(noisy, sigma) - given).square().mean(1)
    return total.double().numpy()


PEERS: dict[str, Scores] = {
    "IForest": _of_pyod("iforest", "IForest"),
    "KNN": _of_pyod("knn", "KNN"),
    "PCA": _of_pyod("pca", "PCA"),
    "ECOD": _of_pyod("ecod", "ECOD"),
    "HBOS": _of_pyod("hbos", "HBOS"),
    "CBLOF": _cblof,
    "MCD": _of_pyod("mcd", "MCD"),
    "AutoEncoder": _of_pyod("auto_encoder", "AutoEncoder", verbose=0),
    "VAE": _of_pyod("vae", "VAE", verbose=0),
    "DDAE": ddae,
}
