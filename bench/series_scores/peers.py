"""Methods to compare with, on one series of one channel: those of the package tsb-ad with its published best settings.

Sub-PCA, POLY, KMeansAD and IForest are the package's own. Its autoencoder is written anew with the same layers and
settings, since the package's does not run with recent versions of scikit-learn. The patch memory is written from the
paper of PaAno (Park and Kang 2026): patches of 64 steps, embedded by convolutions that are trained by a triplet loss,
and, in the first tenth of 200 steps, by the pretext of recognising the patch before; the score is the mean cosine
distance to the nearest three of a tenth of the training patches, and of a step the mean over its patches. Batches of 64
instead of 512 patches, and an eighth of the channels, so that a series takes seconds on one core.

The autoencoder and the patch memory train on the part before the first outlier, at most a quarter of the series, as
tsb-ad has it. The others see the whole series.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn

__all__ = ["PEERS"]

Floats = NDArray[np.float64]


def package(name: str) -> Callable[[Floats, int], Floats]:
    """Return a method of the package."""

    def scores(x: Floats, n_train: int) -> Floats:
        from TSB_AD import model_wrapper
        from TSB_AD.HP_list import Optimal_Uni_algo_HP_dict as SETTINGS

        np.random.seed(0)  # noqa: NPY002  (the package draws from it)
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
            return np.asarray(getattr(model_wrapper, f"run_{name}")(x.reshape(-1, 1), **SETTINGS[name]))

    return scores


def autoencoder(x: Floats, n_train: int, *, window: int = 100, epochs: int = 50, batch: int = 128) -> Floats:
    """Return the distance of each window from its reconstruction: layers of 128 and 64 units, dropout of 0.2."""
    torch.manual_seed(0)
    windows = sliding_window_view(x, window)
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    windows = (windows - low) / np.where(high > low, high - low, 1)
    train = windows[: max(1, n_train - window + 1)]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    every = torch.from_numpy(((windows - mean) / np.where(deviation > 0, deviation, 1e-8)).astype(np.float32))
    known = every[: len(train)]
    layers: list[nn.Module] = []
    sizes = [window, 128, 64, 128, window]
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(n_in, n_out))
        layers += [nn.BatchNorm1d(n_out)] if i < len(sizes) - 2 else []
        layers += [nn.ReLU()]
        layers += [nn.Dropout(0.2)] if i < len(sizes) - 2 else []
    network = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5)
    for _ in range(epochs):
        for rows in torch.randperm(len(known)).split(batch):
            if len(rows) < batch and len(known) >= batch:
                continue
            loss = F.mse_loss(network(known[rows]), known[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    with torch.no_grad():
        found = torch.cat([(network(part) - part).norm(dim=1) for part in every.split(4096)]).numpy()
    before = math.ceil((window - 1) / 2)
    return np.pad(found, (before, window - 1 - before), mode="edge").astype(np.float64)


class Embedding(nn.Module):
    """Convolutions along time, and their mean."""

    def __init__(self, channels: tuple[int, ...] = (16, 32, 16, 32), kernels: tuple[int, ...] = (7, 5, 3, 3)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out, size in zip((1, *channels[:-1]), channels, kernels, strict=True):
            layers += [nn.Conv1d(n_in, n_out, size, padding=size // 2, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.project = nn.Sequential(nn.Linear(channels[-1], 256), nn.ReLU(), nn.Linear(256, 256))
        self.follows = nn.Linear(2 * channels[-1], 1)

    def forward(self, patches: Tensor) -> Tensor:
        found: Tensor = self.body(patches[:, None]).mean(dim=-1)
        return found


def patch_memory(x: Floats, n_train: int, *, patch: int = 64, steps: int = 200, batch: int = 64) -> Floats:
    """Return the mean distance of the patches around each step from the nearest patches in the memory."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    z = (x - x[:n_train].mean()) / (x[:n_train].std() + 1e-8)
    patches = sliding_window_view(z, patch)
    patches = (patches - patches.mean(1, keepdims=True)) / np.sqrt(patches.var(1, keepdims=True) + 1e-5)
    every = torch.from_numpy(patches.astype(np.float32))
    known = every[: n_train - patch + 1]
    network = Embedding()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=1e-5)
    for step in range(steps):
        anchors = rng.choice(len(known), min(batch, len(known)), replace=False)
        loss = _loss(network, known, anchors, rng, pretext=max(0.0, 1 - step / (steps / 10)), patch=patch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        embedded = torch.cat([network(part) for part in every.split(256)]).numpy()
    memory = _memory(embedded[: len(known)])
    unit = embedded / np.linalg.norm(embedded, axis=1, keepdims=True).clip(1e-12)
    memory /= np.linalg.norm(memory, axis=1, keepdims=True).clip(1e-12)
    distances = 1 - np.partition(unit @ memory.T, -3, axis=1)[:, -3:].mean(axis=1)
    ones = np.ones(patch)
    return np.asarray(np.convolve(distances, ones) / np.convolve(np.ones_like(distances), ones))


def _loss(
    network: Embedding, known: Tensor, anchors: NDArray[Any], rng: np.random.Generator, *, pretext: float, patch: int
) -> Tensor:
    """Return the triplet loss, and the loss of the pretext with its weight."""
    near = anchors + rng.choice([-2, -1, 1, 2], len(anchors))
    near = np.where((near < 0) | (near >= len(known)), anchors, near)
    before = anchors - patch
    parts = [known[anchors], known[near]] + ([known[np.maximum(before, 0)]] if pretext else [])
    embedded = network(torch.cat(parts)).split(len(anchors))
    anchor, positive = (F.normalize(network.project(one), dim=1) for one in embedded[:2])
    distance = 1 - anchor @ positive.T
    others = distance.clone()
    others.fill_diagonal_(-math.inf)
    loss = F.relu(distance.diagonal() - others.max(dim=1).values + 0.5).mean()
    there = torch.from_numpy(before >= 0)
    if pretext and there.any():
        follows = torch.cat([embedded[0][there], embedded[2][there]], dim=1)
        first = torch.arange(len(anchors)).repeat_interleave(5)
        second = (first + torch.randint(1, len(anchors), (len(first),))) % len(anchors)
        strangers = torch.cat([embedded[0][first], embedded[0][second]], dim=1)
        wrong = F.softplus(-network.follows(follows)).mean() + F.softplus(network.follows(strangers)).mean()
        loss = loss + pretext * wrong
    return loss


def _memory(embedded: NDArray[Any]) -> NDArray[Any]:
    """Return the patches nearest to the centres of clusters, a tenth of all."""
    clusters = MiniBatchKMeans(max(4, len(embedded) // 10), random_state=0, n_init=1, batch_size=1024).fit(embedded)
    centres = clusters.cluster_centers_
    distance = (embedded**2).sum(axis=1)[:, None] - 2 * embedded @ centres.T
    return np.array(embedded[distance.argmin(axis=0)])


PEERS: dict[str, Callable[[Floats, int], Floats]] = {
    "Sub-PCA": package("Sub_PCA"),
    "POLY": package("POLY"),
    "KMeansAD": package("KMeansAD_U"),
    "IForest on windows": package("Sub_IForest"),
    "autoencoder": autoencoder,
    "patch memory (PaAno)": patch_memory,
}
