"""Training goes on: more epochs, a warm start, and data that come in pieces."""

import os
import pickle
import signal

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import narrows
from narrows import Autoencoder, Training
from narrows.errors import DataError, InvalidParameterError, NotMeasuredError, UnfinishedWarning
from narrows.lossless import CausalNetwork
from narrows.model.inspection import inspect
from narrows.networks import Dense
from narrows.training import Adam, Callback
from narrows.training.pretraining import LayerWise

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6)) + 0.1 * RNG.normal(size=(200, 6))).astype(np.float32)


def new(**changes):
    training = {"epochs": 3, "batch_size": 20} | changes.pop("training", {})
    settings = {"network": Dense(widths=(8,)), "random_state": 3, "artefacts": ()} | changes
    return Autoencoder(2, training=Training(**training), **settings)


def epochs(model):
    return [row["epoch"] for row in model.history_]


# fit(more_epochs=N)


def test_more_epochs_append_to_the_history_and_lower_the_loss():
    model = new().fit(X)
    before = list(model.history_)
    model.fit(X, more_epochs=20)
    assert epochs(model) == list(range(1, 24))
    assert model.history_[:3] == before
    assert model.history_[-1]["loss"] < before[-1]["loss"]
    assert model.kept_.epoch == 23


def test_with_a_constant_rate_and_no_moments_more_epochs_equal_a_longer_run():
    training = {"optimiser": "sgd", "schedule": "constant"}
    long = new(training={**training, "epochs": 5}, corruption="gaussian").fit(X)
    short = new(training=training, corruption="gaussian").fit(X).fit(X, more_epochs=2)
    np.testing.assert_array_equal(short.transform(X), long.transform(X))
    assert [row["loss"] for row in short.history_] == [row["loss"] for row in long.history_]


def test_the_schedule_runs_through_the_new_epochs_from_its_start():
    model = new(training={"schedule": "cosine"}).fit(X).fit(X, more_epochs=3)
    rates = [row["learning_rate"] for row in model.history_]
    assert rates[3:] == rates[:3]


def test_the_same_records_are_held_out_and_the_best_weights_of_all_epochs_are_kept():
    training = {"epochs": 60, "validation": 0.25, "patience": 50, "optimiser": Adam(learning_rate=0.01)}
    model = new(training=training).fit(X)
    kept, codes = model.kept_, model.transform(X)
    model.set_params(training__optimiser__learning_rate=10.0).fit(X, more_epochs=2)  # which makes it worse
    assert model.kept_.epoch == kept.epoch
    assert model.kept_.validation_loss == pytest.approx(kept.validation_loss)
    np.testing.assert_array_equal(model.transform(X), codes)


def test_artefacts_are_measured_on_the_new_weights(tmp_path):
    model = new(artefacts="all").fit(X)
    before = model.codec_.digest
    model.fit(X, more_epochs=3)
    assert model.unmeasured_ == {}
    assert model.codec_.digest != before
    model.save(tmp_path / "model")
    assert epochs(narrows.load(tmp_path / "model").fit(X, more_epochs=1)) == list(range(1, 8))


def test_an_interrupted_run_is_continued_by_more_epochs():
    class Stop(Callback):
        def epoch(self, row):
            if row.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    model = new()
    with pytest.raises(KeyboardInterrupt), pytest.warns(UnfinishedWarning):
        model.fit(X, callback=Stop())
    done = len(model.history_)
    assert epochs(model.fit(X, more_epochs=2)) == list(range(1, done + 3))


def test_more_epochs_have_progress_and_checkpoints_of_their_own(tmp_path):
    seen = []

    class Stop(Callback):
        def start(self, n_epochs, n_records, epochs_done):
            seen.append((n_epochs, epochs_done))

        def epoch(self, row):
            seen.append(row.epoch)
            if row.epoch == 5:
                os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "checkpoint"
    new().fit(X).save(tmp_path / "model")
    model = narrows.load(tmp_path / "model")
    with pytest.raises(KeyboardInterrupt), pytest.warns(UnfinishedWarning, match="after 2 of 4 epochs"):
        model.fit(X, more_epochs=4, callback=Stop(), checkpoint=path)
    assert seen == [(7, 3), 4, 5]
    with pytest.warns(UnfinishedWarning, match="after 2 of 4 epochs"):
        again = narrows.load(path)
    assert epochs(again) == epochs(model)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    resumed = narrows.load(tmp_path / "model").fit(X, more_epochs=4, checkpoint=path, resume=True)
    whole = narrows.load(tmp_path / "model").fit(X, more_epochs=4)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


def test_interrupted_in_its_first_new_epoch_the_model_stays_as_it_was():
    class Stop(Callback):
        def start(self, *_):
            os.kill(os.getpid(), signal.SIGINT)

    model = new().fit(X)
    before, codes = model.model_, model.transform(X)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, more_epochs=3, callback=Stop())
    assert model.model_ is before
    np.testing.assert_array_equal(model.transform(X), codes)


def test_more_epochs_need_a_fitted_model_of_the_same_parts():
    with pytest.raises(NotFittedError):
        new().fit(X, more_epochs=3)
    model = new().fit(X)
    with pytest.raises(InvalidParameterError, match=r"'more_epochs'.* Got 0"):
        model.fit(X, more_epochs=0)
    with pytest.raises(InvalidParameterError, match=r"'n_latent' of Autoencoder must be 2, as in the fitted .*Got 3"):
        model.set_params(n_latent=3).fit(X, more_epochs=3)
    with pytest.raises(ValueError, match="X has 4 features, but Autoencoder is expecting 6"):
        model.set_params(n_latent=2).fit(X[:, :4], more_epochs=3)


def test_a_network_of_residuals_stays_in_the_codec():
    images = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    residual = CausalNetwork(n_hidden=4, n_components=1, reach=1, epochs=1)
    model = new(residual=residual, artefacts="all").fit(images)
    assert model.fit(images, more_epochs=1).codec_.causal is not None


def test_conditional_models_go_on_with_the_same_classes():
    y = np.arange(200) % 2
    model = new(conditional=True).fit(X, y).fit(X, y, more_epochs=2)
    assert epochs(model) == [1, 2, 3, 4, 5]
    model.partial_fit(X[:50], y[:50])
    with pytest.raises(narrows.errors.DataError, match="Unknown labels"):
        model.partial_fit(X, y + 7)


# warm_start


def test_a_warm_start_continues_from_the_weights_with_a_new_history():
    cold = new(training={"schedule": "constant"}).fit(X)
    warm = new(training={"schedule": "constant"}, warm_start=True).fit(X)
    np.testing.assert_array_equal(warm.transform(X), cold.transform(X))
    last = warm.history_[-1]["loss"]
    warm.fit(X)
    assert epochs(warm) == [1, 2, 3]
    assert warm.history_[0]["loss"] < last
    assert cold.fit(X).history_[0]["loss"] > last


def test_a_warm_start_keeps_the_preprocessing_and_takes_other_noise():
    model = new(warm_start=True, preprocessing="standardise").fit(X)
    mean = model.chain_.preprocessor.inverse(model.chain_.prepare(narrows.chain.torch.from_numpy(X[:1])))
    model.set_params(corruption="gaussian", penalties=("l1",), training__epochs=2).fit(3 * X[:100] + 1)
    again = model.chain_.preprocessor.inverse(model.chain_.prepare(narrows.chain.torch.from_numpy(X[:1])))
    np.testing.assert_array_equal(again, mean)
    assert model.chain_.corruption.name == "gaussian"
    assert epochs(model) == [1, 2]


def test_the_file_of_a_model_without_a_warm_start_is_that_of_earlier_versions(tmp_path):
    new().fit(X).save(tmp_path / "cold")
    new(warm_start=True).fit(X).save(tmp_path / "warm")
    assert "warm_start" not in inspect(tmp_path / "cold").header["params"]
    assert narrows.load(tmp_path / "warm").warm_start is True
    assert narrows.load(tmp_path / "cold").warm_start is False
    with pytest.raises(InvalidParameterError, match="warm_start"):
        new(warm_start=3).fit(X)


# partial_fit


def test_partial_fit_learns_from_pieces():
    model = new(training={"optimiser": Adam(learning_rate=0.01)})
    for _ in range(10):
        for start in range(0, 200, 50):
            model.partial_fit(X[start : start + 50])
    assert epochs(model) == list(range(1, 41))
    assert model.history_[-1]["loss"] < model.history_[0]["loss"] - 1
    assert {row["learning_rate"] for row in model.history_} == {0.01}
    assert model.trained_on_.n_records == 2000


def test_the_preprocessing_is_that_of_the_first_call():
    model = new(preprocessing="standardise").partial_fit(X)
    before = {name: tensor.clone() for name, tensor in model.chain_.preprocessor.state_dict().items()}
    with pytest.warns(narrows.errors.RangeWarning):
        model.partial_fit(100 * X)
    for name, tensor in model.chain_.preprocessor.state_dict().items():
        assert tensor.equal(before[name])


def test_moments_are_kept_from_call_to_call_and_by_pickling():
    model = new().partial_fit(X).partial_fit(X)
    again = pickle.loads(pickle.dumps(model))
    forgetful = pickle.loads(pickle.dumps(model))
    forgetful._moments = None
    codes = [one.partial_fit(X).transform(X) for one in (model, again, forgetful)]
    np.testing.assert_array_equal(codes[1], codes[0])
    assert np.abs(codes[2] - codes[0]).max() > 0


def test_after_partial_fit_artefacts_are_measured_when_asked_for():
    model = new(artefacts="all", pretraining=LayerWise(epochs=1)).partial_fit(X)
    with pytest.raises(NotMeasuredError, match=r"partial_fit measures no artefacts.*model\.measure\(X\)"):
        model.codec_  # noqa: B018
    assert model.pretraining_history_ == []
    assert model.measure(X).unmeasured_ == {}
    model.partial_fit(X)
    with pytest.raises(NotMeasuredError, match=r"model\.refreeze\(X\)"):
        model.codec_  # noqa: B018
    assert model.refreeze(X).unmeasured_ == {}


def test_a_fitted_model_learns_from_new_data(tmp_path):
    model = Autoencoder(2, training=Training(epochs=2), random_state=0).fit(X)
    assert model.partial_fit(X[:30]).history_[-1]["epoch"] == len(model.history_)
    model.refreeze(X).save(tmp_path / "model")
    assert epochs(narrows.load(tmp_path / "model").partial_fit(X)) == list(range(1, len(model.history_) + 2))
    with pytest.raises(ValueError, match="X has 4 features, but Autoencoder is expecting 6"):
        model.partial_fit(X[:, :4])


def test_records_of_another_dtype_are_taken_if_that_of_the_training_holds_their_values():
    images = np.random.default_rng(0).integers(0, 256, (40, 6), np.uint8)
    settings = {"network": Dense(widths=(8,)), "random_state": 0}
    same, other = (Autoencoder(2, **settings).partial_fit(images) for _ in range(2))
    same.partial_fit(images)
    other.partial_fit(images.astype(float))
    np.testing.assert_array_equal(same.transform(images), other.transform(images))
    for wrong in (images + 0.5, images + 256.0):
        with pytest.raises(DataError, match=r"uint8, or values that it holds exactly\. Got float64"):
            other.partial_fit(wrong)
