"""A classifier on top of an encoder: scikit-learn's contract, what it learns, what options do, what is refused."""

import inspect
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.cli import main
from narrows.corruptions import Masking
from narrows.errors import (
    DataError,
    InvalidParameterError,
    ModelFileError,
    OutputExistsError,
    RangeWarning,
    ShapeMismatchError,
    UnknownNameError,
    recorded,
)
from narrows.networks import Dense
from narrows.training import Adam, Callback
from narrows.training.pretraining import LayerWise

QUICK = Training(epochs=3)


def stacked(**params):
    return Autoencoder(
        24,
        network=Dense(widths=(48,), activation="sigmoid", code_activation="sigmoid", tied=True),
        likelihood="bernoulli",
        preprocessing="unit-scale",
        **{"pretraining": LayerWise(epochs=2, optimiser=Adam()), **params},
    )


def classifier(autoencoder=None, **params):
    return AutoencoderClassifier(autoencoder or stacked(), **{"training": QUICK.clone(), "random_state": 0, **params})


USUAL = Autoencoder(
    64, network=Dense(widths=(64,), activation="silu", code_activation="silu"), pretraining=LayerWise(epochs=1)
)


STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "with repeated records the batches of a run are others; "
    "tests/training/test_weights.py checks it for one batch with all records"
}


@parametrize_with_checks([AutoencoderClassifier(USUAL)], expected_failed_checks=lambda estimator: STOCHASTIC)
def test_scikit_learn(estimator, check, monkeypatch):
    monkeypatch.setattr("narrows.training.settings._MOST_EPOCHS", 3)  # enough for what the checks ask
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([AutoencoderClassifier(pretrain=False)], expected_failed_checks=lambda estimator: STOCHASTIC)
def test_scikit_learn_without_pretraining(estimator, check, monkeypatch):
    monkeypatch.setattr("narrows.training.settings._MOST_EPOCHS", 3)
    check(estimator)


def test_the_constructor_only_stores():
    given = {"autoencoder": 1, "pretrain": 2, "consistency": 3, "training": 4, "warm_start": 5}
    given |= {"random_state": 6, "verbose": 7}
    assert AutoencoderClassifier(**given).get_params(deep=False) == given
    assert set(given) == set(inspect.signature(AutoencoderClassifier).parameters)


def test_it_learns_the_digits_and_their_names():
    model = AutoencoderClassifier(training=Training(epochs=25), random_state=0).fit("digits:train")
    source = narrows.data.open("digits:test")
    assert model.score(source) == (model.predict(source) == source.labels).mean()
    assert model.score(source) >= 0.9, "as logistic regression: the test digits are by other writers"
    probabilities = model.predict_proba(source)
    assert probabilities.shape == (360, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(source))
    names = np.array(["nought", *(f"digit {i}" for i in range(1, 10))])[source.labels]
    assert classifier().fit(source, names).predict(source).dtype == names.dtype


def test_probabilities_are_the_softmax_of_the_code(digits):
    model = classifier().fit("digits:train")
    logits = narrows.model.inference.encode(model.chain_, digits[1]) @ model.coef_.T + model.intercept_
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(digits[1]), expected, rtol=1e-4)


def test_the_loss_is_the_cross_entropy_of_the_labels(digits):
    labels = narrows.data.open("digits:train").labels
    model = classifier(training=Training(epochs=4)).fit(digits[0], labels, validation=(digits[0], labels))
    log_p = np.log(model.predict_proba(digits[0]))[np.arange(len(labels)), labels]
    assert model.history_[-1]["validation_loss"] == pytest.approx(-log_p.mean(), rel=1e-5)


def test_every_parameter_changes_something(digits):
    x, labels = digits[0][:100], narrows.data.open("digits:train").labels[:100]

    def result(autoencoder=None, **params):
        return classifier(autoencoder, **params).fit(x, labels).predict_proba(digits[1]).tolist()

    usual = result()
    assert result() == usual
    changes = [
        {"pretrain": False},
        {"training": Training(epochs=4)},
        {"random_state": 1},
        {"autoencoder": stacked(pretraining=None)},
        {"autoencoder": stacked(pretraining=LayerWise(epochs=2, optimiser=Adam(), corruptions=Masking(level=0.4)))},
        {"autoencoder": stacked(corruption="masking")},
    ]
    results = [usual, *(result(**change) for change in changes)]
    assert len({repr(one) for one in results}) == len(results)


class Told(Callback):
    def __init__(self):
        self.said = []

    def stage(self, name):
        self.said.append(name)

    def start(self, n_epochs, n_records, epochs_done):
        self.said.append((n_epochs, n_records))


def test_first_the_layers_or_the_whole_then_the_labels():
    def told(**params):
        callback = Told()
        classifier(**params).fit("digits:train", callback=callback)
        return callback.said

    labels = ["labels", (3, 1437)]
    assert told() == ["layer 1 of 2", (2, 1437), "layer 2 of 2", (2, 1437), *labels]
    whole = stacked(pretraining=None, training=Training(epochs=5))
    assert told(autoencoder=whole) == ["restoring", (5, 1437), *labels]
    assert told(pretrain=False) == labels


def test_records_without_labels_help_where_labels_are_few(digits):
    """Fifty labels; the other records are only looked at."""
    few, labels = digits[0][:50], narrows.data.open("digits:train").labels[:50]
    pretraining = LayerWise(epochs=10, optimiser=Adam(learning_rate=1e-2), corruptions=Masking(level=0.2))
    settings = {"training": Training(epochs=20, batch_size=10, optimiser=Adam(learning_rate=1e-2))}

    def scores(**params):
        return np.median(
            [
                classifier(stacked(pretraining=pretraining), random_state=seed, **settings, **params)
                .fit(few, labels, unlabelled=unlabelled)
                .score("digits:test")
                for seed in range(3)
            ]
        )

    unlabelled = digits[0][50:800]
    with_them = scores()
    assert with_them > scores(pretrain=False) + 0.02
    unlabelled = None
    assert with_them > scores()


def test_early_stopping_keeps_the_best():
    model = classifier(training=Training(epochs=400, validation=0.2, patience=2, optimiser=Adam(learning_rate=0.02)))
    history = model.fit("digits:train").history_
    losses = [row["validation_loss"] for row in history]
    assert len(history) < 400
    assert len(history) - 1 - int(np.argmin(losses)) == 2


def test_an_autoencoder_that_stops_early_stops_by_the_records_held_out():
    whole = stacked(pretraining=None, training=Training(epochs=300, patience=2, optimiser=Adam(learning_rate=0.05)))
    model = classifier(whole, training=Training(epochs=2, validation=0.2)).fit("digits:train")
    assert len(model.pretraining_history_) < 300
    with pytest.raises(InvalidParameterError, match="Early stopping with 'patience' needs validation records"):
        classifier(whole).fit("digits:train")
    layers = stacked(training=Training(patience=2, validation=0.1))  # not used: there are layers
    assert len(classifier(layers).fit("digits:train").pretraining_history_) == 4


def test_settings_inside_are_set_by_name_and_searched():
    model = classifier().set_params(
        autoencoder__pretraining__epochs=1, autoencoder__n_latent=8, training__epochs=2, training__optimiser="sgd"
    )
    assert (model.autoencoder.pretraining.epochs, model.autoencoder.n_latent) == (1, 8)
    assert (model.training.epochs, model.training.optimiser.name) == (2, "sgd")
    assert AutoencoderClassifier().set_params(autoencoder__n_latent=3, training__epochs=1).autoencoder.n_latent == 3
    with pytest.raises(UnknownNameError, match="parameter of AutoencoderClassifier: 'pretrian'"):
        model.set_params(pretrian=False)
    x = np.random.default_rng(0).normal(size=(60, 5))
    search = GridSearchCV(
        AutoencoderClassifier(Autoencoder(training=Training(epochs=1)), training=Training(epochs=1)),
        {"autoencoder__n_latent": [1, 2], "pretrain": [False, True]},
        cv=2,
    )
    assert search.fit(x, x[:, 0] > 0).best_estimator_.autoencoder.n_latent in (1, 2)


def test_what_was_given_is_left_as_it_was(digits):
    autoencoder = stacked()
    before = repr(autoencoder)
    labels = narrows.data.open("digits:train").labels
    model = classifier(autoencoder).fit(digits[0], labels)
    assert repr(autoencoder) == before
    assert not hasattr(autoencoder, "chain_")
    assert model.autoencoder is autoencoder


@pytest.mark.parametrize("stop_after", [3, 20, 40])
def test_an_interrupted_run_goes_on(stop_after, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    path = tmp_path / "checkpoint"

    class Stop(Callback):
        n = 0

        def step(self, epoch, records_done, loss):
            self.n += 1
            if self.n == stop_after:
                raise RuntimeError("power cut")

    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    small = {"training": Training(epochs=3, batch_size=40)}
    model = stacked(pretraining=LayerWise(epochs=1, batch_size=20))
    train, test = (narrows.data.open(f"digits:{split}").take(np.arange(300)) for split in ("train", "test"))
    whole = classifier(model, **small).fit(train)
    with pytest.raises(RuntimeError):
        classifier(model, **small).fit(train, checkpoint=path, callback=Stop())
    resumed = classifier(model, **small).fit(train, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.predict_proba(test), whole.predict_proba(test))
    assert len(resumed.pretraining_history_) == 2
    with pytest.raises(InvalidParameterError, match="belongs to a run with another training"):
        classifier(model).fit(train, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"y": None}, DataError, "has no labels"),
        (
            {"y": [0, 1]},
            DataError,
            "Each record needs one label. Got 20 records in array (20, 4) float64 and 2 labels.",
        ),
        ({"y": np.linspace(0, 1, 20)}, ValueError, "Unknown label type: continuous"),
        ({"unlabelled": np.zeros((3, 5))}, ValueError, "X has 5 features"),
        ({"unlabelled": np.zeros((3, 2, 2))}, ShapeMismatchError, "records of shape (4,). Got (2, 2)"),
        (
            {"unlabelled": np.zeros((3, 4), np.float32)},
            DataError,
            "Got float64 (labelled) and float32 (unlabelled)",
        ),
        ({"validation": np.zeros((2, 4))}, InvalidParameterError, "must be a tuple (records, labels) or None"),
        ({"y": [["a", "b"]] * 20}, DataError, "y should be a 1d array"),
        ({"validation": (np.zeros((2, 4)), [0, 7])}, DataError, "Unknown labels: 7"),
    ],
)
def test_data_that_do_not_fit_are_refused(change, error, said):
    x = np.random.default_rng(0).random((20, 4))
    settings = {"X": x, "y": np.arange(20) % 2, **change}
    with pytest.raises(error) as caught:
        classifier().fit(**settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"autoencoder": "sda"},
            "The 'autoencoder' of AutoencoderClassifier must be an Autoencoder or None. Got 'sda'",
        ),
        (
            {"autoencoder": Autoencoder(conditional=True)},
            "must have conditional=False, since a classifier does not use this",
        ),
        ({"autoencoder": Autoencoder(residual="causal")}, "must have residual=None"),
        ({"training": Training(patience=3)}, "Early stopping with 'patience' needs validation records."),
        ({"pretrain": "no"}, "The 'pretrain' of AutoencoderClassifier must be True or False. Got 'no'."),
    ],
)
def test_parameters_that_cannot_be_are_refused(params, said):
    with pytest.raises(InvalidParameterError) as caught:
        AutoencoderClassifier(**params).fit("digits:train")
    assert said in str(caught.value)


# Files


def test_it_is_saved_and_loaded_like_every_model(digits, tmp_path):
    labels = np.array(["even", "odd"])[narrows.data.open("digits:train").labels[:60] % 2]
    model = classifier().fit(digits[0][:60], labels)
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert isinstance(again, AutoencoderClassifier)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict_proba(digits[1]), model.predict_proba(digits[1]))
    np.testing.assert_array_equal(again.classes_, ["even", "odd"])
    assert again.history_ == model.history_
    assert again.pretraining_history_ == model.pretraining_history_
    with pytest.raises(ShapeMismatchError):
        again.predict(np.zeros((2, 5, 5)))
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    with pytest.raises(OutputExistsError):
        again.save(tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arrays": {}}, "a classifier with 10 classes"),
        ({"classes": np.arange(3)}, "a classifier with 3 classes"),
        ({"kind": "detector"}, "loads models of kind autoencoder, classifier, outliers. Got kind 'detector'"),
    ],
    ids=["no weights", "other classes", "unknown kind"],
)
def test_a_file_that_lies_is_refused(change, said, digits, tmp_path):
    model = classifier().fit(digits[0][:60], narrows.data.open("digits:train").labels[:60])
    model.model_ = replace(model.model_, **change)
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=re.escape(said)):
        narrows.load(tmp_path / "model")


def test_verbs_that_need_an_autoencoder_refuse_its_file(digits, tmp_path):
    classifier().fit(digits[0][:60], narrows.data.open("digits:train").labels[:60]).save(tmp_path / "model")
    result = CliRunner().invoke(main, ["evaluate", "digits:test", "-m", str(tmp_path / "model")])
    assert result.exit_code == 1
    assert "is the model of a classifier" in result.output
    result = CliRunner().invoke(main, ["info", str(tmp_path / "model")])
    assert result.exit_code == 0, repr(result.exception)
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "classes 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in lines
    assert "autoencoder__pretraining__epochs 2" in lines
    assert " ".join(lines).endswith("A classifier writes no archives.")
    with pytest.raises(InvalidParameterError, match=r"must be a fitted Autoencoder.*AutoencoderClassifier"):
        narrows.compress(digits[1], tmp_path / "x.narrows", model=tmp_path / "model")


def test_a_score_warns_once_of_records_on_another_scale():
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = x[:, 0] > 0
    model = AutoencoderClassifier(training=Training(epochs=1), random_state=0).fit(x, y)
    with recorded(held=True) as warned:
        model.score(1000 * x, y)
    assert [type(one) for one in warned] == [RangeWarning]
