"""Principal components against scikit-learn's, and where the data are awkward."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from narrows.model.artefacts.pca import PrincipalComponents


def error(pca, x):
    flat = x.reshape(len(x), -1).astype(np.float64)
    return np.square(flat - pca.decode(pca.encode(x))).sum(axis=1).mean()


def sklearns_error(train, x, k):
    train, flat = (part.reshape(len(part), -1).astype(np.float64) for part in (train, x))
    pca = PCA(k, svd_solver="full").fit(train)
    return np.square(flat - pca.inverse_transform(pca.transform(flat))).sum(axis=1).mean()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8"])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_it_restores_as_well_as_scikit_learns(k, dtype, rng):
    x = (rng.normal(size=(80, 3, 2)) * [[1, 5], [9, 2], [3, 20]] + 120).clip(0, 255).astype(dtype)
    pca = PrincipalComponents.fit(x[:50], k, seed=0)
    assert error(pca, x[50:]) == pytest.approx(sklearns_error(x[:50], x[50:], k), rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(k), atol=1e-5)
    np.testing.assert_allclose(pca.mean, x[:50].reshape(50, -1).mean(axis=0, dtype=np.float64), rtol=1e-12)
    spread = pca.encode(x[:50]).std(axis=0)
    assert (np.diff(spread) <= 1e-6).all()


def test_values_far_from_zero_keep_their_digits(rng):
    x = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5]
    near, far = (PrincipalComponents.fit(values, 2, seed=0) for values in (x, x + 1.7e9))
    assert error(far, x + 1.7e9) == pytest.approx(error(near, x), rel=1e-5)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64"])
def test_values_whose_squares_overflow_single_precision_have_the_same_components(dtype, rng):
    x = rng.integers(0, 2**20, (300, 5)) * [1, 2, 3, 4, 5]
    near, far = (PrincipalComponents.fit(values.astype(dtype), 2, seed=0) for values in (x, x * 2**40))
    np.testing.assert_array_equal(far.components, near.components)
    assert error(far, (x * 2**40).astype(dtype)) == pytest.approx(error(near, x.astype(dtype)) * 2.0**80, rel=1e-5)


def test_tiny_values_are_no_zeros(rng):
    x = rng.normal(size=(60, 5))
    near, tiny = (PrincipalComponents.fit(values, 2, seed=0) for values in (x, x * 2.0**-100))
    PrincipalComponents.fit(x * 2.0**-147, 2, seed=0)
    np.testing.assert_array_equal(tiny.components, near.components)


def test_rows_choose_the_records(rng):
    x = rng.normal(size=(60, 5))
    rows = np.arange(0, 60, 3)
    chosen = PrincipalComponents.fit(x, 2, seed=0, rows=rows)
    np.testing.assert_allclose(chosen.components, PrincipalComponents.fit(x[rows], 2, seed=0).components)
    assert not np.allclose(chosen.mean, x.mean(axis=0))


def test_of_large_data_some_records_are_drawn(rng, monkeypatch):
    monkeypatch.setattr("narrows.model.artefacts.pca._MOST_VALUES", 500)
    x = rng.normal(size=(2000, 5)) * [1, 1, 1, 9, 9]
    drawn = PrincipalComponents.fit(x, 2, seed=0)
    assert error(drawn, x) == pytest.approx(sklearns_error(x, x, 2), rel=0.2)
    np.testing.assert_array_equal(drawn.mean, PrincipalComponents.fit(x, 2, seed=0).mean)
    assert not np.array_equal(drawn.mean, PrincipalComponents.fit(x, 2, seed=1).mean)


def test_a_single_record_may_be_large(rng, monkeypatch):
    monkeypatch.setattr("narrows.model.artefacts.pca._MOST_VALUES", 500)
    x = rng.normal(size=(1, 2000))
    assert np.allclose(PrincipalComponents.fit(x, 2, seed=0).mean, x[0])


@pytest.mark.parametrize(
    ("shape", "k", "n_components"), [((1, 4), 3, 1), ((3, 4), 9, 3), ((9, 4), 9, 4), ((5, 1), 2, 1)]
)
def test_there_are_no_more_components_than_the_data_allow(shape, k, n_components, rng):
    x = rng.normal(size=shape)
    pca = PrincipalComponents.fit(x, k, seed=0)
    assert pca.components.shape == (n_components, shape[1])
    np.testing.assert_allclose(pca.decode(pca.encode(x)), x, atol=1e-5)


def test_constant_data_are_their_mean():
    x = np.full((6, 3), 7, np.uint8)
    np.testing.assert_allclose(PrincipalComponents.fit(x, 2, seed=0).decode(np.zeros((1, 2))), [[7, 7, 7]])
