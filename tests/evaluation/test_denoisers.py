"""The alternatives to a denoising autoencoder: each does what its name says, and each is shown at its best."""

import sys

import numpy as np
import pytest
from scipy import ndimage
from sklearn.decomposition import PCA

from narrows.errors import DataError, MissingPackageError
from narrows.evaluation.denoisers import median_filter, non_local_means, pca
from narrows.model.artefacts.pca import PrincipalComponents


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(7,), (6, 5), (2, 3, 4, 5)])
def test_the_median_filter_is_scipys_on_each_record(shape, size, rng):
    x = rng.random((4, *shape))
    each = np.stack([ndimage.median_filter(record, size=size) for record in x])
    np.testing.assert_array_equal(median_filter(x, size), each)


def test_the_median_filter_keeps_channels_apart_wherever_they_stand(rng):
    x = rng.random((4, 6, 5, 3))
    each = np.stack([median_filter(x[..., channel]) for channel in range(3)], axis=-1)
    np.testing.assert_array_equal(median_filter(x), each)
    first = np.ascontiguousarray(rng.random((4, 3, 9, 8)))
    each = np.stack([median_filter(first[:, channel]) for channel in range(3)], axis=1)
    np.testing.assert_array_equal(median_filter(first), each)


def test_the_median_filter_takes_away_what_stands_alone():
    x = np.full((1, 9, 9), 7, np.uint8)
    x[0, 4, 4] = 255
    assert (median_filter(x) == 7).all()


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3), (3, 9, 8), (4, 1), (1, 1)])
def test_non_local_means_keeps_shapes_and_takes_noise_away(shape, rng):
    pytest.importorskip("skimage")
    noisy = 0.5 + 0.1 * rng.standard_normal((3, *shape))
    restored = non_local_means(noisy, h=0.1, sigma=0.1)
    assert restored.shape == noisy.shape
    if min(shape) > 1:
        assert np.square(restored - 0.5).mean() < 0.5 * np.square(noisy - 0.5).mean()


def test_non_local_means_is_that_of_scikit_image(rng):
    restoration = pytest.importorskip("skimage.restoration")
    x = rng.random((2, 12, 11))
    expected = [
        restoration.denoise_nl_means(image, h=0.2, sigma=0.1, patch_size=3, patch_distance=4, fast_mode=True)
        for image in x
    ]
    got = non_local_means(x, h=0.2, sigma=0.1, patch_size=3, patch_distance=4)
    np.testing.assert_array_equal(got, np.stack(expected))


def test_non_local_means_leaves_images_alone_where_there_is_no_noise(rng):
    pytest.importorskip("skimage")
    x = rng.random((2, 6, 6))
    np.testing.assert_array_equal(non_local_means(x, h=0, sigma=0), x)


def test_non_local_means_needs_images():
    with pytest.raises(DataError, match="needs images"):
        non_local_means(np.zeros((3, 5)), h=0.1, sigma=0.1)


def test_without_scikit_image_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(MissingPackageError, match="pip install scikit-image"):
        non_local_means(np.zeros((1, 5, 5)), h=0.1, sigma=0.1)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_pca_projects_onto_the_first_components(k, rng):
    train, x = rng.normal(size=(50, 2, 3)), rng.normal(size=(4, 2, 3))
    fitted = PCA(k).fit(train.reshape(50, 6))
    expected = fitted.inverse_transform(fitted.transform(x.reshape(4, 6))).reshape(4, 2, 3)
    np.testing.assert_allclose(pca(x, PrincipalComponents.fit(train, 6, seed=0), k), expected, atol=1e-4)


def test_pca_keeps_the_units_of_the_columns(rng):
    scale = 10.0 ** np.arange(-3, 3)
    train, x = rng.normal(size=(50, 6)), rng.normal(size=(4, 6))
    expected = pca(x, PrincipalComponents.fit(train, 6, seed=0), 3)
    fitted = PrincipalComponents.fit(train * scale, 6, seed=0, scale=scale)
    np.testing.assert_allclose(pca(x * scale, fitted, 3) / scale, expected, atol=1e-4)
    in_thousands = pca(x * scale / 1000, fitted.in_units(1000), 3)
    np.testing.assert_allclose(1000 * in_thousands / scale, expected, atol=1e-4)
