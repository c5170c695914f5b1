"""Grids: every record where it belongs, pixel for pixel."""

import numpy as np
import pytest
from matplotlib import image

from narrows import pictures
from narrows.errors import DataError, InvalidParameterError


def raster(figure):
    """Return the figure as an array (height, width), grey in [0, 1]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., 0] / 255


def test_images_are_tiled_pixel_for_pixel(rng):
    x = rng.integers(0, 256, size=(6, 7, 5), dtype=np.uint8)
    figure = pictures.grid(x, columns=3, spacing=2)
    (drawn,) = figure.axes[0].get_images()
    assert drawn.get_array().shape == (2 * 7 + 2, 3 * 5 + 4)
    np.testing.assert_allclose(drawn.get_array()[9:16, 7:12], x[4] / 255)
    box = figure.axes[0].get_window_extent()
    scale = box.width / drawn.get_array().shape[1]
    assert scale == pytest.approx(round(scale))
    assert isinstance(drawn, image.AxesImage)
    middle = raster(figure)[figure.canvas.get_width_height()[1] // 2]
    assert middle.max() == 1, "white between"


def test_colour_and_channels_first_are_the_same(rng):
    x = rng.random((4, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(raster(pictures.grid(x)), raster(pictures.grid(np.moveaxis(x, 3, 1))))


def test_vectors_are_curves_on_one_scale(rng):
    figure = pictures.grid(np.stack([np.zeros(5), np.arange(5.0), np.arange(5.0) * 2]), columns=3)
    curves = [line.get_ydata() for line in figure.axes[0].lines[1::2]]
    assert np.ptp(curves[2]) == pytest.approx(2 * np.ptp(curves[1]))
    assert np.ptp(curves[0]) == 0


def test_labels_stand_beside_rows_and_columns(rng):
    figure = pictures.grid(rng.random((4, 3, 3)), columns=2, row_labels=["a", "b"], column_labels=["x", "y"])
    assert {text.get_text() for text in figure.texts} == {"a", "b", "x", "y"}


def test_large_grids_shrink(rng):
    figure = pictures.grid(rng.random((400, 72, 72)).astype(np.float32))
    assert max(figure.canvas.get_width_height()) < 1500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "'columns' of grid"),
        ({"spacing": -1}, "'spacing' of grid"),
        ({"columns": 2, "row_labels": ["a"]}, "'row_labels' of grid must be 2. Got 1."),
        ({"columns": 2, "column_labels": ["a"]}, "'column_labels' of grid must be 2. Got 1."),
    ],
)
def test_what_cannot_be_is_refused(options, message, rng):
    with pytest.raises(InvalidParameterError, match=message):
        pictures.grid(rng.random((4, 3, 3)), **options)
    with pytest.raises(DataError):
        pictures.grid(np.zeros((0, 3, 3)))
