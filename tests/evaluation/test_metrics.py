"""Every number against the formula written a second way, and None where there is nothing to say."""

import math
from functools import partial

import numpy as np
import pandas
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.corruptions import Gaussian
from narrows.errors import InvalidParameterError, NonFiniteDataError, ShapeMismatchError
from narrows.evaluation.denoising import add_noise
from narrows.evaluation.metric_table import METRICS, _beside, compared_with_pca
from narrows.evaluation.metrics import unit_of
from narrows.evaluation.scorers import neg_mean_squared_error
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.uses import generate


def fit(x, **params):
    return Autoencoder(**{"n_latent": 3, "training": Training(epochs=5), "random_state": 0, **params}).fit(x)


@pytest.fixture
def images(rng):
    grey = rng.random((60, 1, 1)) * np.linspace(0, 250, 30).reshape(6, 5) + rng.random((60, 6, 5)) * 5
    return grey.astype(np.uint8)


def restored(model, x):
    """Return the unrounded reconstructions, by the chain's own steps."""
    import torch

    with torch.no_grad():
        code = model.chain_.encode(model.chain_.prepare(torch.from_numpy(x)))
        return model.chain_.restore(code.z).numpy()


def test_the_numbers_of_images_are_those_of_pixels_between_0_and_1(images):
    train, test = images[:40], images[40:]
    model = fit(train, training=Training(epochs=100))
    x, x_hat = test / 255, restored(model, test) / 255
    error = x - x_hat
    p = np.clip(x_hat, 1e-7, 1 - 1e-7)
    pca = PCA(3).fit(train.reshape(40, 30) / 255)
    flat = x.reshape(20, 30)
    expected = {
        "records": 20,
        "sse_per_record": (error**2).sum() / 20,
        "median_sse_per_record": np.median((error**2).sum(axis=(1, 2))),
        "mse": (error**2).mean(),
        "psnr_db": 20 * math.log10(1 / math.sqrt((error**2).mean())),
        "cross_entropy_per_value": -(x * np.log(p) + (1 - x) * np.log(1 - p)).mean(),
        "nats_per_record": -model.score(test),
        "median_nats_per_record": -np.median(model.score_samples(test)),
        "pca_sse_per_record": np.square(flat - pca.inverse_transform(pca.transform(flat))).sum(axis=1).mean(),
    }
    scale = np.square(255 / model.chain_.preprocessor.unit.item())  # one for all pixels
    expected["preprocessed_sse_per_record"] = expected["sse_per_record"] * scale
    expected["pca_preprocessed_sse_per_record"] = expected["pca_sse_per_record"] * scale
    expected["preprocessed_mse"] = expected["mse"] * scale
    got = narrows.evaluate(model, test)
    assert set(got) == set(expected) < set(METRICS)
    assert got == pytest.approx(expected, rel=1e-5)
    assert 0 < got["mse"] < 0.1


def test_the_numbers_of_a_table_are_in_its_own_units(rng):
    x = rng.normal(size=(50, 6)) * 10 + 100
    model = fit(x[:40])
    error = x[40:] - restored(model, x[40:])
    got = narrows.evaluate(model, x[40:])
    assert got["sse_per_record"] == pytest.approx((error**2).sum(axis=1).mean(), rel=1e-3)
    span = x[40:].max() - x[40:].min()
    assert got["psnr_db"] == pytest.approx(10 * math.log10(span**2 / got["mse"])), "the peak is these records' range"
    assert got["cross_entropy_per_value"] is None, "values outside [0, 1]"
    pca = PCA(3).fit(x[:40])
    by_pca = x[40:] - pca.inverse_transform(pca.transform(x[40:]))
    assert got["pca_sse_per_record"] == pytest.approx((by_pca**2).sum(axis=1).mean(), rel=1e-4)


def test_nats_are_minus_the_log_likelihood(rng):
    x = rng.normal(size=(50, 4))
    model = fit(x, network=Dense(widths=()), preprocessing=(), likelihood=Normal(scale=2))
    got = narrows.evaluate(model, x)
    expected = got["sse_per_record"] / (2 * 4) + 4 * (math.log(2) + 0.5 * math.log(2 * math.pi))
    assert got["nats_per_record"] == pytest.approx(expected, rel=1e-6)


def test_fractions_have_a_cross_entropy_and_a_peak_of_their_range(rng):
    x = rng.random((50, 4))
    got = narrows.evaluate(fit(x), x)
    assert got["cross_entropy_per_value"] > 0
    bits = narrows.evaluate(fit(x > 0.5), x > 0.5)
    assert bits["psnr_db"] == pytest.approx(-10 * math.log10(bits["mse"]))


def test_reconstructions_are_neither_clipped_nor_rounded(images):
    """A decoder that answers 0.4 of a grey level everywhere is off by that, though it would be stored as 0."""
    model = fit(images, network=Dense(widths=()))
    x = np.zeros((5, 6, 5), np.uint8)
    got = narrows.evaluate(model, x)["mse"]
    assert got == pytest.approx(np.square(restored(model, x) / 255).mean(), rel=1e-5)
    assert got != pytest.approx(np.square(model.reconstruct(x) / 255.0).mean(), rel=1e-5)


def test_what_has_no_meaning_is_none(rng):
    x = np.full((20, 3), 2.5)
    got = narrows.evaluate(fit(x), x)
    assert got["psnr_db"] is None, "no range, no peak"
    assert got["cross_entropy_per_value"] is None
    assert all(value is None or math.isfinite(value) for value in got.values())


def test_a_perfect_restoration_has_no_ratio(monkeypatch, rng):
    x = rng.random((10, 3))
    model = fit(x)
    monkeypatch.setattr("narrows.evaluation.metrics.reconstruct", lambda chain, values, labels, noise: x)
    got = narrows.evaluate(model, x)
    assert (got["mse"], got["sse_per_record"], got["psnr_db"]) == (0, 0, None)


def test_large_data_are_measured_in_batches(monkeypatch, images):
    model = fit(images)
    whole = narrows.evaluate(model, images)
    monkeypatch.setattr("narrows.evaluation.metrics._BATCH", 7)
    assert narrows.evaluate(model, images) == pytest.approx(whole, rel=1e-6)


def test_the_unit_of_bytes_is_255():
    units = {"uint8": 255, "bool": 1, "uint16": 1, "float32": 1}
    assert {name: unit_of(np.dtype(name)) for name in units} == units


def test_corrupted_records_are_compared_with_the_clean_ones(images):
    model = fit(images, corruption=Gaussian(scale=0.3), training=Training(epochs=30))
    clean, noisy = narrows.evaluate(model, images), narrows.evaluate(model, images, corrupted=True)
    assert noisy["sse_per_record"] > clean["sse_per_record"]
    assert noisy["nats_per_record"] > clean["nats_per_record"]
    assert noisy["pca_sse_per_record"] == clean["pca_sse_per_record"]
    assert narrows.evaluate(model, images, corrupted=True) == noisy
    assert narrows.evaluate(model, images, corrupted=True, random_state=1) != noisy
    silent = fit(images, corruption=Gaussian(scale=0))
    assert narrows.evaluate(silent, images, corrupted=True) == narrows.evaluate(silent, images)
    with pytest.raises(InvalidParameterError, match="trained without corruption"):
        narrows.evaluate(fit(images), images, corrupted=True)


def test_paths_and_names_can_be_measured(tmp_path, images):
    np.save(tmp_path / "x.npy", images)
    model = fit(images)
    assert narrows.evaluate(model, tmp_path / "x.npy") == narrows.evaluate(model, images)


def test_records_that_the_model_cannot_take_are_refused(rng):
    model = fit(rng.random((10, 3, 2)))
    with pytest.raises(ShapeMismatchError, match=r"shape \(3, 2\). Got \(2, 3\)"):
        narrows.evaluate(model, rng.random((10, 2, 3)))
    with pytest.raises(NonFiniteDataError, match="record 0"):
        narrows.evaluate(model, np.full((10, 3, 2), np.nan))


@pytest.mark.parametrize(("scale", "is_told"), [(1000, True), (1, False)])
def test_a_column_whose_scale_decides_the_error_of_a_table_is_named(scale, is_told, rng):
    x = rng.normal(size=(200, 6)) * [1, 1, 1, 1, scale, 1]
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    model = narrows.Autoencoder(2, training=narrows.Training(epochs=1), random_state=0).fit(frame)
    text = compared_with_pca(narrows.evaluate(model, frame), model)
    assert ("so column 'e', the one with the largest, counts most" in text) == is_told
    assert ("With each column divided by its own scale (preprocessed_sse_per_record)" in text) == is_told


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1e-9, "less than 0.001 times that of PCA"),
        (0.5, "50% lower than that of PCA"),
        (0.999, "equal to that of PCA"),
        (1.3, "30% higher than that of PCA, the best linear code"),
        (6.65e7, "more than 1,000 times that of PCA, the best linear code"),
    ],
)
def test_ratios_to_the_error_of_pca_are_told_in_as_many_digits_as_mean_something(ratio, words):
    assert _beside(ratio, "PCA") == words


def test_a_pipeline_is_evaluated_by_its_last_step(rng):
    x = rng.normal(size=(60, 4)) * [1, 10, 100, 1000]
    pipeline = make_pipeline(StandardScaler(), Autoencoder(2, training=Training(epochs=1), random_state=0)).fit(x)
    scaled = pipeline[0].transform(x)
    assert narrows.evaluate(pipeline, x) == narrows.evaluate(pipeline[-1], scaled)
    alone = make_pipeline(pipeline[-1])
    assert narrows.evaluate(alone, scaled) == narrows.evaluate(pipeline[-1], scaled)
    assert neg_mean_squared_error(alone, scaled) == neg_mean_squared_error(pipeline[-1], scaled)


@pytest.mark.parametrize("measure", [narrows.evaluate, neg_mean_squared_error])
@pytest.mark.parametrize("model", [Autoencoder(), make_pipeline(StandardScaler(), Autoencoder())], ids=["", "pipeline"])
def test_models_that_are_not_fitted_say_so(measure, model, images):
    with pytest.raises(NotFittedError, match="This Autoencoder instance is not fitted yet"):
        measure(model, images)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("model.safetensors", r"Got str\. Load the file of a model first: narrows\.load\('model\.safetensors'\)\.$"),
        (LogisticRegression(), r"Got LogisticRegression\.$"),
        (make_pipeline(StandardScaler(), LogisticRegression()), r"Got LogisticRegression\.$"),
        (AutoencoderClassifier(), r"Got AutoencoderClassifier\. A classifier does not restore records"),
        (Autoencoder, r"Got the class Autoencoder\.$"),
    ],
    ids=["path", "other", "pipeline", "classifier", "class"],
)
def test_what_is_no_autoencoder_is_refused(model, message, images):
    with pytest.raises(
        InvalidParameterError, match=r"'model' of evaluate must be a fitted narrows\.Autoencoder\. " + message
    ):
        narrows.evaluate(model, images)


@pytest.mark.parametrize("swapped", [narrows.evaluate, partial(add_noise, noise=0.1)], ids=["evaluate", "add_noise"])
def test_arguments_in_the_wrong_order_are_noticed(swapped, images):
    with pytest.raises(InvalidParameterError, match=r"Got ndarray\. The model comes first and the data second: \w+\(m"):
        swapped(images, Autoencoder())


def test_generating_needs_an_autoencoder_too(images):
    for make in (lambda: generate.manifold("m"), lambda: generate.traversals("m"), lambda: generate.between("m", 0, 1)):
        with pytest.raises(InvalidParameterError, match=r"must be a fitted narrows\.Autoencoder\. Got str"):
            make()
