"""What all tests share: one thread, so that a machine with few cores stays usable, and MNIST where it is at hand."""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np
import pytest
import torch

import narrows.data

torch.set_num_threads(1)

MNIST_AT = [os.environ.get("NARROWS_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]


@pytest.fixture(scope="session")
def mnist_folder():
    """Return the folder that holds mnist/ and fashion/."""
    for folder in (Path(place) for place in MNIST_AT if place):
        if (folder / "mnist" / "t10k-images-idx3-ubyte.gz").is_file():
            return folder
    return pytest.skip("MNIST is not at hand; set NARROWS_DATA to the folder that holds mnist/")


@pytest.fixture
def mnist(monkeypatch, mnist_folder):
    """Return the folder that holds mnist/ and fashion/; `$NARROWS_DATA` points there during the test."""
    monkeypatch.setenv("NARROWS_DATA", str(mnist_folder))
    return mnist_folder


@pytest.fixture(scope="session")
def mnist_images(mnist_folder):
    """Return the training and the test images, uint8 (60000, 28, 28) and (10000, 28, 28)."""
    files = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    return tuple(narrows.data.open(mnist_folder / "mnist" / file).values for file in files)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits():
    """Return scikit-learn's handwritten digits: training and test images."""
    return tuple(narrows.data.open(f"digits:{split}").values for split in ("train", "test"))
