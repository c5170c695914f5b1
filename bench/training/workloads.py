"""The five workloads of the documents, without narrows: other frameworks run in environments of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Workload:
    """What a document trains, and the quality that its original has at the end.

    Attributes
    ----------
    recipe : str
        The recipe with the document's settings.
    batch_size, epochs : int
        As in the document; of the convolutional denoising network a tenth of the epochs, as everywhere here.
    measure : str
        ``sse``: squared error of an image. ``ce``: cross-entropy of a pixel. ``ce, noisy``: of images with noise.
        ``elbo``: nats of an image, the higher the better.
    tuned : tuple of str
        The command that reaches this quality sooner, as the arguments of ``narrows train``.
    sooner : float
        How many times sooner that must be.
    """

    recipe: str
    batch_size: int
    epochs: int
    measure: str
    tuned: tuple[str, ...]
    sooner: float

    def reaches(self, value: float, original: float) -> bool:
        """Return whether a value of the measure is as good as the original's."""
        return value >= original if self.measure == "elbo" else value <= original


WORKLOADS = {
    one.recipe: one
    for one in (
        Workload("deep-tied", 20, 30, "sse", ("mnist", "--epochs", "1"), 10),
        Workload("dense", 256, 50, "ce", ("mnist", "--epochs", "1", "--batch-size", "256"), 10),
        Workload("simple", 256, 50, "ce", ("mnist", "--epochs", "1", "--batch-size", "512"), 10),
        Workload(
            "conv-denoising",
            128,
            10,
            "ce, noisy",
            (
                *("mnist", "--recipe", "conv-denoising", "--epochs", "4", "--batch-size", "64"),
                *("--set", "network__resampling=stride", "--set", "training__optimiser=adam"),
                *("--set", "training__optimiser__learning_rate=0.004", "--set", "training__schedule=one-cycle"),
            ),
            3,
        ),
        Workload(
            "cvae",
            100,
            10,
            "elbo",
            (
                *("mnist", "--recipe", "cvae", "--epochs", "3", "--set", "network__channels=16,32"),
                *("--set", "training__schedule=cosine", "--set", "training__optimiser__learning_rate=0.003"),
            ),
            3,
        ),
    )
}


def load(folder: Path) -> tuple[Images, Images]:
    """Return training and test images (n, 784), pixels in [0, 1], from the files that run.py wrote."""
    train, test = (np.load(folder / f"{split}.npy").reshape(-1, 784) for split in ("train", "test"))
    return train.astype(np.float32) / 255, test.astype(np.float32) / 255


def batches(n: int, size: int, rng: np.random.Generator) -> list[NDArray[Any]]:
    """Return the indices of the batches of an epoch, shuffled; the last one may be smaller."""
    order = rng.permutation(n)
    return [order[at : at + size] for at in range(0, n, size)]
