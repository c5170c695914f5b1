"""Ctrl-C in Python: the estimator holds what was learned, and a checkpoint is a model."""

import os
import pickle
import signal
import warnings

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import (
    DataNotFoundError,
    ModelFileError,
    NotMeasuredError,
    UnfinishedWarning,
    recorded,
)
from narrows.lossless import CausalNetwork
from narrows.networks import Dense
from narrows.training import Adam, Callback
from narrows.training.pretraining import LayerWise

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "right", "left")


class At(Callback):
    """Does something after a step of the run; an epoch has four."""

    def __init__(self, step, action):
        self.at, self.action, self.n_steps = step, action, 0

    def step(self, epoch, records_done, loss):
        self.n_steps += 1
        if self.n_steps == self.at:
            self.action()


class StopAfter(Callback):
    """Ends a stage after an epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def epoch(self, row):
        return row.epoch == self.last


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def ctrl_c_at_once():
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _look_after_every_step(monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)


def new(**changes):
    training = {"epochs": 5, "batch_size": 10, "schedule": "constant"} | changes.pop("training", {})
    settings = {"network": Dense(widths=(8,)), "random_state": 3, **changes}
    return Autoencoder(2, training=Training(**training), **settings)


def interrupted(model, step, *, action=ctrl_c, x=X, message="interrupted after", **how):
    with pytest.warns(UnfinishedWarning, match=message), pytest.raises(KeyboardInterrupt):
        model.fit(x, callback=At(step, action), **how)
    return model


@pytest.fixture(scope="module")
def two_epochs():
    return new(training={"epochs": 2}, artefacts=()).fit(X)


@pytest.mark.parametrize("action", [ctrl_c, ctrl_c_at_once])
def test_after_ctrl_c_the_estimator_holds_the_weights_of_the_last_step(action, two_epochs, tmp_path):
    step = 7 if action is ctrl_c else 8  # Ctrl-C waits for the end of the step after
    model = interrupted(new(), step, action=action, message="after [12] of 5 epochs.*the weights of its last step")
    np.testing.assert_array_equal(model.transform(X), two_epochs.transform(X))
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert model.kept_.epoch == 2
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(narrows.load(tmp_path / "model").transform(X), two_epochs.transform(X))


def test_its_artefacts_can_be_measured(two_epochs):
    model = interrupted(new(), 7, message=r"It has no PCA or .* archive codec; model\.measure\(X\) measures them")
    assert set(model.unmeasured_.values()) == {"The training was interrupted."}
    with pytest.raises(NotMeasuredError, match=r"training was interrupted.*model\.measure\(X\)"):
        model.codec_  # noqa: B018
    assert model.measure(X).unmeasured_ == {}


def test_an_unfinished_epoch_has_a_row_with_its_loss_so_far():
    model = interrupted(new(), 5)
    assert [row["epoch"] for row in model.history_] == [1, 2]
    whole = new(artefacts=()).fit(X)
    assert model.history_[0]["loss"] == whole.history_[0]["loss"]
    assert model.history_[1]["loss"] != whole.history_[1]["loss"]
    assert np.isfinite(model.history_[1]["loss"])


def test_the_row_of_an_unfinished_epoch_is_marked(tmp_path):
    model = interrupted(new(), 5, message="after 1 of 5 epochs and a part of the next")
    assert [row.get("is_complete", True) for row in model.history_] == [True, False]
    model.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").history_ == model.history_
    assert "is_complete" not in new(artefacts=()).fit(X).history_[-1]


@pytest.mark.parametrize("step", [2, 3])
def test_in_the_first_epoch_an_unfitted_estimator_keeps_its_steps(step):
    model = interrupted(new(), step, message="after 0 of 5 epochs")
    assert [row["epoch"] for row in model.history_] == [1]
    assert model.transform(X).shape == (40, 2)


def test_best_weights_are_kept_if_the_settings_say_so():
    noise = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    training = {"epochs": 200, "patience": 150, "optimiser": Adam(learning_rate=0.05)}
    model = interrupted(new(training=training), 120, validation=noise, message="which had the lowest validation loss")
    best = min(model.history_[:-1], key=lambda row: row["validation_loss"])
    assert model.kept_.epoch == best["epoch"] < len(model.history_)
    assert model.score(noise) == pytest.approx(-best["validation_loss"], rel=1e-5)


@pytest.mark.parametrize("step", [1, 2])
def test_a_refit_that_is_interrupted_in_its_first_epoch_keeps_the_earlier_model(step):
    model = new(artefacts=()).fit(X)
    before, earlier = model.transform(X), model.model_
    with pytest.raises(KeyboardInterrupt):
        model.fit(2 * X[:, :4], callback=At(step, ctrl_c))
    assert model.model_ is earlier
    assert model.n_features_in_ == 6
    np.testing.assert_array_equal(model.transform(X), before)


def test_a_refit_that_is_interrupted_later_holds_the_new_model():
    model = interrupted(new(artefacts=()).fit(X), 6, x=X[:, :4])
    assert model.transform(X[:, :4]).shape == (40, 2)


def test_ctrl_c_before_any_step_leaves_an_unfitted_estimator_as_it_was():
    class AtStart(Callback):
        def start(self, n_epochs, n_records, epochs_done):
            raise KeyboardInterrupt

    model = new()
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, callback=AtStart())
    assert vars(model) == before


def test_an_interruption_stays_one_where_warnings_are_errors():
    model = new()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, callback=At(6, ctrl_c))
    assert model.transform(X).shape == (40, 2)


def test_weights_that_are_not_finite_are_not_kept():
    model = new()

    def spoil():
        chain = spy[0]
        next(chain.parameters()).data.fill_(np.nan)
        raise KeyboardInterrupt

    spy = []
    with pytest.MonkeyPatch.context() as patch:
        from narrows.training import loop

        init = loop.Run.__init__
        patch.setattr(
            loop.Run, "__init__", lambda run, stage, *a, **k: spy.append(stage.learner) or init(run, stage, *a, **k)
        )
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, callback=At(6, spoil))
    assert not hasattr(model, "model_")


def test_a_network_of_residuals_that_is_not_trained_to_the_end_is_kept_as_it_is():
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    residual = CausalNetwork(n_hidden=8, n_components=2, reach=2, epochs=4)
    model = new(residual=residual, training={"epochs": 1})
    with pytest.raises(KeyboardInterrupt), recorded() as told:
        model.fit(images, callback=At(6, ctrl_c))
    assert "The training ended after 1 epoch, but the later stage 'residuals' was interrupted." in str(told)
    assert model.measure(images).codec_.causal is not None


def test_an_interrupted_classifier_predicts():
    part = Autoencoder(2, network=Dense(widths=(8,)), pretraining=LayerWise(epochs=1, batch_size=10))
    model = AutoencoderClassifier(part, training=Training(epochs=9, batch_size=10), random_state=0)
    with pytest.warns(UnfinishedWarning, match="after 2 of 9 epochs"), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callback=At(4 * 4 + 1, ctrl_c))
    assert model.predict(X).shape == (40,)
    assert {row["stage"] for row in model.pretraining_history_} > set()
    assert np.abs(model.coef_).max() > 0


def test_without_an_interruption_signals_are_those_of_before():
    before = signal.getsignal(signal.SIGINT)
    interrupted(new(), 3)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_users_is_not_replaced():
    received = []
    before = signal.signal(signal.SIGINT, lambda *_: received.append(1))
    try:
        new(artefacts=()).fit(X, callback=At(2, ctrl_c))
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == [1]


# Errors during `fit`


class OwnError(Exception):
    """Raised by a callback."""


def fail():
    raise OwnError("mine")


@pytest.mark.parametrize("how", [{}, {"more_epochs": 3}, {"validation": X}])
def test_an_error_of_a_callback_keeps_what_was_learned_as_ctrl_c_does(how, tmp_path):
    models = []
    for action in (ctrl_c_at_once, fail):
        model = new(artefacts=()).fit(X[::-1])
        with pytest.warns(UnfinishedWarning, match="after 1 of"), pytest.raises((KeyboardInterrupt, OwnError)):
            model.fit(X, callback=At(6, action), **how)
        models.append(model)
    np.testing.assert_array_equal(models[0].transform(X), models[1].transform(X))
    assert [row["epoch"] for row in models[0].history_] == [row["epoch"] for row in models[1].history_]


def test_the_error_goes_through_unchanged():
    error = OwnError("mine")

    def callback(row):
        raise error

    with pytest.raises(OwnError) as caught:
        new().fit(X, callback=callback)
    assert caught.value is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (None, None, False)
    assert caught.traceback[-1].name == "callback"


def test_an_error_in_the_first_epoch_keeps_the_earlier_model():
    model = new(artefacts=()).fit(X)
    before, earlier = model.transform(X), model.model_
    with pytest.raises(OwnError):
        model.fit(2 * X[:, :4], callback=At(2, fail))
    assert model.model_ is earlier
    np.testing.assert_array_equal(model.transform(X), before)


def test_an_error_in_a_loss_of_the_users_keeps_what_was_learned():
    calls = []

    def penalty(z):
        calls.append(0)
        if len(calls) > 9:
            raise OwnError
        return z.square().sum(1)

    model = new(penalties=(penalty,))
    with pytest.raises(OwnError):
        model.fit(X)
    assert model.transform(X).shape == (40, 2)


def test_an_error_of_a_callback_of_a_classifier_keeps_what_was_learned():
    part = Autoencoder(2, network=Dense(widths=(8,)), pretraining=LayerWise(epochs=1, batch_size=10))
    model = AutoencoderClassifier(part, training=Training(epochs=9, batch_size=10), random_state=0)
    with pytest.warns(UnfinishedWarning, match="after 2 of 9 epochs"), pytest.raises(OwnError):
        model.fit(X, Y, callback=At(4 * 4 + 1, fail))
    assert model.predict(X).shape == (40,)


@pytest.mark.parametrize("method", ["begin", "start"])
def test_an_error_before_the_first_step_keeps_the_earlier_model(method):
    model = new(artefacts=()).fit(X)
    earlier, callback = model.model_, Callback()
    setattr(callback, method, lambda *_: fail())
    with pytest.raises(OwnError):
        model.fit(2 * X[:, :4], callback=callback)
    assert model.model_ is earlier
    assert model.n_features_in_ == 6


# Checkpoints as models


def loaded(path, message="is a checkpoint, not a complete model"):
    with pytest.warns(UnfinishedWarning, match=message):
        return narrows.load(path)


def test_a_checkpoint_is_loaded_as_the_model_that_the_estimator_holds(tmp_path):
    path = tmp_path / "checkpoint"
    model = interrupted(new(), 6, checkpoint=path)
    again = loaded(path, "Its training was interrupted after 1 of 5 epochs")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert again.history_ == model.history_
    assert again.kept_ == model.kept_
    assert again.unmeasured_ == model.unmeasured_
    assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert again.measure(X).codec_.digest == model.measure(X).codec_.digest
    again.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").unmeasured_ == {}


def test_a_kill_leaves_a_checkpoint_that_is_a_model(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(SystemExit):
        new().fit(X, checkpoint=path, callback=At(6, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert loaded(path).transform(X).shape == (40, 2)


def test_the_checkpoint_of_a_table_has_its_columns(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X * [1, 1, 1, 1, 1, 1e3], columns=list("abcdef"))
    interrupted(new(), 6, x=frame, checkpoint=tmp_path / "checkpoint")
    again = loaded(tmp_path / "checkpoint")
    assert list(again.feature_names_in_) == list("abcdef")
    assert again.transform(frame).shape == (40, 2)
    assert again._columns is not None


def test_a_checkpoint_has_the_best_weights_if_the_run_keeps_them(tmp_path):
    noise = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    training = {"epochs": 200, "patience": 150, "optimiser": Adam(learning_rate=0.05)}
    model = new(training=training)
    interrupted(model, 120, validation=noise, checkpoint=tmp_path / "checkpoint", message="lowest validation loss")
    again = loaded(tmp_path / "checkpoint", "lowest validation loss")
    assert again.kept_ == model.kept_
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_a_checkpoint_of_a_complete_run_says_so(tmp_path):
    new(training={"epochs": 1}).fit(X, checkpoint=tmp_path / "checkpoint")
    with recorded() as told, pytest.warns(UnfinishedWarning):
        narrows.load(tmp_path / "checkpoint")
    assert "a checkpoint, not a complete model. Its training ended after 1 epoch. The model has" in str(told[0])
    assert "interrupted" not in str(told[0])


def test_ctrl_c_after_the_last_epoch_says_so():
    with recorded() as told, pytest.raises(KeyboardInterrupt):
        new(training={"epochs": 2}).fit(X, callback=At(8, ctrl_c))
    assert "The training ended after 2 epochs, and fit was interrupted before the model was complete." in str(told[0])


def test_a_checkpoint_of_a_later_stage_is_a_model_too(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    residual = CausalNetwork(n_hidden=8, n_components=2, reach=2, epochs=4)
    model = new(residual=residual, training={"epochs": 1})
    interrupted(model, 6, x=images, checkpoint=tmp_path / "checkpoint", message="stage 'residuals' was interrupted")
    again = loaded(tmp_path / "checkpoint", "ended after 1 epoch, but the later stage .residuals. was interrupted")
    assert again.measure(images).codec_.digest == model.measure(images).codec_.digest


def test_the_checkpoint_of_a_classifier_is_a_classifier(tmp_path):
    part = Autoencoder(2, network=Dense(widths=(8,)), pretraining=LayerWise(epochs=1, batch_size=10))
    training = Training(epochs=60, batch_size=10, patience=50, validation=0.25, optimiser=Adam(learning_rate=0.1))
    model = AutoencoderClassifier(part, training=training, random_state=0)
    with pytest.warns(UnfinishedWarning), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callback=At(60, ctrl_c), checkpoint=tmp_path / "checkpoint")
    again = loaded(tmp_path / "checkpoint")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.history_ == model.history_
    assert again.pretraining_history_ == model.pretraining_history_


def test_a_checkpoint_of_pretraining_is_not_a_model_yet(tmp_path):
    model = new(pretraining=LayerWise(epochs=2, batch_size=10))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, callback=At(3, ctrl_c), checkpoint=tmp_path / "checkpoint")
    assert not hasattr(model, "model_")
    with pytest.raises(ModelFileError, match=r"before the model itself was trained.*resume=True"):
        narrows.load(tmp_path / "checkpoint")


def test_a_checkpoint_of_an_earlier_version_says_that_it_can_be_continued(tmp_path):
    path = tmp_path / "checkpoint"
    interrupted(new(), 6, checkpoint=path)
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["narrows checkpoint 2"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = text[: text.index(', "model": ')] + "}"
    save_file(tensors, path, {"narrows checkpoint 2": text})
    with pytest.raises(ModelFileError, match=r"earlier version of narrows.*resume=True"):
        narrows.load(path)
    assert len(new().fit(X, checkpoint=path, resume=True).history_) == 5


def test_a_checkpoint_with_other_weights_than_its_model_needs_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    interrupted(new(), 6, checkpoint=path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        names = [name for name in file.keys() if not name.startswith("weights.encoder")]  # noqa: SIM118
        tensors = {name: file.get_tensor(name) for name in names}
    save_file(tensors, path, metadata)
    with pytest.raises(ModelFileError, match="is a checkpoint with invalid content"):
        narrows.load(path)
    with pytest.raises(DataNotFoundError):
        narrows.load(tmp_path / "nothing")


# A callback that ends a run


@pytest.mark.parametrize("keeps_best", [False, True])
def test_a_callback_may_end_the_run_and_the_estimator_keeps_the_last_or_the_best_weights(keeps_best, two_epochs):
    if not keeps_best:
        model = new(artefacts=()).fit(X, callback=StopAfter(2))
        np.testing.assert_array_equal(model.transform(X), two_epochs.transform(X))
        return
    noise = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    training = {"epochs": 200, "patience": 150, "optimiser": Adam(learning_rate=0.05)}
    model = new(training=training, artefacts=()).fit(X, validation=noise, callback=StopAfter(30))
    assert len(model.history_) == 30
    assert model.kept_.epoch < 30
    assert model.score(noise) == pytest.approx(-model.kept_.validation_loss, rel=1e-5)


def test_a_run_that_a_callback_ended_is_not_continued_by_resuming(tmp_path):
    path = tmp_path / "checkpoint"
    model = new(artefacts=()).fit(X, callback=StopAfter(2), checkpoint=path)
    again = new(artefacts=()).fit(X, checkpoint=path, resume=True)
    assert len(again.history_) == 2
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_a_fitted_estimator_is_pickled_as_before():
    model = interrupted(new(), 6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), model.transform(X))
