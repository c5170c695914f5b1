"""The model that a callback has at hand while it is trained, and estimators that are not fitted yet."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError, NotMeasuredError
from narrows.networks import Dense
from narrows.training import Callback


def new(**changes):
    return Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=3), random_state=0, **changes)


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:40]


class After(Callback):
    """Calls a function with the model at hand after an epoch, and ends the training."""

    def __init__(self, function):
        self.function = function

    def epoch(self, row):
        self.result = self.function(self.model)
        return True


def at_hand(function, x, model=None, **how):
    """Return the result of a function of the model at hand."""
    seen = After(function)
    (model or new()).fit(x, callback=seen, **how)
    return seen.result


LATER = "Artefacts are measured after the training, and a callback has taken this model during it"


@pytest.mark.parametrize("use", [lambda model: model.sample(2), lambda model: model.codec_], ids=["sample", "codec_"])
@pytest.mark.parametrize("how", [{}, {"more_epochs": 2}], ids=["fit", "more epochs"])
def test_the_model_at_hand_says_that_artefacts_are_measured_after_the_training(use, how, x):
    def reason(model):
        with pytest.raises(NotMeasuredError) as error:
            use(model)
        return str(error.value)

    model = new()
    text = at_hand(reason, x, model.fit(x) if how else model, **how)
    assert LATER in text
    assert "older version" not in text
    assert model.sample(2).shape == (2, 8, 8), "after the training they are there"
    assert model.codec_error_ is None


def test_a_file_saved_by_a_callback_gives_the_same_reason_and_artefacts_can_be_measured(x, tmp_path):
    at_hand(lambda model: model.save(tmp_path / "early"), x)
    early = narrows.load(tmp_path / "early")
    assert early.unmeasured_ == dict.fromkeys(["pca", "density", "search", "codec"], f"{LATER}.")
    assert early.measure(x).unmeasured_ == {}
    assert at_hand(lambda model: model.unmeasured_, x, new(artefacts=["pca"]))["codec"] == "It was not requested."


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.fit(np.zeros((40, 8, 8))),
        lambda model: model.fit_transform(np.zeros((40, 8, 8))),
        lambda model: model.partial_fit(np.zeros((40, 8, 8))),
        lambda model: model.set_params(n_latent=7),
        lambda model: model.to("cpu"),
    ],
    ids=["fit", "fit_transform", "partial_fit", "set_params", "to"],
)
def test_the_model_at_hand_cannot_be_trained_or_changed(change, x):
    def refused(model):
        with pytest.raises(InvalidParameterError, match="is not allowed on the model that a callback has at hand"):
            change(model)
        return np.array(model.reconstruct(x))

    model = new()
    np.testing.assert_array_equal(at_hand(refused, x, model), model.reconstruct(x))


def test_copies_and_clones_of_the_model_at_hand_can_be_trained(x):
    def trained(model):
        copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
        restored = copied.reconstruct(x)
        np.testing.assert_array_equal(restored, model.reconstruct(x))
        assert len(copied.set_params(training__epochs=2).fit(x).history_) == 2
        assert len(clone(model).fit(x).history_) == 3
        return True

    assert at_hand(trained, x)


@pytest.mark.parametrize("name", ["history_", "chain_", "kept_", "n_latent_", "unmeasured_", "codec_error_", "shape_"])
def test_what_fit_learns_is_said_to_be_missing_before_it(name):
    with pytest.raises(NotFittedError, match=f"This Autoencoder instance is not fitted yet, so it has no .*'{name}'"):
        getattr(Autoencoder(), name)
    assert not hasattr(Autoencoder(), name)
    with pytest.raises(NotFittedError, match="This AutoencoderClassifier instance is not fitted yet"):
        AutoencoderClassifier().coef_  # noqa: B018


def test_other_missing_attributes_have_the_usual_error(x):
    with pytest.raises(AttributeError, match="'Autoencoder' object has no attribute 'histories'"):
        Autoencoder().histories  # noqa: B018
    model = new(artefacts=()).fit(x)
    with pytest.raises(AttributeError, match="'Autoencoder' object has no attribute 'histories_'"):
        model.histories_  # noqa: B018
    with pytest.raises(NotMeasuredError):
        model.codec_  # noqa: B018
