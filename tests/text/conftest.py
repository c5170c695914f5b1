"""A small model of text, shared by the tests of this folder."""

import pytest

import narrows
from narrows.likelihoods import Categorical
from narrows.networks import Dense

NAMES = ["emma", "olivia", "ava", "noah", "liam", "mia", "", "lucas"]


@pytest.fixture(scope="session")
def names():
    return NAMES


@pytest.fixture(scope="session")
def model():
    network = Dense(widths=(48,), activation="silu", embedding=8)
    settings = {"training__epochs": 60, "training__batch_size": 16, "bottleneck__weight": 0.02}
    likelihood = Categorical()
    return narrows.recipe("text", n_latent=4, random_state=0, network=network, likelihood=likelihood, **settings).fit(
        NAMES * 16
    )
