"""What all tests share.

One thread, so that a machine with few cores stays usable; MNIST where it is at hand; and a few small trained models,
for what can only be tested of a trained one.
"""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np
import pytest
import torch

import narrows
import narrows.data
from narrows.codec import inner
from narrows.networks import Dense, Strided

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


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def loops(request):
    """Run what asks for this with the codec's inner loops in C and again in NumPy: both must say the same."""
    if request.param == "compiled" and inner.compiled is None:
        pytest.skip("narrows was installed without a compiler")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(inner, "compiled", None)
        yield request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits():
    """Return scikit-learn's handwritten digits: training and test images."""
    return tuple(narrows.data.open(f"digits:{split}").values for split in ("train", "test"))


@pytest.fixture(scope="session")
def codec_model(digits):
    """Return a model of digits for small files: six whole numbers with an autoregressive prior, at 14 dB."""
    network = Dense(widths=(32,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe(
        "codec", n_latent=6, network=network, likelihood__psnr=14.0, bottleneck__n_hidden=4, random_state=0
    )
    return model.set_params(training__epochs=10, training__optimiser__learning_rate=5e-3).fit(digits[0])


@pytest.fixture(scope="session")
def large_digits(digits):
    """Return the digits at 16×16: training and test images."""
    return tuple(np.kron(images, np.ones((1, 2, 2), np.uint8)) for images in digits)


@pytest.fixture(scope="session")
def map_model(large_digits):
    """Return a model of the digits at 16×16 whose code is a map of 2×4×4 whole numbers; hardly trained."""
    network = Strided(channels=(6, 8), depth=0, code_channels=2, output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe("codec", network=network, likelihood__psnr=14.0, bottleneck__n_hidden=4, random_state=0)
    return model.set_params(training__epochs=3, training__optimiser__learning_rate=5e-3).fit(large_digits[0])


@pytest.fixture(scope="session")
def ladder_model(digits):
    """Return a model of digits with a plain code of eight numbers, whose qualities the codec makes."""
    network = Dense(widths=(32,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    return narrows.Autoencoder(
        8, network=network, training=narrows.Training(epochs=15, batch_size=32), random_state=0
    ).fit(digits[0])


@pytest.fixture(scope="session")
def table():
    """Return a table of six columns, float32 (400, 6), which three numbers can nearly say."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(400, 6))).astype(np.float32)


@pytest.fixture(scope="session")
def table_model(table):
    """Return a model of the table with a code of three numbers."""
    training = narrows.Training(epochs=30, batch_size=32)
    return narrows.Autoencoder(3, network=Dense(widths=(16,)), training=training, random_state=0).fit(table)
