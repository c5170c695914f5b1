"""Filters: the picture is the raster of the weights, and says how many it shows."""

import numpy as np
import pytest

from narrows.errors import DataError, InvalidParameterError, ShapeMismatchError
from narrows.pictures import filters, tile_raster

WEIGHTS = np.random.default_rng(0).normal(size=(12, 5 * 4))


def drawn(figure):
    (axes,) = figure.axes
    return np.asarray(axes.images[0].get_array())


@pytest.mark.parametrize("spacing", [0, 1, 4])
def test_the_picture_is_the_raster(spacing):
    figure = filters(WEIGHTS, shape=(5, 4), tile=(3, 4), spacing=spacing)
    expected = tile_raster(WEIGHTS.reshape(12, 5, 4), tile=(3, 4), spacing=spacing, fill=1.0)
    np.testing.assert_array_equal(drawn(figure), expected)
    assert figure.texts[0].get_text() == "12 filters, each scaled to its own range"


def test_a_small_tile_shows_the_first_and_says_so():
    figure = filters(WEIGHTS, shape=(5, 4), tile=(2, 3))
    assert drawn(figure).shape == (2 * 6 - 1, 3 * 5 - 1)
    assert figure.texts[0].get_text().startswith("the first 6 of 12 filters")


def test_the_tile_is_nearly_square_by_default():
    assert drawn(filters(WEIGHTS, shape=(5, 4), spacing=0)).shape == (3 * 5, 4 * 4)
    assert drawn(filters(np.zeros((1000, 4)), shape=(2, 2), spacing=0)).shape == (40, 40)


def test_colour_filters_either_way_round():
    w = np.random.default_rng(0).normal(size=(4, 3, 6, 5))
    first = drawn(filters(w, shape=(3, 6, 5)))
    np.testing.assert_array_equal(first, drawn(filters(w.transpose(0, 2, 3, 1).reshape(4, -1), shape=(6, 5, 3))))
    assert first.shape == (13, 11, 3)


def test_weights_the_wrong_way_round_are_recognised():
    with pytest.raises(
        ShapeMismatchError, match=r"must have the shape \(n_filters, 20\). Got \(20, 12\). Pass them transposed"
    ):
        filters(WEIGHTS.T, shape=(5, 4))


def test_bad_settings_are_refused():
    with pytest.raises(InvalidParameterError, match=r"'spacing' of filters .* Got -1"):
        filters(WEIGHTS, shape=(5, 4), spacing=-1)
    with pytest.raises(InvalidParameterError, match=r"'tile' of filters .* Got 0"):
        filters(WEIGHTS, shape=(5, 4), tile=(0, 4))
    with pytest.raises(DataError, match="'shape' of filters"):
        filters(WEIGHTS, shape=(20,))
