"""Callbacks: functions, several of them, and the model at hand while it is trained."""

import importlib.util
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError, MissingPackageError, NarrowsWarning
from narrows.networks import Dense
from narrows.training import Callback

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("chain_only")


def new(**changes):
    return Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=3), random_state=0, **changes)


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:40]


def test_a_function_gets_the_row_of_each_epoch(x):
    rows = []
    model = new().fit(x, callback=rows.append)
    assert [row.to_json() for row in rows] == model.history_


@pytest.mark.parametrize("answer", [True, np.True_])
def test_a_function_ends_the_training_by_returning_true(answer, x):
    assert len(new().fit(x, callback=lambda row: answer if row.epoch == 2 else None).history_) == 2


@pytest.mark.parametrize("answer", [None, False, 0, ""])
def test_other_answers_do_not_end_it(answer, x):
    assert len(new().fit(x, callback=lambda row: answer).history_) == 3


@pytest.mark.parametrize("answer", [1, "yes", np.ones(2)], ids=str)
def test_answers_that_may_be_meant_as_true_do_not_end_it_and_are_warned_of_once(answer, x):
    class Wants(Callback):
        def epoch(self, row):
            return answer

    for callback, name in ((Wants(), "Wants"), (lambda row: answer, "<lambda>")):
        with pytest.warns(NarrowsWarning, match=f"The callback .*{name} returned .*, which does not end") as told:
            model = new().fit(x, callback=[callback])
        assert len(model.history_) == 3
        assert [one.message.kind for one in told] == ["callback"]


def test_a_step_that_returns_true_is_warned_of(x, monkeypatch):
    class Steps(Callback):
        def step(self, epoch, records_done, loss):
            return True

    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", 0)
    with pytest.warns(NarrowsWarning, match="The method 'step' of .*Steps returned True, which does not"):
        assert len(new().fit(x, callback=Steps()).history_) == 3


def test_a_callback_without_any_method_of_callbacks_is_refused(x):
    class Keras(Callback):
        def on_epoch_end(self, epoch, logs=None):
            return True

    with pytest.raises(InvalidParameterError, match=r"at least one of the methods begin, .*\. Keras has on_epoch_end"):
        new().fit(x, callback=Keras())


@pytest.mark.parametrize("name", ["on_epoch", "epochs", "Stop"])
def test_a_method_whose_name_is_nearly_that_of_a_method_of_callbacks_is_warned_of(name, x):
    wrong = type("Wrong", (Diary,), {name: lambda self, row: True})
    with pytest.warns(NarrowsWarning, match=f"The method '{name}' of Wrong is not called during training"):
        new().fit(x, callback=wrong())


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda: None, r"The 'callback' of fit must be a function that .* arguments \(row\)\. Got .* \(\)\."),
        (type("Short", (Callback,), {"epoch": lambda self: None})(), r"The method 'epoch' of Short must .* \(row\)"),
        (type("Long", (Callback,), {"stop": lambda self, a: None})(), r"'stop' of Long must .* arguments \(\)\. Got"),
    ],
    ids=["function", "epoch", "stop"],
)
def test_callbacks_with_other_arguments_are_refused_before_training(callback, message, x):
    with pytest.raises(InvalidParameterError, match=message):
        new().fit(x, callback=callback)


class Diary(Callback):
    def __init__(self):
        self.calls = []

    def start(self, *numbers):
        self.calls.append(("start", *numbers))

    def epoch(self, row):
        self.calls.append(("epoch", row.epoch))

    def stop(self):
        self.calls.append(("stop",))


def test_several_callbacks_are_all_called_and_each_may_end_the_training(x):
    diary, after = Diary(), []
    new().fit(x, callback=(diary, lambda row: True, after.append))
    assert diary.calls == [("start", 3, 40, 0), ("epoch", 1), ("stop",)]
    assert len(after) == 1


def test_all_callbacks_are_told_of_the_end_even_if_one_of_them_fails(x):
    class Failing(Callback):
        def stop(self):
            raise RuntimeError("no luck")

    diary = Diary()
    with pytest.raises(RuntimeError, match="no luck"):
        new().fit(x, callback=[diary, Failing()])
    assert diary.calls[-1] == ("stop",)


@pytest.mark.parametrize(("wrong", "hint"), [(3, ""), ([3], ""), (Diary, r" Create one: Diary\(\)\.")])
def test_what_is_no_callback_is_refused(wrong, hint, x):
    with pytest.raises(InvalidParameterError, match=rf"The 'callback' of fit must be .* Got .*{hint}$"):
        new().fit(x, callback=wrong)


class Watcher(Callback):
    """Uses the model in every way after each epoch."""

    def __init__(self, x, path=None):
        self.x, self.path, self.restored, self.scores = x, path, [], []

    def epoch(self, row):
        assert len(self.model.history_) == row.epoch
        self.restored.append(self.model.reconstruct(self.x))
        self.model.transform(self.x.astype(float))
        self.scores.append(self.model.score(self.x))
        if self.path is not None:
            self.model.save(self.path, force=True)


def test_the_model_at_hand_has_the_weights_so_far(x, tmp_path):
    watcher = Watcher(x, tmp_path / "model")
    model = new().fit(x, callback=watcher)
    assert not np.array_equal(watcher.restored[0], watcher.restored[1])
    np.testing.assert_array_equal(watcher.restored[-1], model.reconstruct(x))
    assert watcher.scores[-1] == model.score(x)
    np.testing.assert_array_equal(narrows.load(tmp_path / "model").transform(x), model.transform(x))


@pytest.mark.parametrize("changes", [{}, {"corruption": "masking"}, {"pretraining": "layer-wise"}], ids=str)
def test_using_the_model_at_hand_does_not_change_the_training(changes, x):
    changes = {"bottleneck": "gaussian", **changes} if "pretraining" not in changes else changes

    class Uses(Callback):
        def epoch(self, row):
            self.model.reconstruct(x)
            self.model.score(x)

    watched, alone = new(**changes).fit(x, callback=Uses()), new(**changes).fit(x)
    np.testing.assert_array_equal(watched.transform(x), alone.transform(x))
    assert watched.history_[-1]["loss"] == alone.history_[-1]["loss"]


def test_of_a_classifier_the_autoencoder_is_at_hand(x):
    watcher = Watcher(x)
    AutoencoderClassifier(new(), training=Training(epochs=2), random_state=0).fit(
        x, np.arange(40) % 2, callback=watcher
    )
    assert watcher.restored[0].shape == x.shape
    assert len(watcher.restored) == 5


def test_models_of_data_frames_and_with_labels_are_at_hand(x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x.reshape(40, -1)[:, 20:24].astype(float), columns=list("abcd"))
    shapes = []

    class Shapes(Callback):
        def epoch(self, row):
            shapes.append(np.shape(self.model.transform(frame, np.arange(40) % 2)))

    new(conditional=True).fit(frame, np.arange(40) % 2, callback=Shapes())
    assert shapes == [(40, 3)] * 3


def test_the_page_on_callbacks_runs_as_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("logging.basicConfig", lambda **how: None)
    monkeypatch.setattr("logging.Logger.setLevel", lambda self, level: None)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "callbacks.md").read_text(), re.M | re.S):
        exec(compile(block, "callbacks.md", "exec"), names)
    assert len(names["film"].images) == 3
    assert (tmp_path / "after-2.safetensors").is_file()


def imported_example():
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples" / "tensorboard_callback.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_the_example_for_tensorboard_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match=r"needs TensorBoard\..* pip install tensorboard"):
        imported_example().TensorBoard("runs")


def test_the_example_for_tensorboard_writes_losses_and_images(x, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            written.append(("folder", folder, None))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def add_images(self, name, images, step):
            written.append((name, images.shape, step))

        def flush(self):
            written.append(("flush", None, None))

    fake = types.ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    example = imported_example()
    model = new().set_params(training__validation=0.2).fit(x, callback=example.TensorBoard("runs", x[:4]))
    assert [value for name, value, _ in written if name == "loss"] == [row["loss"] for row in model.history_]
    assert ("reconstructions", (4, 1, 8, 16), 2) in written
    assert written[-1][0] == "flush"
