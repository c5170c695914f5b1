"""Images are opened in the form of a model's records where that is exact, and otherwise refused with advice."""

import numpy as np
import pytest
from PIL import Image

import narrows
from narrows.data import Source
from narrows.data.for_model import advice, as_needed
from narrows.errors import ShapeMismatchError
from narrows.networks import Dense


def fitted(records):
    training = narrows.Training(epochs=1)
    return narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0).fit(records)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 6, 4, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def colour_model(pixels):
    return fitted(pixels)


@pytest.fixture(scope="module")
def grey_model(pixels):
    return fitted(pixels[..., 0])


@pytest.fixture
def folder(tmp_path, pixels):
    """Return a function that writes a folder of images and returns its path."""

    def write(values, name="photos"):
        narrows.data.write(tmp_path / name, values)
        return str(tmp_path / name)

    return write


def in_colour(values):
    return np.repeat(values[..., None], 3, -1)


@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 4, 1), (12, 8, 3)])
def test_grey_images_become_colour_exactly(shape, grey):
    source = as_needed(Source(grey, kind="images", files=tuple("abcde")), shape)
    np.testing.assert_array_equal(source.values, np.repeat(grey[..., None], shape[-1], -1))
    assert source.files == tuple("abcde")


@pytest.mark.parametrize("shape", [(6, 4), (3, 6, 4), (24,), (6, 4, 2)])
def test_other_records_stay_as_they_are(shape, grey):
    images = Source(grey, kind="images")
    assert as_needed(images, shape) is images
    array = Source(grey, kind="npy")
    assert as_needed(array, (6, 4, 3)) is array, "an array has the form that it has"


def test_a_colour_model_takes_a_folder_that_happens_to_be_grey(colour_model, folder, pixels):
    grey = pixels[:5, ..., 1]
    path, same = folder(grey), in_colour(grey)
    for use in (
        colour_model.transform,
        colour_model.reconstruct,
        colour_model.score,
        lambda data: list(narrows.evaluate(colour_model, data).values()),
    ):
        np.testing.assert_allclose(use(path), use(same), rtol=1e-6)


@pytest.mark.parametrize("how", [{}, {"lossless": True}, {"max_error": 2}])
def test_compress_takes_a_grey_folder_for_a_colour_model(colour_model, folder, pixels, tmp_path, how):
    grey = pixels[:5, ..., 1]
    for data, name in ((folder(grey), "a"), (in_colour(grey), "b")):
        narrows.compress(data, tmp_path / name, model=colour_model, **how)
    a, b = (narrows.restore(tmp_path / name, model=colour_model) for name in "ab")
    np.testing.assert_array_equal(a, b)
    if how.get("lossless"):
        np.testing.assert_array_equal(a, in_colour(grey))


def test_grey_images_that_are_larger_are_cut_into_tiles_of_a_colour_model(colour_model, folder, tmp_path):
    large = np.random.default_rng(1).integers(0, 256, (3, 13, 9), dtype=np.uint8)
    narrows.compress(folder(large), tmp_path / "a", model=colour_model, lossless=True)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "a", model=colour_model), in_colour(large))


def test_validation_images_that_are_grey_are_taken_for_colour(folder, pixels):
    training = narrows.Training(epochs=1)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0)
    model.fit(pixels, validation=folder(pixels[:5, ..., 0]))
    assert model.history_[-1]["validation_loss"] > 0


def test_pictures_show_a_grey_folder_by_a_colour_model(colour_model, folder, pixels):
    from narrows.evaluation import drawing

    path = folder(pixels[:5, ..., 1])
    assert drawing.draw_reconstructions(colour_model, path, n=3)
    assert drawing.draw_map(colour_model, path)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda x: x, '--convert grey (in Python: narrows.data.open(..., convert="grey")).'),
        (lambda x: x[:, :5, :3, 0], "--resize 6x4 (in Python: narrows.data.open(..., resize=(6, 4)))."),
        (lambda x: x[:, :5], '--convert grey --resize 6x4 (in Python: narrows.data.open(..., convert="grey", resize='),
    ],
)
def test_what_is_not_exact_is_refused_with_the_options_that_do_it(
    grey_model, folder, pixels, tmp_path, change, options
):
    path = folder(change(pixels))
    for use in (
        grey_model.transform,
        lambda data: narrows.evaluate(grey_model, data),
        lambda data: narrows.compress(data, tmp_path / "x.narrows", model=grey_model),
    ):
        with pytest.raises(ShapeMismatchError) as error:
            use(path)
        assert options in str(error.value)
    given = {"convert": "grey"} if "convert" in options else {}
    given |= {"resize": (6, 4)} if "resize" in options else {}
    assert len(grey_model.transform(narrows.data.open(path, **given))) == 20


def test_images_of_another_size_are_refused_by_a_colour_model_too(colour_model, folder, pixels):
    with pytest.raises(ShapeMismatchError, match=r"Got \(5, 4, 3\)\. .* --resize 6x4 "):
        colour_model.transform(folder(pixels[:, :5, :, 0]))


def test_images_of_16_bits_are_refused_with_the_option_that_rounds_them(grey_model, folder, pixels, tmp_path):
    path = folder(pixels[..., 0].astype(np.uint16) * 257)
    with pytest.raises(ShapeMismatchError, match=r"--bits 8 \(in Python: narrows\.data\.open\(\.\.\., bits=8\)\)"):
        narrows.compress(path, tmp_path / "x.narrows", model=grey_model)
    source = narrows.data.open(path, bits=8)
    narrows.compress(source, tmp_path / "x.narrows", model=grey_model, lossless=True)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "x.narrows", model=grey_model), pixels[..., 0])


def test_advice_is_for_image_files_alone(grey):
    assert advice(Source(grey, kind="npy"), (28, 28)) == ""
    assert advice(Source(grey, kind="images"), (24,)) == ""
    assert advice(Source(grey, kind="images"), (6, 4)) == ""
    assert advice(Source(grey, kind="images"), (5, 4), may_be_larger=True) == ""
    assert "--resize 7x4" in advice(Source(grey, kind="images"), (7, 4), may_be_larger=True)


def test_a_folder_of_colour_images_trains_a_grey_model_on_request(tmp_path, pixels):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    assert narrows.data.open(tmp_path, convert="grey").shape == (6, 4)
