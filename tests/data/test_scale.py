"""Records on another scale than the training data are warned of; outliers, dark images and parts of them are not."""

from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.data import Source
from narrows.data.finite import finite_range, range_of_finite
from narrows.data.scale import Trained, scale_warning, typical_magnitude
from narrows.errors import RangeWarning
from narrows.estimators.classifier import AutoencoderClassifier
from narrows.networks import Dense

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
BYTES = Trained(0, 255, np.dtype(np.uint8))
UNIT = Trained(0, 1, np.dtype(np.float32))


def warning(values, trained):
    values = np.asarray(values)
    return scale_warning(Source(values), *range_of_finite(Source(values)), trained)


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][:200]


# What is caught


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_from_0_to_1_are_no_bytes(images, dtype):
    text = warning((images / 255).astype(dtype), BYTES)
    assert "has values from 0 to 1, but the model was trained on values from 0 to 255 (uint8)" in text
    assert text.endswith("Multiply by 255 and convert to uint8.")


@pytest.mark.parametrize("n", [1, 2, 200])
def test_even_one_record_of_another_scale_is_caught(images, n):
    assert warning(images[:n] / 255, BYTES)
    assert warning(images[:n], UNIT)


@pytest.mark.parametrize("values", [[[True, False]], [[0.0, 1.0]], [[-1.0, 0.5]], [[0.25, 0.25]]])
def test_booleans_and_signed_or_constant_floats_are_no_bytes(values):
    assert warning(values, BYTES)


@pytest.mark.parametrize(("dtype", "convert"), [("uint8", " and convert to float32"), ("float32", "")])
def test_bytes_are_no_floats_from_0_to_1(images, dtype, convert):
    text = warning(images.astype(dtype), UNIT)
    assert "trained on values from 0 to 1 (float32)" in text
    assert text.endswith(f"Divide by 255{convert}.")


def test_the_factor_is_that_of_pixels_where_the_largest_are_nearly_white(images):
    trained = Trained(0, 250, np.dtype(np.uint8))
    assert "Multiply by 255 and convert to uint8" in warning(images / np.float32(255) * 0.95, trained)


def test_bytes_are_no_pixels_of_16_bits(images):
    deep = Trained(0, 60_000, np.dtype(np.uint16))
    assert "Multiply by about 240 and convert to uint16" in warning(images, deep)
    assert warning(images.astype(np.uint16) * 235, deep) is None


def trained_on(data):
    return Trained(float(data.min()), float(data.max()), data.dtype, typical_magnitude(Source(data)))


def test_floats_of_another_scale_are_caught(images):
    trained = trained_on(images.astype(np.float32))
    assert "Multiply by 255." in warning((images / 255).astype(np.float32), trained)
    assert warning(images.astype(np.float32), trained) is None


def test_a_table_in_other_units_is_caught(rng):
    table = rng.normal(size=(100, 4))
    trained = trained_on(table)
    assert "Divide by about 100" in warning(100 * table, trained)
    assert "Multiply by about 100" in warning(table / 100, trained)
    assert warning(3 * table, trained) is None
    assert warning(table / 3, trained) is None


# What is no reason to warn


def test_parts_of_the_training_data_are_of_their_scale(images, rng):
    residuals = np.concatenate([rng.normal(size=(200, 4)), [[1e6, 0, 0, 0]]])  # of which one is far out
    skewed = np.exp(2 * rng.normal(size=(200, 3)))
    for data in (images, images.astype(np.float32), images / 255, residuals, skewed, skewed.astype(int)):
        trained = trained_on(data)
        for part in (data, data[:3], data[::7], *data[:, None]):
            assert warning(part, trained) is None


@pytest.mark.parametrize("trained", [BYTES, UNIT, Trained(-5, 5, np.dtype(np.float64), 4.0)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool", "int64"])
def test_black_images_are_of_every_scale(trained, dtype):
    assert warning(np.zeros((1, 2), dtype), trained) is None
    assert warning(np.zeros((100, 2), dtype), trained) is None


def test_dark_images_are_no_reason():
    assert warning(np.array([[0, 1], [0, 3]], np.uint8), BYTES) is None
    assert warning(np.array([[0.0, 3.0]]), BYTES) is None  # bytes, as floats
    assert warning(np.array([[0, 12]], np.int64), BYTES) is None
    assert warning(np.array([[0, 1]], np.uint8), UNIT) is None


def test_outliers_are_no_reason(rng):
    values = rng.normal(size=(100, 5))
    values[3, 2], values[7] = 1e9, -1e7
    assert warning(values, Trained(-4, 4, values.dtype)) is None
    values[:3] = np.nan
    values[5, 0] = np.inf
    assert warning(values, Trained(-4, 4, values.dtype)) is None


def test_a_model_of_nothing_but_zeros_is_of_no_scale(images):
    assert warning(images, Trained(0, 0, np.dtype(np.uint8))) is None


# Where it is said


@pytest.fixture(scope="module")
def model(images):
    training = narrows.Training(epochs=1)
    return narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0).fit(images)


@pytest.mark.parametrize(
    "use",
    [
        lambda model, x: model.transform(x),
        lambda model, x: model.reconstruct(x),
        lambda model, x: model.denoise(x),
        lambda model, x: model.score(x),
        lambda model, x: model.quantise(x),
        narrows.evaluate,
    ],
    ids=["transform", "reconstruct", "denoise", "score", "quantise", "evaluate"],
)
def test_whatever_is_asked_of_a_model_warns_once(model, images, use):
    with pytest.warns(RangeWarning) as caught:
        use(model, images / 255)
    assert [one.filename for one in caught] == [__file__]
    use(model, images[:1])  # an error if it warned


def test_compress_warns_and_has_it_in_its_summary(images, tmp_path):
    training = narrows.Training(epochs=1)
    floats = (images / 255).astype(np.float32)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0).fit(floats)
    for name, how in {"a": {}, "b": {"max_error": 1}}.items():
        with pytest.warns(RangeWarning, match="Divide by 255") as caught:
            summary = narrows.compress(255 * floats, tmp_path / name, model=model, **how)
        assert len(caught) == 1
        warning = summary.warnings[0]
        assert (warning["kind"], warning["count"], warning["first"]) == ("range", len(floats), None)
        assert warning["message"] == str(caught[0].message)
    assert narrows.compress(floats, tmp_path / "c", model=model, lossless=True).warnings == ()


def test_validation_data_of_another_scale_are_warned_of(images):
    training = narrows.Training(epochs=1)
    unfitted = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0)
    with pytest.warns(RangeWarning):
        unfitted.fit(images, validation=images / 255)


def test_training_data_are_not_compared_with_themselves(images, chain_only, monkeypatch):
    seen = []
    monkeypatch.setattr("narrows.estimators.base.scale_warning", lambda source, *more: seen.append(source.name))
    training = narrows.Training(epochs=1)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0).fit(images)
    assert seen == []
    model.score(images)
    assert len(seen) == 1


def test_a_classifier_knows_its_range_too(digits):
    train = narrows.data.open("digits:train").limit(200)
    training = narrows.Training(epochs=1)
    inner = narrows.Autoencoder(2, network=Dense(widths=(4,)))
    model = AutoencoderClassifier(inner, pretrain=False, training=training, random_state=0).fit(train)
    assert model.range_ == (0, 255)
    model.predict(train)
    with pytest.warns(RangeWarning):
        model.predict(train.values / 255)


def test_a_model_keeps_what_it_knows_of_its_data_in_its_file(model, images, tmp_path):
    model.save(tmp_path / "model")
    loaded = narrows.load(tmp_path / "model")
    assert (loaded.range_, loaded.magnitude_) == (model.range_, model.magnitude_) == ((0, 255), 255)
    with pytest.warns(RangeWarning):
        loaded.transform(images / 255)


def test_models_saved_before_are_read_and_warn_by_their_range(digits):
    model = narrows.load(GOLDEN / "ladder.safetensors")
    assert model.magnitude_ is None
    with pytest.warns(RangeWarning):
        model.transform(digits[1][:20] / 255)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool"])
def test_a_range_is_found_in_one_pass(rng, dtype, monkeypatch):
    values = rng.integers(0, 2, (50, 3, 2)).astype(dtype)
    monkeypatch.setattr("narrows.data.finite.CHUNK_BYTES", 40)
    assert finite_range(Source(values)) == range_of_finite(Source(values)) == (0, 1)


def test_without_a_finite_value_there_is_no_range():
    assert range_of_finite(Source(np.full((2, 2), np.nan))) is None
