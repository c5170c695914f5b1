"""Metrics of data whose squares float64 cannot represent, and of records far beyond the training data."""

import numpy as np
import pytest

import narrows
from narrows.evaluation.denoising import compare_denoisers, psnr_db_of_records
from narrows.evaluation.metric_table import compared_with_pca
from narrows.pictures.reconstructions import _errors


def trained(x):
    return narrows.recipe("auto", n_latent=1, training__epochs=2, random_state=0).fit(x)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(200, 5))


@pytest.mark.parametrize("unit", [1e-200, 1e-20, 1e20, 1e150])
def test_metrics_do_not_vanish_or_overflow_with_the_unit(x, unit):
    expected, model = narrows.evaluate(trained(x), x), trained(x * unit)
    found = narrows.evaluate(model, x * unit)
    for name in ("psnr_db", "preprocessed_sse_per_record", "pca_preprocessed_sse_per_record"):
        assert found[name] == pytest.approx(expected[name], rel=1e-3), name
    assert found["mse"] > 0
    assert "0.000" not in compared_with_pca(found, model)


def test_denoisers_are_compared_in_any_unit(x):
    expected = compare_denoisers(trained(x), x, noise=0.5)["methods"]
    found = compare_denoisers(trained(x * 1e-200), x * 1e-200, noise=0.5)["methods"]
    for name in ("noisy", "PCA", "narrows"):
        assert found[name]["psnr_db"] == pytest.approx(expected[name]["psnr_db"], abs=0.3)
        assert found[name]["gain_db"] == pytest.approx(expected[name]["gain_db"], abs=0.3)
    assert np.isfinite(psnr_db_of_records(trained(x * 1e-200), x * 1e-200, x * 1.1e-200)).all()


def test_captions_of_pictures_do_not_say_infinity_of_small_errors(x):
    assert _errors(x * 1e-200, x * 1.1e-200, "psnr_db") == _errors(x, x * 1.1, "psnr_db")
    assert "0" not in _errors(x * 1e-200, x * 1.1e-200, "sse")


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
@pytest.mark.parametrize("value", [-1.7e308, 1e154, 1e39])
def test_records_far_beyond_the_training_data_give_numbers_not_nans(x, value):
    model, far = trained(x), x.copy()
    far[3, 2] = value
    found = narrows.evaluate(model, far)
    assert not any(isinstance(one, float) and np.isnan(one) for one in found.values())
    assert "nan" not in compared_with_pca(found, model)
