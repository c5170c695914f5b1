"""A run that was stopped and taken up again ends with the same weights, to the bit."""

import os
import re
import signal

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from narrows import Autoencoder, Training
from narrows.errors import (
    DataNotFoundError,
    InvalidParameterError,
    ModelFileError,
    OutputExistsError,
    TrainingDivergedError,
)
from narrows.likelihoods import Normal
from narrows.lossless import CausalNetwork
from narrows.networks import Convolutional, Dense
from narrows.training import SGD, Adadelta, Adam, Callback, Checkpoint, Plateau
from narrows.training.pretraining import LayerWise

X = np.random.default_rng(0).normal(size=(40, 6))
OPTIMISERS = [Adam(learning_rate=0.01, weight_decay=0.1), SGD(momentum=0.9), SGD(), Adadelta()]
N_STEPS = 5 * 4  # five epochs of four steps

pytestmark = pytest.mark.usefixtures("chain_only")


class PowerCutError(RuntimeError):
    """A power cut."""


class StopAt(Callback):
    """Does something after the given step of the run."""

    def __init__(self, at, action):
        self.at, self.action = at, action
        self.n_steps, self.epochs_done = 0, None

    def start(self, n_epochs, n_records, epochs_done):
        self.epochs_done = epochs_done

    def step(self, epoch, records_done, loss):
        self.n_steps += 1
        if self.n_steps == self.at:
            self.action()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def cut_power():
    raise PowerCutError


@pytest.fixture(autouse=True)
def _look_after_every_step(monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)


def make(**changes):
    settings = {"epochs": 5, "batch_size": 10, "precision": "float32", **changes.pop("training", {})}
    usual = {"corruption": "gaussian", "likelihood": "normal", "penalties": ("l1",), "random_state": 7}
    return Autoencoder(3, training=Training(**settings), **{**usual, **changes})


def outcome(model):
    history = [
        {key: row[key] for key in ("epoch", "loss", "validation_loss", "learning_rate")} for row in model.history_
    ]
    return {name: weight.tolist() for name, weight in model.chain_.state_dict().items()}, history


@pytest.fixture(scope="module")
def unstopped():
    """Return a function that returns the model of a run that nothing stops; trained once for each name."""
    models = {}

    def unstopped(name, fit):
        if name not in models:
            models[name] = fit()
        return models[name]

    return unstopped


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_interrupted_at_several_steps_the_weights_are_the_same(optimiser, tmp_path):
    training = {"optimiser": optimiser, "schedule": "one-cycle", "validation": 0.1}
    whole = outcome(make(training=training).fit(X))
    path = tmp_path / "checkpoint"
    for stop_after in (1, 4, 6):  # within an epoch, at its end, across an end
        callback = StopAt(stop_after, interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(training=training).fit(X, checkpoint=path, resume=True, callback=callback)
        assert path.exists()
    resumed = make(training=training).fit(X, checkpoint=path, resume=True)
    assert outcome(resumed) == whole


@pytest.mark.parametrize("validation", [0.0, 0.1])
def test_a_plateau_is_found_at_the_same_epoch(validation, tmp_path):
    training = {"schedule": Plateau(patience=1, threshold=0.5), "validation": validation, "optimiser": "adamw"}
    whole, path = make(training=training).fit(X), tmp_path / "checkpoint"
    assert len({row["learning_rate"] for row in whole.history_}) > 2
    for stop_after in (6, 7):
        with pytest.raises(KeyboardInterrupt):
            make(training=training).fit(X, checkpoint=path, resume=True, callback=StopAt(stop_after, interrupt))
    assert outcome(make(training=training).fit(X, checkpoint=path, resume=True)) == outcome(whole)


@pytest.mark.parametrize("training", [{}, {"epochs": 60, "patience": 2, "validation": 0.3}], ids=str)
def test_the_checkpoint_of_a_complete_run_holds_its_result(training, tmp_path):
    """What comes after the training, such as writing the model, may fail and be tried again."""
    path, callback = tmp_path / "checkpoint", StopAt(0, None)
    whole = make(training=training).fit(X, checkpoint=path)
    resumed = make(training=training).fit(X, checkpoint=path, resume=True, callback=callback)
    assert outcome(resumed) == outcome(whole)
    assert (callback.n_steps, callback.epochs_done) == (0, len(whole.history_))


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_convolutions_go_on_though_their_kernels_lie_channels_last(optimiser, tmp_path):
    images = np.random.default_rng(1).normal(size=(40, 9, 8))
    network = Convolutional(channels=(4, 6), kernel=3)
    settings = {"network": network, "likelihood": Normal(scale="mean"), "training": {"optimiser": optimiser}}
    whole = outcome(make(**settings).fit(images))
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make(**settings).fit(images, checkpoint=path, callback=StopAt(6, interrupt))
    resumed = make(**settings).fit(images, checkpoint=path, resume=True)
    assert not resumed.chain_.encoder.stages[1][0].weight.is_contiguous()
    assert outcome(resumed) == whole


def _some(cases, quick):
    """Return cases of which all but those at some places are slow."""
    return [case if i in quick else pytest.param(*case, marks=pytest.mark.slow) for i, case in enumerate(cases)]


@pytest.mark.parametrize(
    ("optimiser", "stop_after"),
    _some([(optimiser, steps) for optimiser in OPTIMISERS for steps in (2, 7, 12, 18)], quick={0, 3, 5, 10, 15}),
    ids=repr,
)
def test_a_power_cut_loses_only_what_came_after_the_last_checkpoint(
    optimiser, stop_after, tmp_path, monkeypatch, unstopped
):
    training = {"optimiser": optimiser}
    whole = outcome(unstopped(repr(optimiser), lambda: make(training=training).fit(X)))
    path = tmp_path / "checkpoint"
    with monkeypatch.context() as patched:
        patched.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
        with pytest.raises(PowerCutError):
            make(training=training).fit(X, checkpoint=path, callback=StopAt(stop_after, cut_power))
    callback = StopAt(0, None)
    assert outcome(make(training=training).fit(X, checkpoint=path, resume=True, callback=callback)) == whole
    assert callback.epochs_done == (stop_after - 1) // 4
    assert callback.n_steps == N_STEPS - (stop_after - 1)


def test_epochs_too_short_for_a_look_are_kept_too(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", 1e9)
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    path, kept = tmp_path / "checkpoint", []

    class Look(Callback):
        def epoch(self, row):
            kept.append(path.exists())

    make().fit(X, checkpoint=path, callback=Look())
    assert kept == [False, True, True, True, True]


def test_ctrl_c_during_the_last_step_still_interrupts(tmp_path):
    whole, path = outcome(make().fit(X)), tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(N_STEPS, interrupt))
    assert outcome(make().fit(X, checkpoint=path, resume=True)) == whole


@pytest.mark.parametrize("stop_after", [3, 9, 15, 21, 26])
def test_early_stopping_goes_on_where_it_was(stop_after, tmp_path, unstopped):
    noise = np.random.default_rng(1).normal(size=(30, 6))
    training = {"epochs": 60, "patience": 4, "optimiser": Adam(learning_rate=0.02), "schedule": "constant"}
    whole = unstopped("early", lambda: make(training=training, corruption=None).fit(X, validation=noise))
    assert 26 < 4 * len(whole.history_) < 4 * 60
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make(training=training, corruption=None).fit(
            X, validation=noise, checkpoint=path, callback=StopAt(stop_after, interrupt)
        )
    resumed = make(training=training, corruption=None).fit(X, validation=noise, checkpoint=path, resume=True)
    assert outcome(resumed) == outcome(whole)


def test_a_kill_ends_as_a_kill_does(tmp_path):
    whole = outcome(make().fit(X))
    path = tmp_path / "checkpoint"
    with pytest.raises(SystemExit) as caught:
        make().fit(X, checkpoint=path, callback=StopAt(5, terminate))
    assert caught.value.code == 128 + signal.SIGTERM
    assert outcome(make().fit(X, checkpoint=path, resume=True)) == whole


def test_signals_are_handed_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=tmp_path / "checkpoint", callback=StopAt(2, interrupt))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_without_a_checkpoint_ctrl_c_ends_the_run_at_once():
    callback = StopAt(2, interrupt)
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, callback=callback)
    assert callback.n_steps == 2


def test_a_random_generator_is_resumed_with_the_seed_it_gave(tmp_path):
    whole = outcome(make(random_state=np.random.RandomState(5)).fit(X))
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make(random_state=np.random.RandomState(5)).fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    assert outcome(make(random_state=np.random.RandomState(99)).fit(X, checkpoint=path, resume=True)) == whole


def test_resuming_without_a_checkpoint_starts_anew(tmp_path):
    assert outcome(make().fit(X, checkpoint=tmp_path / "checkpoint", resume=True)) == outcome(make().fit(X))


def test_a_checkpoint_that_is_not_asked_for_is_not_taken_up(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    callback = StopAt(0, None)
    make().fit(X, checkpoint=path, callback=callback)
    assert callback.n_steps == N_STEPS


def test_time_spent_before_the_interruption_counts(tmp_path, monkeypatch):
    now = iter(range(10**6))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))  # a second each time it is asked
    whole = make().fit(X).history_[0]["seconds"]
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(2, interrupt))
    with safe_open(path, framework="pt") as file:
        assert '"seconds": 0.0' not in file.metadata()["narrows checkpoint 2"]
    assert make().fit(X, checkpoint=path, resume=True).history_[0]["seconds"] > whole


# Runs of several stages


def staged(**changes):
    network = Dense(widths=(5,), activation="sigmoid")
    pretraining = LayerWise(epochs=2, batch_size=10)
    return make(network=network, pretraining=pretraining, **{"training": {"epochs": 2}, **changes})


# Four steps an epoch; two layers of two epochs each, then two epochs of the whole.
@pytest.mark.parametrize(
    ("stop", "stop_after"),
    [
        *[(interrupt, steps) for steps in (1, 8, 9, 16, 24)],
        *[(cut_power, steps) for steps in (7, 15, 17)],
        *[pytest.param(interrupt, steps, marks=pytest.mark.slow) for steps in (7, 15, 17, 23)],
        *[pytest.param(cut_power, steps, marks=pytest.mark.slow) for steps in (1, 8, 9, 16, 23, 24)],
    ],
)
def test_a_run_of_several_stages_goes_on_in_the_stage_it_was_in(stop, stop_after, tmp_path, monkeypatch, unstopped):
    whole = unstopped("stages", lambda: staged().fit(X))
    path = tmp_path / "checkpoint"
    with monkeypatch.context() as patched:
        patched.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
        with pytest.raises((KeyboardInterrupt, PowerCutError)):
            staged().fit(X, checkpoint=path, callback=StopAt(stop_after, stop))
    callback = StopAt(0, None)
    resumed = staged().fit(X, checkpoint=path, resume=True, callback=callback)
    assert outcome(resumed) == outcome(whole)
    assert [(row["stage"], row["epoch"], row["loss"]) for row in resumed.pretraining_history_] == [
        (row["stage"], row["epoch"], row["loss"]) for row in whole.pretraining_history_
    ]
    # A power cut loses the step it comes in; Ctrl-C waits for the end of the step after, if the stage has one.
    done = stop_after - 1 if stop is cut_power else stop_after + bool(stop_after % 8)
    assert callback.n_steps == 24 - done


@pytest.mark.parametrize("stop_after", [2, pytest.param(5, marks=pytest.mark.slow), 7])
def test_the_network_of_residuals_is_kept_as_well(stop_after, tmp_path, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)

    def fit(**how):
        residual = CausalNetwork(n_hidden=8, n_components=2, reach=2, epochs=4)
        settings = {"network": Dense(widths=(8,)), "residual": residual, "training": {"epochs": 1}}
        return make(**settings).fit(images, **how).measure(images)

    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=path, callback=StopAt(stop_after, interrupt))
    assert fit(checkpoint=path, resume=True).codec_.blob == fit().codec_.blob


def test_what_is_measured_after_the_training_may_be_another(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(3, interrupt))
    resumed = make(artefacts=()).fit(X, checkpoint=path, resume=True)
    assert outcome(resumed) == outcome(make().fit(X))


# Other settings, other data


def other(values):
    changed = values.copy()
    changed[0, 0] += 1
    return changed


@pytest.mark.parametrize(
    ("changes", "data", "validation", "named"),
    [
        ({"training": {"epochs": 6}}, X, None, ["training"]),
        ({"corruption": None}, X, None, ["corruption"]),
        ({"random_state": 8}, X, None, ["random_state"]),
        ({"corruption": "masking", "random_state": 8}, X, None, ["corruption and random_state"]),
        ({}, X[:30], None, ["shape of the data", "content of the data"]),
        ({}, other(X), None, ["content of the data"]),
        ({}, X[::-1], None, ["content of the data"]),
        ({}, X.astype(np.float32), None, ["type of the data"]),
        ({}, X, X[:5], ["validation data"]),
    ],
)
def test_a_run_with_other_settings_or_data_is_not_resumed(changes, data, validation, named, tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    before = path.read_bytes()
    with pytest.raises(InvalidParameterError, match="belongs to a run with another") as caught:
        make(**changes).fit(data, checkpoint=path, resume=True, validation=validation)
    assert all(name in str(caught.value) for name in [str(path), *named])
    assert "delete the file to start again" in str(caught.value)
    assert path.read_bytes() == before


def test_the_values_that_differ_are_named(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make(corruption="masking").fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    with pytest.raises(InvalidParameterError) as caught:
        make(random_state=8).fit(X[:30], checkpoint=path, resume=True)
    assert re.search(r"corruption was 'masking' and is .* now", str(caught.value))
    assert f"the shape of the data was [{len(X)}, {X.shape[1]}] and is [30, {X.shape[1]}] now" in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "another file"])
def test_a_damaged_checkpoint_is_named(damage, tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    whole = path.read_bytes()
    if damage == "another file":
        make().fit(X).save(path, force=True)
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"hello"}[damage])
    with pytest.raises(ModelFileError, match="checkpoint is not a checkpoint of narrows, or is damaged"):
        make().fit(X, checkpoint=path, resume=True)


def test_a_model_given_as_a_checkpoint_is_refused_with_the_way_to_train_it_further(tmp_path):
    make().fit(X).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"narrows\.load\(path\)\.fit\(X, more_epochs=N\)\.$") as error:
        make().fit(X, checkpoint=tmp_path / "model", resume=True)
    assert "narrows checkpoint 2" not in str(error.value)


def test_a_checkpoint_that_could_not_be_written_is_refused_before_training(tmp_path):
    callback = StopAt(0, None)
    with pytest.raises(DataNotFoundError, match="does not exist"):
        make().fit(X, checkpoint=tmp_path / "nowhere" / "checkpoint", callback=callback)
    with pytest.raises(InvalidParameterError, match="is a folder"):
        make().fit(X, checkpoint=tmp_path, callback=callback)
    assert callback.n_steps == 0


def test_after_a_loss_that_is_not_finite_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    """A cosmic ray spoils one step; the checkpoint before it is whole, and the run can be finished from there."""
    whole = outcome(make().fit(X))
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    path = tmp_path / "checkpoint"

    with monkeypatch.context() as patched:
        from narrows.chain import Chain

        healthy, calls = Chain.loss, []

        def spoilt(chain, records, generator=None):
            calls.append(1)
            return healthy(chain, records * (float("nan") if len(calls) == 10 else 1), generator)

        patched.setattr(Chain, "loss", spoilt)
        with pytest.raises(
            TrainingDivergedError, match=r"in epoch 3, at step 2 of 4.*last good state is in .*checkpoint"
        ):
            make().fit(X, checkpoint=path)
    state = Checkpoint(path, {})
    with safe_open(state.path, framework="pt") as file:
        assert all(bool(torch.isfinite(file.get_tensor(name).double()).all()) for name in file.keys())  # noqa: SIM118
    assert outcome(make().fit(X, checkpoint=path, resume=True)) == whole


# What a checkpoint may replace


def test_a_checkpoint_replaces_no_other_file(tmp_path):
    model, notes = tmp_path / "precious.safetensors", tmp_path / "notes.txt"
    make().fit(X).save(model)
    notes.write_text("mine")
    for path in (model, notes):
        before = path.read_bytes()
        with pytest.raises(OutputExistsError, match=f"{path.name}, which is not a checkpoint. Give another name, or"):
            make().fit(X, checkpoint=path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_checkpoint_replaces_that_of_no_other_run(finished, tmp_path):
    path = tmp_path / "checkpoint"
    if finished:
        make().fit(X, checkpoint=path)
    else:
        with pytest.raises(KeyboardInterrupt):
            make().fit(X, checkpoint=path, callback=StopAt(5, interrupt))
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match=r"another content of the data\. Give .* another name, or delete"):
        make().fit(2 * X, checkpoint=path)
    with pytest.raises(OutputExistsError, match=r"another .*more epochs"):
        make().fit(X).fit(X, more_epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    make().fit(X, checkpoint=path)


def test_a_checkpoint_of_another_version_is_not_replaced(tmp_path):
    path = tmp_path / "checkpoint"
    save_file({"x": torch.zeros(1)}, path, {"narrows checkpoint 1": "{}"})
    with pytest.raises(OutputExistsError, match="another version of narrows"):
        make().fit(X, checkpoint=path)


def test_resuming_needs_a_checkpoint():
    with pytest.raises(InvalidParameterError, match="resume=True without 'checkpoint'"):
        make().fit(X, resume=True)
    with pytest.raises(InvalidParameterError, match=r"The 'resume' of fit must be True or False\. Got 'yes'"):
        make().fit(X, resume="yes")
