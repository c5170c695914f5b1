"""What is said of data that cannot be used as they are: what is wrong, where, and what to do."""

import numpy as np
import pandas
import pytest
from PIL import Image

import narrows
from narrows import Autoencoder, AutoencoderClassifier
from narrows.archive.layout_choice import layout_for
from narrows.data import Source
from narrows.errors import DataError, DataWarning, NonFiniteDataError, ShapeMismatchError
from narrows.training import Training


def quick(**options):
    return Autoencoder(1, training=Training(epochs=1), artefacts=(), random_state=0, **options)


def test_missing_values_of_a_data_frame_are_named_by_column(rng):
    frame = pandas.DataFrame(rng.normal(size=(30, 3)), columns=["size", "price", "age"])
    frame.loc[4, "price"] = np.nan
    with pytest.raises(NonFiniteDataError, match=r"in record 4 at \[1\], in the column 'price'\."):
        quick().fit(frame)


@pytest.mark.parametrize("records", [[[1, 2], [3]], ([1, 2], [3]), [[1, 2], 3], [[[1], [2]], [[1], [2], [3]]]])
def test_ragged_lists_are_refused_alike_at_every_door(records):
    for door in (quick().fit, narrows.data.open):
        with pytest.raises(DataError, match=r"all records must have the same shape.*record 0 has .* and record 1 has"):
            door(records)


@pytest.mark.parametrize("shape", [(0, 3), (0, 8, 8)])
def test_arrays_without_records_are_refused_alike_at_every_door(shape):
    for door in (quick().fit, narrows.data.open):
        with pytest.raises(DataError, match=r"The array must contain at least one record. Got the shape"):
            door(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["S1", object])
def test_labels_of_bytes_are_refused_with_what_to_do(dtype, rng):
    y = np.array([b"a", b"b"] * 20, dtype)
    with pytest.raises(DataError, match=r"Got bytes\. Decode them: numpy.char.decode"):
        AutoencoderClassifier().fit(rng.normal(size=(40, 3)), y)


@pytest.mark.parametrize(("n", "words"), [(1, r"only 1 training record\."), (2, r"only 2 training records\.")])
def test_so_few_records_that_nothing_can_be_learned_are_warned_of(n, words, rng):
    with pytest.warns(DataWarning, match=words):
        quick().fit(rng.normal(size=(n, 3)))


def test_records_of_another_shape_and_dtype_are_refused_with_both():
    class Codec:
        shape, dtype = (8, 8), np.dtype("uint8")

    source = Source(np.zeros((3, 5)))
    with pytest.raises(ShapeMismatchError, match=r"records of shape \(8, 8\)\. array has dtype float64, and .*5,"):
        layout_for(source, Codec, None)
    with pytest.raises(ShapeMismatchError, match=r"uint8 records\. array has dtype float64\. Convert"):
        layout_for(Source(np.zeros((3, 8, 8))), Codec, None)


def test_images_may_be_converted_in_either_spelling(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    for grey, colour in (("grey", "colour"), ("gray", "color")):
        assert narrows.data.open(tmp_path, convert=grey).shape == (8, 8)
        assert narrows.data.open(tmp_path, convert=colour).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(20, 30), (30, 20), (40, 60)], "would distort 1 of 3 images, since there are upright and wide images"),
        ([(20, 30), (20, 40)], "would distort 1 of 2 images, since there are images of other proportions"),
        ([(20, 30), (40, 60)], None),
    ],
)
def test_advice_to_resize_says_what_would_be_distorted(sizes, words, tmp_path):
    for i, size in enumerate(sizes):
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match="--resize 20x30") as caught:
        narrows.data.open(tmp_path)
    assert (words or "distort") in str(caught.value) or words is None
    assert words is not None or "distort" not in str(caught.value)
