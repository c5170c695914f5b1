"""A fitted model is used in eval mode, even if a training loop of the user's has left it in train mode."""

import numpy as np
import pytest
import torch
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.codec.freezing.calibration import freeze
from narrows.estimators.label_training import LabelLearner
from narrows.model.weights import weights_digest
from narrows.numerics.eval_mode import in_eval_mode
from narrows.training.records import LabelledRecords, Records
from narrows.training.validation import mean_loss
from narrows.training.work import _count
from narrows.training.workers import Workers

X = np.random.default_rng(0).normal(size=(60, 8))


def trained(x=X, bottleneck="plain"):
    width = 4 if bottleneck == "gaussian" else 2
    encoder = nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width), nn.Dropout(0.5))
    decoder = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8))
    params = {"bottleneck": bottleneck, "training": Training(epochs=1), "artefacts": (), "random_state": 0}
    return Autoencoder(2, network=(encoder, decoder), **params).fit(x)


USES = {
    "transform": lambda model, x: model.transform(x),
    "inverse_transform": lambda model, x: model.inverse_transform(x[:, :2]),
    "reconstruct": lambda model, x: model.reconstruct(x),
    "score_samples": lambda model, x: model.score_samples(x),
    "reconstruction_error": lambda model, x: model.reconstruction_error(x),
    "summary": lambda model, x: [layer.n_parameters for layer in model.summary().layers],
    "evaluate": lambda model, x: [value for value in narrows.evaluate(model, x).values() if isinstance(value, float)],
}


@pytest.mark.pairs
@pytest.mark.parametrize("bottleneck", ["plain", "gaussian"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("use", USES)
def test_uses_neither_depend_on_the_mode_nor_change_the_weights_or_the_mode(use, dtype, bottleneck):
    x = X.astype(dtype)
    model = trained(x, bottleneck)
    expected, before = USES[use](model, x), weights_digest(model.chain_)
    model.encoder_.train()
    model.decoder_.train()
    np.testing.assert_array_equal(USES[use](model, x), expected)
    assert weights_digest(model.chain_) == before
    assert all(module.training for half in (model.encoder_, model.decoder_) for module in half.network.modules())


def test_every_module_gets_its_own_mode_back_even_after_an_error():
    def fail(module):
        with in_eval_mode(module):
            assert not any(one.training for one in module.modules())
            raise ZeroDivisionError

    module = nn.Sequential(nn.Dropout(), nn.Dropout()).train()
    module[0].eval()
    with pytest.raises(ZeroDivisionError):
        fail(module)
    assert [one.training for one in module.modules()] == [True, False, True]


def test_several_modules_get_their_modes_back():
    first, second = nn.Sequential(nn.Dropout()).train(), nn.Dropout().eval()
    first[0].eval()
    with in_eval_mode(first, second):
        assert not first.training
    assert [first.training, first[0].training, second.training] == [True, False, False]


@pytest.fixture
def half_frozen():
    """A chain in train mode, with the batch normalisation of its encoder in eval mode."""
    chain = trained().chain_.train()
    chain.encoder.module[1].eval()
    return chain


def modes(chain):
    return [module.training for module in chain.modules()]


RECORDS = Records(X, torch.device("cpu"))


def measured(learner, records=RECORDS):
    with Workers(1) as workers:
        mean_loss(learner, records, workers)


MEASUREMENTS = {
    "a loss": measured,
    "the loss of a learner with a foreign chain": lambda chain: measured(
        LabelLearner(chain, nn.Linear(2, 2)), LabelledRecords(RECORDS, np.zeros(60, np.int64))
    ),
    "the work of a step": lambda chain: _count(chain, RECORDS, 2),
    "freezing": lambda chain: freeze(chain, X, peak=1.0, n_measured=20),
}


@pytest.mark.parametrize("measurement", MEASUREMENTS)
def test_measurements_during_the_training_give_every_module_its_mode_back(measurement, half_frozen):
    before = modes(half_frozen)
    MEASUREMENTS[measurement](half_frozen)
    assert modes(half_frozen) == before
    assert len(set(before)) == 2
