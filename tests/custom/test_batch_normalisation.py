"""Batch normalisation of vectors cannot train on a batch of one record, so the last batch is never that small."""

import numpy as np
import pytest
from torch import nn

from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError
from narrows.training import Callback

X = np.random.default_rng(0).normal(size=(21, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(21, 4, 4)).astype(np.float32)


class Sizes(Callback):
    """Notes how many records of an epoch are done after each step."""

    def __init__(self):
        self.done = []

    def step(self, epoch, records_done, loss):
        self.done.append(records_done)


@pytest.fixture(autouse=True)
def _look_after_every_step(monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)


def of_vectors():
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), nn.Linear(4, 6)


def of_maps():
    encoder = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    return encoder, nn.Sequential(nn.Linear(8, 16), nn.Unflatten(1, (4, 4)))


def make(network, batch_size=10, **params):
    training = Training(epochs=1, batch_size=batch_size)
    return Autoencoder(None, network=network, training=training, artefacts=(), random_state=0, **params)


def test_a_last_batch_of_one_record_is_added_to_the_one_before():
    sizes = Sizes()
    model = make(of_vectors()).fit(X, callback=sizes)
    assert sizes.done == [10, 21]
    assert np.isfinite(model.history_[0]["loss"])
    assert model.chain_.encoder.state_dict()["module.1.num_batches_tracked"] == 2


@pytest.mark.parametrize(("network", "n"), [(of_vectors(), 22), ((nn.Linear(6, 4), nn.Linear(4, 6)), 21)])
def test_other_batches_stay_as_they_are(network, n):
    sizes = Sizes()
    make(network).fit(np.resize(X, (n, 6)), callback=sizes)
    assert sizes.done == [10, 20, n]


def test_batch_normalisation_of_maps_trains_on_one_record():
    sizes = Sizes()
    make(of_maps()).fit(IMAGES, callback=sizes)
    assert sizes.done == [10, 20, 21]


def test_classifiers_and_further_training_do_the_same():
    y = np.arange(21) % 2
    part = make(of_vectors())
    AutoencoderClassifier(part, training=Training(epochs=1, batch_size=10), random_state=0).fit(X, y)
    sizes = Sizes()
    make(of_vectors()).fit(X).fit(X, more_epochs=1, callback=sizes)
    assert sizes.done == [10, 21]
    make(of_vectors(), batch_size=20).partial_fit(X)


def test_batches_that_are_all_of_one_record_are_refused():
    with pytest.raises(InvalidParameterError, match=r"Got batch_size=1\. Set training__batch_size to 2"):
        make(of_vectors(), batch_size=1).fit(X)
    with pytest.raises(InvalidParameterError, match=r"Got one training record\. Give more"):
        make(of_vectors()).set_params(training__validation=0.75).fit(X[:4])
