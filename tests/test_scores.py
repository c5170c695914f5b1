"""Scores of single records: log-likelihoods, squared errors, and what grid searches make of them."""

import math
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import Gaussian
from narrows.errors import InvalidParameterError
from narrows.evaluation.scorers import neg_mean_squared_error, neg_median_squared_error
from narrows.likelihoods import Normal
from narrows.networks import Dense


def fit(x, y=None, **params):
    quick = {"n_latent": 2, "artefacts": (), "training": Training(epochs=2), "random_state": 0}
    return Autoencoder(**{**quick, **params}).fit(x, y)


@pytest.fixture
def table(rng):
    return rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (50, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("bottleneck", ["plain", "gaussian", "rounded", "vector-quantised"])
def test_the_score_is_the_mean_of_the_samples_scores(bottleneck, table):
    model = fit(table, bottleneck=bottleneck)
    scores = model.score_samples(table)
    assert (scores.shape, scores.dtype) == ((60,), np.float64)
    assert model.score(table) == pytest.approx(scores.mean(), rel=1e-12)
    np.testing.assert_allclose(model.score_samples(table[::-1][:7]), scores[::-1][:7], rtol=1e-9)


def test_the_score_of_a_sample_is_its_log_likelihood(table):
    model = fit(table, network=Dense(widths=()), preprocessing=(), likelihood=Normal(scale=2))
    squared = model.reconstruction_error(table)
    expected = -squared / (2 * 4) - 4 * (math.log(2) + 0.5 * math.log(2 * math.pi))
    np.testing.assert_allclose(model.score_samples(table), expected, rtol=1e-6)


def test_the_score_of_a_variational_model_is_the_evidence_lower_bound(table):
    model = fit(table, bottleneck="gaussian")
    assert model.score_samples(table).mean() == pytest.approx(narrows.evaluate(model, table)["elbo_nats_per_record"])
    weighted = fit(table, bottleneck=Gaussian(beta=4.0))
    bound = narrows.evaluate(weighted, table)
    expected = -bound["reconstruction_nats_per_record"] - 4 * bound["kl_nats_per_record"]
    assert weighted.score(table) == pytest.approx(expected), "with the weight of training, as documented"


def test_a_record_unlike_all_others_has_the_lowest_score_and_the_largest_error(table):
    model = fit(table)
    mixed = table.copy()
    mixed[7] *= [4, -4, 4, -4]
    assert model.score_samples(mixed).argmin() == model.reconstruction_error(mixed).argmax() == 7


def test_errors_are_those_of_the_unrounded_reconstruction_in_the_units_of_the_data(images):
    model = fit(images)
    of_values = model.reconstruction_error(images, per="value")
    assert of_values.dtype == np.float64
    np.testing.assert_allclose(of_values, np.square(images - model.reconstruct(images, dtype=float)), rtol=1e-12)
    of_records = model.reconstruction_error(images)
    np.testing.assert_allclose(of_records, of_values.sum(axis=(1, 2)), rtol=1e-12)
    assert of_records.mean() == pytest.approx(255**2 * narrows.evaluate(model, images)["sse_per_record"])


def test_errors_do_not_depend_on_batches(monkeypatch, images):
    model = fit(images)
    whole = model.reconstruction_error(images, per="value"), model.reconstruction_error(images)
    monkeypatch.setattr("narrows.model.squared_errors._BATCH", 7)
    np.testing.assert_allclose(model.reconstruction_error(images, per="value"), whole[0], rtol=1e-4)
    np.testing.assert_allclose(model.reconstruction_error(images), whole[1], rtol=1e-4)


@pytest.mark.parametrize("fill_value", [-9999.0, math.nan])
def test_missing_values_have_no_error(fill_value, table):
    missing = np.zeros(table.shape, bool)
    missing[3, 1] = missing[5] = missing[8, :3] = True
    holed = np.where(missing, fill_value, table)
    model = fit(holed, fill_value=fill_value)
    of_values = model.reconstruction_error(holed, per="value")
    np.testing.assert_array_equal(np.isnan(of_values), missing)
    expected = np.where(missing.all(axis=1), np.nan, np.nansum(of_values, axis=1))  # of record 5 nothing is known
    np.testing.assert_allclose(model.reconstruction_error(holed), expected)
    assert np.isnan(model.reconstruction_error(holed)[5])
    assert neg_mean_squared_error(model, holed) == pytest.approx(-np.nanmean(of_values))
    of_records = np.nanmean(np.delete(of_values, 5, axis=0), axis=1)
    assert neg_median_squared_error(model, holed) == pytest.approx(-np.median(of_records))


def test_conditional_models_score_records_with_their_labels(table):
    y = np.arange(60) % 2
    model = fit(table, y, conditional=True)
    assert model.score_samples(table, y).mean() == pytest.approx(model.score(table, y))
    error = np.square(table - model.reconstruct(table, y)).sum(axis=1)
    np.testing.assert_allclose(model.reconstruction_error(table, y), error)
    assert (model.reconstruction_error(table, 1 - y) != model.reconstruction_error(table, y)).any()
    assert neg_mean_squared_error(model, table, y) == pytest.approx(-error.mean() / 4)


def test_data_frames_and_names_of_data_are_scored(table):
    frame = pandas.DataFrame(table, columns=list("abcd"))
    model = fit(frame)
    np.testing.assert_allclose(model.score_samples(frame), fit(table).score_samples(table))
    assert fit("digits:train", training=Training(epochs=1)).reconstruction_error("digits:test").shape == (360,)


def test_an_unknown_unit_of_errors_is_refused(table):
    with pytest.raises(InvalidParameterError, match="'per' of reconstruction_error must be one of 'record', 'value'"):
        fit(table).reconstruction_error(table, per="column")


def test_squared_errors_by_name_score_tables_that_are_their_own_targets(table):
    model, grid = fit(table), {"n_latent": [1, 3]}
    by_name = GridSearchCV(model, grid, scoring="neg_mean_squared_error", cv=3).fit(table, table)
    by_function = GridSearchCV(model, grid, scoring=neg_mean_squared_error, cv=3).fit(table)
    scores = by_name.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, by_function.cv_results_["mean_test_score"])
    assert by_name.best_params_ == {"n_latent": 3}


def test_squared_errors_score_images_without_targets(images):
    scores = cross_val_score(fit(images), images, scoring=neg_mean_squared_error, cv=2)
    assert ((scores < 0) & (scores > -(255**2))).all()


def test_one_record_unlike_all_others_does_not_decide_the_median(table):
    model = fit(table)
    mixed = table.copy()
    mixed[7] *= [100, -100, 100, -100]
    assert neg_mean_squared_error(model, mixed) < 100 * neg_mean_squared_error(model, table)
    assert neg_median_squared_error(model, mixed) == pytest.approx(neg_median_squared_error(model, table), rel=0.2)


def test_a_pipeline_is_scored_by_its_last_step(table):
    pipeline = make_pipeline(StandardScaler(), fit(table)).fit(table)
    scaled = pipeline[0].transform(table)
    assert neg_mean_squared_error(pipeline, table) == pytest.approx(
        -pipeline[-1].reconstruction_error(scaled).mean() / 4
    )
    with pytest.raises(InvalidParameterError, match=r"needs a narrows.Autoencoder.* Got StandardScaler"):
        neg_mean_squared_error(StandardScaler(), table)


def test_predictions_are_reconstructions_in_floats(images):
    model = fit(images)
    np.testing.assert_array_equal(model.predict(images), model.reconstruct(images, dtype=float))


def test_the_python_on_measuring_runs(monkeypatch):
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    text = (Path(__file__).parent.parent / "docs" / "measuring.md").read_text()
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, "measuring.md", "exec"), names)
    assert names["pixels"].shape == (360, 8, 8)
    assert len(names["table"]["log_likelihood"]) == 360
    assert names["search"].best_score_ < 0
