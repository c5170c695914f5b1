"""tile_raster puts every pixel where its docstring says, compared with four plain loops."""

import numpy as np
import pytest

from narrows.errors import DataError, InvalidParameterError, NonFiniteDataError
from narrows.pictures import tile_raster


def tile_by_loops(images, tile, spacing, scale_each, fill):
    n, height, width = images.shape[:3]
    rows, columns = tile
    shape = (rows * (height + spacing) - spacing, columns * (width + spacing) - spacing, *images.shape[3:])
    raster = np.full(shape, fill, dtype=float)
    for i in range(n):
        image = images[i].astype(float)
        if scale_each:
            low, high = image.min(), image.max()
            image = (image - low) / (high - low) if high > low else np.full_like(image, 0.5)
        for y in range(height):
            for x in range(width):
                top, left = (i // columns) * (height + spacing), (i % columns) * (width + spacing)
                raster[top + y, left + x] = image[y, x]
    return raster


@pytest.mark.pairs
@pytest.mark.parametrize("colour", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize("scale_each", [True, False])
@pytest.mark.parametrize("spacing", [0, 1, 3])
@pytest.mark.parametrize(("n", "tile"), [(6, (2, 3)), (5, (2, 3)), (1, (1, 1)), (2, (4, 1)), (3, (1, 5))])
def test_equals_plain_loops(n, tile, spacing, scale_each, colour):
    images = np.random.default_rng(0).normal(size=(n, 4, 5, *colour))
    images[0] = 7.0  # a filter of one value
    got = tile_raster(images, tile=tile, spacing=spacing, scale_each=scale_each, fill=-2.0)
    np.testing.assert_array_equal(got, tile_by_loops(images, tile, spacing, scale_each, -2.0))


def test_channels_first_is_the_same_picture():
    images = np.random.default_rng(0).random((4, 6, 5, 3))
    np.testing.assert_array_equal(
        tile_raster(images.transpose(0, 3, 1, 2), tile=(2, 2)), tile_raster(images, tile=(2, 2))
    )


def test_bytes_are_scaled_without_wrapping_around():
    images = np.array([[[10, 250]], [[0, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(tile_raster(images, tile=(1, 2), spacing=0), [[0, 1, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": (2, 2)}, "must hold all 5 images. Got 2 × 2 = 4 cells"),
        ({"tile": (0, 5)}, r"'tile \(rows\)' of tile_raster must be a whole number ≥ 1. Got 0"),
        ({"tile": (5, 2.5)}, r"'tile \(columns\)'"),
        ({"tile": 5}, "two numbers, rows and columns"),
        ({"tile": (5, 1), "spacing": -1}, "'spacing' of tile_raster must be a whole number ≥ 0. Got -1"),
    ],
)
def test_impossible_grids_are_refused(arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        tile_raster(np.zeros((5, 2, 2)), **arguments)


@pytest.mark.parametrize("shape", [(4,), (4, 9), (4, 5, 3, 2), (4, 3, 3, 4), (0, 3, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="shape"):
        tile_raster(np.zeros(shape), tile=(2, 2))


def test_nan_is_refused_and_located():
    images = np.zeros((2, 3, 3))
    images[1, 0, 2] = np.nan
    with pytest.raises(NonFiniteDataError, match=r"index \(1, 0, 2\)"):
        tile_raster(images, tile=(1, 2))
