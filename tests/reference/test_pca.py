"""The published errors of principal components pin the convention of every error that narrows gives.

Pixels divided by 255, the mean over the training images removed, squared errors summed over the 784 pixels, the mean of
that over the test images, nothing clipped.
"""

import dataclasses

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.networks import Dense


@pytest.fixture(scope="module")
def components(mnist_images):
    return PrincipalComponents.fit(mnist_images[0], 128, seed=0)


@pytest.mark.parametrize(("k", "published"), [(2, 43.65), (10, 26.71), (32, 13.19), (128, 3.30)])
def test_pca_of_mnist(k, published, components, mnist_images):
    test = mnist_images[1]
    pca = dataclasses.replace(components, components=components.components[:k])
    error = pca.decode(pca.encode(test)) / 255 - test.reshape(len(test), -1) / 255
    assert np.square(error).sum(axis=1).mean() == pytest.approx(published, abs=0.01)


def test_evaluate_tells_the_same_number(components, mnist_images):
    model = Autoencoder(30, network=Dense(widths=()), training=Training(epochs=1), random_state=0).fit(
        mnist_images[0][:500]
    )
    model.model_ = model.model_.with_artefact(dataclasses.replace(components, components=components.components[:30]))
    assert narrows.evaluate(model, mnist_images[1])["pca_sse_per_record"] == pytest.approx(13.87, abs=0.01)
