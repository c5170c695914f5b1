"""Codes as whole numbers, and the records that they decode to."""

import numpy as np
import pytest

from narrows import Autoencoder, Training
from narrows.bottlenecks import VectorQuantised
from narrows.errors import DataError, InvalidParameterError, NotMeasuredError, ShapeMismatchError
from narrows.networks import Convolutional


def fit(x, y=None, **params):
    quick = {"n_latent": 4, "artefacts": (), "training": Training(epochs=2), "random_state": 0}
    return Autoencoder(**{**quick, **params}).fit(x, y)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_indices_of_codewords_decode_to_the_reconstruction(dtype, images):
    x = (images / 255).astype(dtype) if dtype != np.uint8 else images
    model = fit(x, bottleneck=VectorQuantised(n_codes=16))
    indices = model.quantise(x)
    assert (indices.shape, indices.dtype) == ((40, model.chain_.bottleneck.n_symbols), np.int32)
    restored = model.decode_indices(indices)
    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored, model.reconstruct(x))
    floats = model.decode_indices(indices.astype(np.uint8), dtype=float)
    np.testing.assert_array_equal(floats, model.reconstruct(x, dtype=float))


def test_maps_of_indices_decode_in_their_own_shape_or_flat(images):
    vq = VectorQuantised(n_codes=8)
    model = fit(images, n_latent=None, network=Convolutional(channels=(8, 4), code_channels=4), bottleneck=vq)
    indices = model.quantise(images)
    maps = indices.reshape(40, *model.chain_.bottleneck.symbols_shape)
    assert maps.ndim >= 3
    np.testing.assert_array_equal(model.decode_indices(maps), model.decode_indices(indices))
    np.testing.assert_array_equal(model.decode_indices(indices), model.reconstruct(images))


def test_indices_of_conditional_models_decode_with_labels(images):
    y = np.arange(40) % 2
    model = fit(images, y, bottleneck="vector-quantised", conditional=True)
    indices = model.quantise(images, y=y)
    np.testing.assert_array_equal(model.decode_indices(indices, y), model.reconstruct(images, y))
    with pytest.raises(DataError, match="no labels"):
        model.decode_indices(indices)


@pytest.mark.parametrize("bottleneck", ["plain", "gaussian", "rounded"])
def test_symbols_of_other_models_decode_to_what_their_archives_restore(bottleneck, images):
    model = fit(images, bottleneck=bottleneck, artefacts=("codec",))
    for quality in (None, 0, -1):
        symbols = model.quantise(images, quality)
        restored = model.decode_indices(symbols, quality=quality).astype(int)
        expected = model.codec_.decode(symbols, model.codec_.default if quality is None else quality)
        assert np.abs(restored - expected).max() <= 1, "the integer decoder rounds"


def test_symbols_without_a_codebook_need_the_archive_codec(images):
    with pytest.raises(NotMeasuredError):
        fit(images).decode_indices(np.zeros((2, 4), int))
    with pytest.raises(InvalidParameterError, match="'quality'"):
        fit(images, artefacts=("codec",)).decode_indices(np.zeros((2, 4), int), quality=99)


def test_other_indices_are_refused(images):
    model = fit(images, bottleneck=VectorQuantised(n_codes=16))
    indices = model.quantise(images)
    n = indices.shape[1]
    for wrong in (indices[0], indices[:, :-1], indices[:, :, None].repeat(2, 2)):
        with pytest.raises(ShapeMismatchError, match=rf"\(n, {n}\). Got"):
            model.decode_indices(wrong)
    with pytest.raises(DataError, match=r"whole numbers.* Got the dtype float64"):
        model.decode_indices(indices / 1)
    with pytest.raises(DataError, match=r"from 0 to 15, since the model has 16 codewords\. Got 0 to 16"):
        model.decode_indices(np.arange(17)[:, None].repeat(n, 1))
    with pytest.raises(DataError, match="at least one"):
        model.decode_indices(indices[:0])


def test_a_quality_that_does_not_exist_is_refused_by_the_name_of_the_method(images):
    model = fit(images, artefacts=["codec"])
    indices = model.quantise(images)
    with pytest.raises(InvalidParameterError, match="The 'quality' of quantise must be from 0 to"):
        model.quantise(images, quality=99)
    with pytest.raises(InvalidParameterError, match="The 'quality' of decode_indices must be from 0 to"):
        model.decode_indices(indices, quality=99)
