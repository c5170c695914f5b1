"""The training of a classifier goes on: more epochs, a warm start, and data that come in pieces."""

import os
import pickle
import signal

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import DataError, InvalidParameterError, UnfinishedWarning
from narrows.model.inspection import inspect
from narrows.networks import Dense
from narrows.training import Callback

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6)).astype(np.float32)
Y = np.array(["left", "middle", "right"])[np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])]


def new(autoencoder=None, **changes):
    training = {"epochs": 3, "batch_size": 20} | changes.pop("training", {})
    autoencoder = autoencoder or Autoencoder(4, network=Dense(widths=(8,)), training=Training(epochs=2))
    return AutoencoderClassifier(autoencoder, training=Training(**training), random_state=3, **changes)


def epochs(model):
    return [row["epoch"] for row in model.history_]


def result(model):
    return model.predict_proba(X)


class Interrupted(Callback):
    """Ctrl-C after an epoch."""

    def __init__(self, after):
        self.after = after

    def epoch(self, row):
        if row.epoch == self.after:
            os.kill(os.getpid(), signal.SIGINT)


# fit(more_epochs=N)


def test_more_epochs_append_to_the_history_and_train_on_labels_only():
    model = new().fit(X, Y)
    before, pretraining = list(model.history_), list(model.pretraining_history_)
    model.fit(X, Y, more_epochs=20)
    assert epochs(model) == list(range(1, 24))
    assert model.history_[:3] == before
    assert model.pretraining_history_ == pretraining
    assert model.history_[-1]["loss"] < before[-1]["loss"]


def test_with_a_constant_rate_and_no_moments_more_epochs_equal_a_longer_run():
    training = {"optimiser": "sgd", "schedule": "constant"}
    noisy = Autoencoder(4, network=Dense(widths=(8,)), corruption="gaussian", training=Training(epochs=2))
    long = new(noisy, training={**training, "epochs": 5}).fit(X, Y)
    short = new(noisy, training=training).fit(X, Y).fit(X, Y, more_epochs=2)
    np.testing.assert_array_equal(result(short), result(long))
    assert [row["loss"] for row in short.history_] == [row["loss"] for row in long.history_]


def test_the_same_records_are_held_out_and_the_weights_at_the_start_are_kept_if_no_epoch_is_better():
    model = new(training={"epochs": 30, "validation": 0.25, "patience": 20}).fit(X, Y)
    before = result(model)
    model.set_params(training__optimiser__learning_rate=10.0).fit(X, Y, more_epochs=2)  # which makes it worse
    np.testing.assert_array_equal(result(model), before)
    assert len(epochs(model)) > 2


def test_more_epochs_of_a_loaded_model_are_those_of_the_model(tmp_path):
    model = new().fit(X, Y)
    model.save(tmp_path / "model")
    loaded = narrows.load(tmp_path / "model")
    np.testing.assert_array_equal(result(loaded.fit(X, Y, more_epochs=2)), result(model.fit(X, Y, more_epochs=2)))


def test_more_epochs_have_a_checkpoint_of_their_own(tmp_path):
    path = tmp_path / "checkpoint"
    model = new().fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    with pytest.raises(KeyboardInterrupt), pytest.warns(UnfinishedWarning, match="after 2 of 4 epochs"):
        model.fit(X, Y, more_epochs=4, callback=Interrupted(after=5), checkpoint=path)
    with pytest.warns(UnfinishedWarning, match="after 2 of 4 epochs"):
        unfinished = narrows.load(path)
    assert epochs(unfinished) == epochs(model)
    np.testing.assert_array_equal(result(unfinished), result(model))
    whole = pickle.loads(pickle.dumps(other)).fit(X, Y, more_epochs=4)
    resumed = other.fit(X, Y, more_epochs=4, checkpoint=path, resume=True)
    np.testing.assert_array_equal(result(resumed), result(whole))


def test_interrupted_in_its_first_new_epoch_the_model_stays_as_it_was():
    class Stop(Callback):
        def start(self, *_):
            os.kill(os.getpid(), signal.SIGINT)

    model = new().fit(X, Y)
    before = model.model_
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, more_epochs=3, callback=Stop())
    assert model.model_ is before


def test_more_epochs_need_a_fitted_model_of_the_same_parts_and_classes():
    with pytest.raises(NotFittedError):
        new().fit(X, Y, more_epochs=3)
    model = new().fit(X, Y)
    with pytest.raises(InvalidParameterError, match=r"'more_epochs'.* Got 0"):
        model.fit(X, Y, more_epochs=0)
    with pytest.raises(DataError, match=r"Unknown labels: 'up'\. The classes of the model are 'left', 'middle'"):
        model.fit(X, np.where(Y == "left", "up", Y), more_epochs=1)
    with pytest.raises(InvalidParameterError, match=r"'unlabelled' of fit must be None with more_epochs"):
        model.fit(X, Y, unlabelled=X, more_epochs=1)
    with pytest.raises(InvalidParameterError, match=r"'n_latent' of Autoencoder must be 4, as in the fitted .*Got 3"):
        model.set_params(autoencoder__n_latent=3).fit(X, Y, more_epochs=3)


def test_the_autoencoder_at_hand_has_the_weights_of_the_run():
    seen = []

    class Look(Callback):
        def begin(self, model):
            self.model = model

        def epoch(self, row):
            seen.append((len(self.model.history_), self.model.transform(X)))

    model = new().fit(X, Y).fit(X, Y, more_epochs=2, callback=Look())
    assert [n for n, _ in seen] == [4, 5]
    np.testing.assert_array_equal(seen[-1][1], narrows.model.inference.encode(model.chain_, X))


# warm_start


def test_a_warm_start_continues_from_the_weights_with_a_new_history():
    cold, warm = new().fit(X, Y), new(warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(result(warm), result(cold))
    last = warm.history_[-1]["loss"]
    warm.fit(X[:100], Y[:100], validation=(X[100:], Y[100:]))
    assert epochs(warm) == [1, 2, 3]
    assert warm.pretraining_history_ == []
    assert warm.history_[0]["loss"] < last + 0.1
    assert warm.history_[0]["validation_loss"] is not None


def test_records_of_fewer_classes_leave_the_others_in_place():
    model = new(warm_start=True).fit(X, Y)
    some = Y != "middle"
    assert list(model.fit(X[some], Y[some]).classes_) == ["left", "middle", "right"]
    assert model.predict_proba(X).shape == (200, 3)


def test_the_file_of_a_classifier_without_a_warm_start_is_that_of_earlier_versions(tmp_path):
    new().fit(X, Y).save(tmp_path / "cold")
    new(warm_start=True).fit(X, Y).save(tmp_path / "warm")
    assert "warm_start" not in inspect(tmp_path / "cold").header["params"]
    assert narrows.load(tmp_path / "warm").warm_start is True
    assert narrows.load(tmp_path / "cold").warm_start is False
    with pytest.raises(InvalidParameterError, match="warm_start"):
        new(warm_start=3).fit(X, Y)


# partial_fit


def test_partial_fit_learns_from_pieces_with_some_of_the_classes():
    model = new()
    order = np.argsort(Y, kind="stable")  # the first piece has one class only
    for _ in range(15):
        for piece in np.array_split(order, 4):
            model.partial_fit(X[piece], Y[piece], classes=np.unique(Y))
    assert epochs(model) == list(range(1, 61))
    assert model.trained_on_.n_records == 3000
    assert model.pretraining_history_ == []
    assert list(model.classes_) == ["left", "middle", "right"]
    for _ in range(30):
        model.partial_fit(X, Y)
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize("n_before", [1, 2])
def test_moments_are_kept_from_call_to_call_and_by_pickling(n_before):
    model = new()
    for _ in range(n_before):
        model.partial_fit(X, Y, np.unique(Y))
    again, forgetful = (pickle.loads(pickle.dumps(model)) for _ in range(2))
    forgetful._moments = None
    of_model, of_again, of_forgetful = (result(one.partial_fit(X, Y)) for one in (model, again, forgetful))
    np.testing.assert_array_equal(of_again, of_model)
    assert np.abs(of_forgetful - of_model).max() > 0


def test_a_fitted_classifier_learns_from_new_data():
    model = new().fit(X, Y)
    rows = len(model.history_)
    assert epochs(model.partial_fit(X[:30], Y[:30]))[-1] == rows + 1
    with pytest.raises(ValueError, match="X has 4 features, but AutoencoderClassifier is expecting 6"):
        model.partial_fit(X[:, :4], Y)


def test_the_first_piece_needs_all_classes_and_later_ones_have_no_others():
    with pytest.raises(InvalidParameterError, match="first call of partial_fit needs the argument 'classes'"):
        new().partial_fit(X, Y)
    with pytest.raises(DataError, match=r"Unknown labels: 'right'\. The classes of the model are 'left', 'middle'"):
        new().partial_fit(X, Y, ["middle", "left"])
    model = new().partial_fit(X, Y, np.unique(Y))
    with pytest.raises(InvalidParameterError, match=r"'classes' of partial_fit must be those of the fitted model"):
        model.partial_fit(X, Y, [*np.unique(Y), "up"])


def test_weights_of_records_count_when_the_training_goes_on():
    weights = np.where(Y == "left", 5.0, 1.0)
    plain, weighted = new().fit(X, Y), new().fit(X, Y)
    assert np.abs(result(weighted.partial_fit(X, Y, sample_weight=weights)) - result(plain.partial_fit(X, Y))).max() > 0
