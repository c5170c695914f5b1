"""Rows and reconstructions: what is drawn is the data, pixel for pixel, and the captions are the errors."""

import numpy as np
import pytest

from narrows.errors import (
    DataError,
    InvalidParameterError,
    NonFiniteDataError,
    ShapeMismatchError,
    UnknownNameError,
)
from narrows.pictures import reconstructions, rows


def texts(figure):
    return [text.get_text() for text in figure.texts]


def images_of(figure):
    """Return the images of a figure, from left to right and from top to bottom."""
    return [image for axes in figure.axes for image in axes.images]


def pixels_of(figure, image):
    """Return what is seen where an image lies, as bytes."""
    figure.canvas.draw()
    seen = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    box = image.get_window_extent()
    left, right = round(box.x0), round(box.x1)
    top, bottom = len(seen) - round(box.y1), len(seen) - round(box.y0)
    return seen[top:bottom, left:right]


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 256, (12, 8, 6), dtype=np.uint8)


def test_one_image_for_each_record_of_each_row(digits):
    figure = rows({"original": digits, "noisy": 255 - digits, "restored": digits // 2}, n=4)
    assert len(images_of(figure)) == 12
    assert texts(figure) == ["original", "noisy", "restored"]
    drawn = [image.get_array() for image in images_of(figure)]
    np.testing.assert_array_equal(np.stack(drawn[4:8]), 255 - digits[:4])


@pytest.mark.parametrize("n", [1, 3, 10, 12])
def test_every_pixel_becomes_a_square_of_whole_pixels(digits, n):
    figure = rows({"original": digits}, n=n)
    assert len(images_of(figure)) == n
    for i, image in enumerate(images_of(figure)):
        seen = pixels_of(figure, image)
        scale = len(seen) // 8
        assert seen.shape == (8 * scale, 6 * scale, 3)
        expected = np.kron(digits[i], np.ones((scale, scale), dtype=np.uint8))
        assert np.abs(seen[..., 0].astype(int) - expected).max() <= 1  # the colour map has 256 steps


@pytest.mark.parametrize("channels_first", [False, True])
def test_colours_are_drawn_as_they_are(channels_first):
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    figure = rows({"original": images.transpose(0, 3, 1, 2) if channels_first else images})
    seen = pixels_of(figure, images_of(figure)[1])
    scale = len(seen) // 5
    assert np.abs(seen[::scale, ::scale].astype(int) - images[1]).max() <= 1


def test_all_rows_share_the_black_and_white_of_the_first():
    x = np.linspace(0, 1, 16).reshape(1, 4, 4)
    figure = rows({"original": x, "noisy": 3 * x - 1})
    assert {image.get_clim() for image in images_of(figure)} == {(0.0, 1.0)}


def test_large_images_are_shrunk_to_fit():
    figure = rows({"original": np.zeros((3, 1000, 2000), dtype=np.uint8)})
    width, height = images_of(figure)[0].get_window_extent().size
    assert width <= 500
    assert width == pytest.approx(2 * height, abs=2)


def test_vectors_are_laid_over_one_another():
    x = np.random.default_rng(0).normal(size=(7, 40))
    figure = reconstructions(x, x + 1, n=6)
    assert len(figure.axes) == 6
    original, restored = figure.axes[4].lines
    np.testing.assert_array_equal(original.get_ydata(), x[4])
    np.testing.assert_array_equal(restored.get_ydata(), x[4] + 1)
    assert [text.get_text() for text in figure.legends[0].texts] == ["original", "restored"]
    assert texts(figure) == ["squared error 40.0"] * 6


def test_captions_are_squared_errors_with_bytes_counted_in_units_of_255():
    x = np.zeros((2, 2, 2), dtype=np.uint8)
    x_hat = np.array([[[255, 0], [0, 0]], [[51, 51], [0, 0]]], dtype=np.uint8)
    assert texts(reconstructions(x, x_hat))[2:] == ["squared error", "1.00", "0.0800"]


def test_captions_count_floats_as_they_are():
    x = np.zeros((1, 2, 2))
    assert "0.250" in texts(reconstructions(x, x + 0.25))


def test_captions_can_be_decibels():
    x = np.zeros((2, 2, 2))
    x_hat = np.stack([x[0] + 0.1, x[1]])
    assert texts(reconstructions(x, x_hat, error="psnr_db"))[2:] == ["PSNR, dB", "20.0", "∞"]


def test_captions_and_names_can_be_chosen(digits):
    assert texts(reconstructions(digits, digits, n=2, names=("in", "out"), error=None)) == ["in", "out"]
    assert texts(rows({"a": digits}, n=2, captions=["three", "four"], caption_label="class"))[1:] == [
        "class",
        "three",
        "four",
    ]


def test_nothing_is_cut_off_or_covered(digits):
    """Labels lie inside the picture, clear of the images, however long they are."""
    figure = reconstructions(digits, digits, names=("a label of quite some length, in $", "restored"))
    figure.canvas.draw()
    first = images_of(figure)[0].get_window_extent()
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
    assert figure.texts[0].get_window_extent().x1 < first.x0


def test_rows_of_different_shapes_are_refused_by_name(digits):
    with pytest.raises(ShapeMismatchError, match=r"must have the same shape. Got \(12, 8, 6\) and \(12, 6, 8\)"):
        reconstructions(digits, digits.transpose(0, 2, 1))


@pytest.mark.parametrize("shape", [(5,), (5, 6, 4, 2), (5, 4, 4, 3, 1), (0, 4, 4)])
def test_what_cannot_be_drawn_is_refused(shape):
    with pytest.raises(DataError, match="'original'"):
        rows({"original": np.zeros(shape)})


def test_text_and_nan_are_refused():
    with pytest.raises(DataError, match="'a' must hold real numbers"):
        rows({"a": np.array([["x"]])})
    with pytest.raises(NonFiniteDataError, match=r"'b' must be finite\. Got 1 of .* index \(0, 1\)"):
        rows({"a": np.zeros((1, 2)), "b": np.array([[0.0, np.inf]])})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: rows({"a": x}, n=0), "'n' of rows must be a whole number ≥ 1. Got 0"),
        (lambda x: rows({}), "at least one row"),
        (lambda x: rows({"a": x}, captions=["1"]), "one for each of the 10 records drawn. Got 1"),
        (lambda x: reconstructions(x, x, names=("a", "a")), "two different names"),
        (lambda x: reconstructions(x, x, n=-3), "Got -3"),
    ],
)
def test_impossible_settings_are_refused(digits, call, message):
    with pytest.raises(InvalidParameterError, match=message):
        call(digits)


def test_a_misspelt_error_is_suggested(digits):
    with pytest.raises(UnknownNameError, match="Did you mean 'psnr_db'"):
        reconstructions(digits, digits, error="psnr")
