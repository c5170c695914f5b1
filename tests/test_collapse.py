"""A collapsed model is told at the end of training and when it is evaluated."""

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder
from narrows.bottlenecks import Gaussian
from narrows.errors import CollapsedWarning
from narrows.networks import Dense
from narrows.training import Adam, Training

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 8))
TRAINING = Training(epochs=10, batch_size=20, optimiser=Adam(learning_rate=1e-2), validation=0)


def model(**settings):
    return Autoencoder(2, network=Dense(widths=(16,)), training=TRAINING, random_state=0, artefacts=(), **settings)


@pytest.mark.filterwarnings("error::narrows.errors.CollapsedWarning")
@pytest.mark.parametrize("settings", [{}, {"bottleneck": "gaussian"}, {"bottleneck": "rounded"}])
def test_models_that_learn_are_not_warned_of(settings):
    narrows.evaluate(model(**settings).fit(X), X)


def test_a_variational_model_without_active_numbers_is_warned_of():
    with pytest.warns(CollapsedWarning, match="no latent dimension is active"):
        fitted = model(bottleneck=Gaussian(beta=1e5)).set_params(training__epochs=20).fit(X)
    with pytest.warns(CollapsedWarning, match="no latent dimension is active"):
        narrows.evaluate(fitted, X)


def test_a_model_whose_output_is_constant_is_warned_of():
    fitted = model().fit(X)
    with torch.no_grad():
        for weights in fitted.chain_.decoder.last_layer.parameters():
            weights.zero_()
    with pytest.warns(CollapsedWarning, match="its output is the same for all records"):
        narrows.evaluate(fitted, X)


@pytest.mark.filterwarnings("error::narrows.errors.CollapsedWarning")
def test_records_that_are_all_the_same_are_no_collapse():
    fitted = model().fit(X)
    narrows.evaluate(fitted, np.repeat(X[:1], 5, axis=0))
