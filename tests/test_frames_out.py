"""A data frame that is restored is a data frame again."""

import numpy as np
import pandas
import polars
import polars.testing
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.evaluation.denoising import add_noise

NAMES = ["size", "weight", "age", "price"]


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(40, 4))


@pytest.fixture(scope="module")
def model(values):
    frame = pandas.DataFrame(values, columns=NAMES)
    training = Training(epochs=1)
    return Autoencoder(2, corruption="gaussian", training=training, artefacts=(), random_state=0).fit(frame)


@pytest.mark.parametrize("restore", ["reconstruct", "denoise", "corrupt"])
def test_frames_of_pandas_keep_their_columns_and_index(restore, model, values):
    given = pandas.DataFrame(values, columns=NAMES, index=[f"row {n}" for n in range(40)])
    how = {"random_state": 0} if restore == "corrupt" else {}
    restored = getattr(model, restore)(given, **how)
    assert isinstance(restored, pandas.DataFrame)
    assert list(restored.columns) == NAMES
    assert restored.index.equals(given.index)
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(restored.to_numpy(), getattr(model, restore)(values, **how))


def test_frames_of_polars_stay_frames_of_polars(model, values):
    restored = model.reconstruct(polars.DataFrame(values, schema=NAMES))
    assert isinstance(restored, polars.DataFrame)
    assert restored.columns == NAMES
    np.testing.assert_array_equal(restored.to_numpy(), model.reconstruct(pandas.DataFrame(values, columns=NAMES)))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_codes_that_are_a_frame_are_decoded_to_one(kind, model, values):
    frame = {"pandas": pandas.DataFrame(values, columns=NAMES), "polars": polars.DataFrame(values, schema=NAMES)}[kind]
    codes = Autoencoder.set_output(model, transform=kind).transform(frame)
    model.set_output(transform="default")
    assert type(codes) is type(frame)
    restored = model.inverse_transform(codes)
    assert type(restored) is type(frame)
    assert list(restored.columns) == NAMES
    np.testing.assert_allclose(restored.to_numpy(), model.reconstruct(frame).to_numpy())


def test_arrays_stay_arrays(model, values):
    assert isinstance(model.inverse_transform(np.zeros((2, 2))), np.ndarray)


def test_columns_without_names_stay_as_they_are(values):
    frame = pandas.DataFrame(values)
    model = Autoencoder(2, training=Training(epochs=1), artefacts=(), random_state=0).fit(frame)
    assert list(model.reconstruct(frame).columns) == [0, 1, 2, 3]
    assert isinstance(model.inverse_transform(pandas.DataFrame(np.zeros((2, 2)))), np.ndarray)


def test_the_dtype_asked_for_is_that_of_the_columns(model, values):
    restored = model.reconstruct(pandas.DataFrame(values, columns=NAMES), dtype="float32")
    assert set(restored.dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_errors_of_values_and_noisy_records_of_a_frame_are_frames(kind, model, values):
    frame = {"pandas": pandas.DataFrame(values, columns=NAMES), "polars": polars.DataFrame(values, schema=NAMES)}[kind]
    errors, noisy = model.reconstruction_error(frame, per="value"), add_noise(model, frame, 0.5)
    for result in (errors, noisy):
        assert type(result) is type(frame)
        assert list(result.columns) == NAMES
    np.testing.assert_allclose(errors.to_numpy(), np.square(values - model.reconstruct(frame).to_numpy()))
    of_records = model.reconstruction_error(frame)
    np.testing.assert_allclose(of_records, errors.to_numpy().sum(axis=1))


def test_a_compressed_frame_is_restored_as_an_array_whose_names_the_model_knows(values, tmp_path):
    given = pandas.DataFrame(values, columns=NAMES)
    model = Autoencoder(2, training=Training(epochs=1), artefacts=["codec"], random_state=0).fit(given)
    narrows.compress(given, tmp_path / "table.narrows", model=model, max_error=0.01)
    restored = narrows.restore(tmp_path / "table.narrows", model=model)
    assert isinstance(restored, np.ndarray)
    named = pandas.DataFrame(restored, columns=model.feature_names_in_)
    pandas.testing.assert_frame_equal(named, given, atol=0.01)
