"""The squared error of reconstructions beside the loss: in the history, and in what shows the progress."""

import math

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.cli.callbacks import Lines
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.training import Epoch
from narrows.training.optimisers import SGD
from narrows.training.squared_errors import EVERY, SquaredErrors


def fit(x, **params):
    usual = {"n_latent": 2, "artefacts": (), "random_state": 0, "network": Dense(widths=(8,))}
    return Autoencoder(**{**usual, "training": Training(epochs=2), **params}).fit(x)


@pytest.fixture
def table(rng):
    return rng.normal(size=(60, 4)) * [1, 10, 100, 1000]


def preprocessed_mse(model, x):
    return narrows.evaluate(model, x)["preprocessed_mse"]


@pytest.mark.parametrize("likelihood", ["normal", "laplace", Normal(scale="learned")], ids=repr)
def test_the_validation_error_is_that_of_evaluate(likelihood, table):
    x, held_out = table[:40], table[40:]
    model = Autoencoder(
        2, likelihood=likelihood, network=Dense(widths=(8,)), training=Training(epochs=3), artefacts=(), random_state=0
    ).fit(x, validation=held_out)
    assert model.history_[-1]["validation_mse"] == pytest.approx(preprocessed_mse(model, held_out), rel=1e-4)


def test_the_training_error_is_measured_on_batches_before_their_steps(table):
    model = fit(table, training=Training(epochs=1, batch_size=60))
    untrained = fit(table, training=Training(epochs=1, batch_size=60, optimiser=SGD(learning_rate=1e-30)))
    assert model.history_[0]["mse"] == pytest.approx(preprocessed_mse(untrained, table), rel=1e-4)
    assert model.history_[0]["validation_mse"] is None


def test_one_of_sixteen_batches_is_measured(monkeypatch, table):
    measured = []
    monkeypatch.setattr("narrows.training.squared_errors.SquaredErrors.add", lambda self, squares: measured.append(1))
    fit(table, training=Training(epochs=3, batch_size=3))
    assert len(measured) == 3 * math.ceil(60 / 3 / EVERY)


def test_missing_values_do_not_count(table):
    x = table.copy()
    x[::2, 1] = math.nan
    model = fit(x, fill_value=math.nan)
    x_hat = model.reconstruct(x)
    model.history_.clear()
    loss = model.chain_.loss(torch.from_numpy(x))
    total, n = loss.squares()
    unit = model.chain_.preprocessor.unit.numpy()
    assert int(n) == 60 * 4 - 30
    assert float(total) == pytest.approx(np.nansum(np.square((x - x_hat) / unit)), rel=1e-4)


def test_shards_measure_what_whole_batches_do(monkeypatch, table):
    whole = fit(table)
    monkeypatch.setattr("narrows.training.loop.choose_n_shards", lambda *arguments: 4)
    split = fit(table)
    assert (whole.history_[0]["shards"], split.history_[0]["shards"]) == (1, 4)
    assert split.history_[0]["mse"] == pytest.approx(whole.history_[0]["mse"], rel=1e-5)


def test_the_error_of_a_resumed_epoch_is_that_of_an_uninterrupted_one(monkeypatch, tmp_path, table):
    class Stop(narrows.training.Callback):
        def step(self, epoch, records_done, loss):
            if records_done >= 30:
                raise KeyboardInterrupt

    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    settings = Training(epochs=2, batch_size=3, precision="float32")
    model = Autoencoder(2, network=Dense(widths=(8,)), artefacts=(), training=settings, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(table, checkpoint=tmp_path / "c", callback=Stop())
    resumed = model.fit(table, checkpoint=tmp_path / "c", resume=True).history_
    assert [row["mse"] for row in resumed] == [row["mse"] for row in fit(table, training=settings).history_]


def test_weights_do_not_depend_on_what_is_measured(monkeypatch, table):
    usual = fit(table).transform(table)
    monkeypatch.setattr("narrows.training.loop.EVERY", 10**9)
    np.testing.assert_array_equal(fit(table).transform(table), usual)


def test_learners_that_reconstruct_nothing_have_no_error(table):
    labels = np.arange(60) % 2
    history = narrows.AutoencoderClassifier(random_state=0, training=Training(epochs=1)).fit(table, labels).history_
    assert history[0]["mse"] is None
    assert SquaredErrors(torch.device("cpu")).mean() is None


def test_the_progress_shows_the_error_of_validation_records_if_there_are_any(capsys):
    lines = Lines(most=30)
    lines.start(2, 1000, 0)
    lines.epoch(Epoch(1, 5.0, None, 1e-3, 0.5, 2000.0, mse=0.25))
    lines.epoch(Epoch(2, 4.0, 4.5, 1e-3, 0.5, 2000.0, mse=0.25, validation_mse=0.5))
    first, second = capsys.readouterr().err.splitlines()
    assert "loss 5.000  mse 0.2500  2,000 records/s" in first
    assert "loss 4.000  validation 4.500  mse 0.5000  2,000 records/s" in second
