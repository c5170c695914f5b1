"""The Fréchet distance against its closed form where covariances commute, and against SciPy's root where they don't."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from narrows.errors import DataError, NonFiniteDataError, ShapeMismatchError
from narrows.evaluation.frechet import frechet_distance


def test_equal_sets_are_at_no_distance(rng):
    features = rng.normal(size=(200, 10)) @ rng.normal(size=(10, 10))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(features, rng.permutation(features)) == pytest.approx(0, abs=1e-9)


def test_where_covariances_commute_it_is_that_of_the_deviations(rng):
    """‖μ_a − μ_b‖² + Σ (σ_a − σ_b)², since both have the same axes."""
    features = rng.normal(size=(500, 4))
    features -= features.mean(axis=0)
    features = features @ np.linalg.inv(np.linalg.cholesky(np.cov(features, rowvar=False))).T
    axes = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    a, b = (features * deviations @ axes for deviations in ([1, 2, 3, 4], [2, 2, 0, 1]))
    shift = np.array([1.0, -2, 0, 3])
    assert frechet_distance(a, b + shift) == pytest.approx(14 + 1 + 0 + 9 + 9)
    assert frechet_distance(b + shift, a) == pytest.approx(33)


def test_it_is_what_a_general_square_root_says(rng):
    a, b = (rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=5) for _ in range(2))
    sigma_a, sigma_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    expected += np.trace(sigma_a + sigma_b - 2 * np.real(sqrtm(sigma_a @ sigma_b)))
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_a_feature_that_never_varies_is_no_trouble(rng):
    a, b = (np.column_stack([rng.normal(size=50), np.full(50, value)]) for value in (3.0, 5.0))
    assert frechet_distance(a, b) == pytest.approx(4 + frechet_distance(a[:, :1], b[:, :1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_first", [True, False])
def test_features_that_are_not_finite_are_refused(bad, is_first, rng):
    features = rng.normal(size=(20, 3))
    spoiled = features.copy()
    spoiled[4, 1] = bad
    with pytest.raises(NonFiniteDataError, match=r"must be finite numbers\. Got 1 of 60"):
        frechet_distance(*((spoiled, features) if is_first else (features, spoiled)))


def test_few_records_are_further_apart(rng):
    few, many = (frechet_distance(*rng.normal(size=(2, n, 8))) for n in (20, 2000))
    assert few > 10 * many


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [([[1.0]], [[1.0], [2.0]], DataError), ([1.0, 2], [1.0, 2], DataError), (np.eye(3), np.eye(2), ShapeMismatchError)],
)
def test_what_cannot_be_compared_is_refused(a, b, error):
    with pytest.raises(error):
        frechet_distance(a, b)
