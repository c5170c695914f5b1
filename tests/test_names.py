"""Names: unknown parameters with suggestions, and tab completion."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.estimators.names import _ELSEWHERE


@pytest.mark.parametrize(
    "make", [Autoencoder, Autoencoder().set_params, lambda **given: narrows.recipe("auto", **given)]
)
@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("n_components", "n_latent"),
        ("optimizer", "training__optimiser"),
        ("epochs", "training__epochs"),
        ("learning_rate", "training__optimiser__learning_rate"),
        ("loss", "likelihood"),
        ("likelyhood", "likelihood"),
    ],
)
def test_an_unknown_parameter_suggests_the_right_one(make, name, suggestion):
    with pytest.raises(
        UnknownNameError, match=rf"Unknown parameter of Autoencoder: '{name}'\. Did you mean '{suggestion}'"
    ):
        make(**{name: 5})


def test_in_the_constructor_it_is_a_type_error_as_in_python():
    with pytest.raises(TypeError):
        Autoencoder(n_components=3)
    with pytest.raises(TypeError, match=r"Unknown parameter of AutoencoderClassifier: 'autoencodr'\. Did you"):
        AutoencoderClassifier(autoencodr=None)


@pytest.mark.parametrize("name", ["training__epochs", "epochs"])
def test_the_constructor_says_how_to_set_nested_parameters(name):
    with pytest.raises(UnknownNameError) as caught:
        Autoencoder(3, **{name: 5})
    for way in (
        "training=narrows.Training(epochs=...)",
        "Autoencoder(...).set_params(training__epochs=...)",
        'narrows.recipe("auto", training__epochs=...)',
    ):
        assert way in str(caught.value)
    with pytest.raises(
        UnknownNameError, match=r"Write Autoencoder\(\.\.\.\)\.set_params\(network__widths=\.\.\.\) or narrows"
    ):
        Autoencoder(network__widths=(3,))


def test_names_of_other_libraries_are_not_ours_and_all_suggestions_exist():
    for name, ours in _ELSEWHERE.items():
        assert name not in Autoencoder().get_params()
        model = Autoencoder(training=Training(patience=2))
        outer, _, inner = ours.partition("__")
        owner = model if not inner else model.training
        for part in (inner or outer).split("__"):
            owner = getattr(owner, part)


def test_the_constructor_can_still_be_copied_pickled_and_inspected():
    model = Autoencoder(3, random_state=1)
    assert clone(model).get_params() == pickle.loads(pickle.dumps(model)).get_params() == model.get_params()


def test_tab_completion_shows_what_a_user_needs():
    model = Autoencoder(2, training=Training(epochs=1), random_state=0)
    before = dir(model)
    assert {"fit", "reconstruct", "n_latent", "measure", "save"} <= set(before)
    assert not {"chain_", "codec_", "take_model", "classes_of", "records_of"} & set(before)
    model.fit(np.random.default_rng(0).normal(size=(20, 4)))
    assert {"chain_", "codec_", "history_"} <= set(dir(model))


def test_a_generator_of_numpy_is_a_source_of_randomness(rng):
    x = rng.normal(size=(30, 4))

    def new(seed):
        training = Training(epochs=1)
        return Autoencoder(2, training=training, corruption="gaussian", random_state=np.random.default_rng(seed)).fit(x)

    one, again, other = new(3), new(3), new(4)
    np.testing.assert_array_equal(one.transform(x), again.transform(x))
    assert not np.array_equal(one.transform(x), other.transform(x))
    for draw in (one.corrupt, lambda x, random_state: one.sample(5, random_state=random_state)):
        np.testing.assert_array_equal(
            draw(x, random_state=np.random.default_rng(1)), draw(x, random_state=np.random.default_rng(1))
        )
        numbers = np.random.default_rng(1)
        assert not np.array_equal(draw(x, random_state=numbers), draw(x, random_state=numbers))


def test_a_model_with_a_generator_is_saved_and_resumed(rng, tmp_path):
    x = rng.normal(size=(30, 4))
    for resume in (False, True):
        model = Autoencoder(2, training=Training(epochs=1), random_state=np.random.default_rng(0))
        model.fit(x, checkpoint=tmp_path / "run", resume=resume)
    model.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").random_state is None
    with pytest.raises((ValueError, InvalidParameterError), match="cannot be used to seed"):
        Autoencoder(2, random_state="seed").fit(x)
