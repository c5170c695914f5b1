"""What a record is taken for: an image by its shape, unless somebody says otherwise."""

import json

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError
from narrows.evaluation import drawing
from narrows.evaluation.denoising import compare_denoisers
from narrows.networks import Convolutional, Dense, Strided
from narrows.preprocessing import MeanRemoval, Standardise


@pytest.fixture(scope="module")
def windows():
    """Return windows of a series with two channels that look like grey images, uint8 (12, 40, 16)."""
    return np.random.default_rng(0).integers(0, 256, (12, 40, 16), dtype=np.uint8)


def fit(x, **params):
    return Autoencoder(2, training=Training(epochs=1), random_state=0, **params).fit(x)


def test_by_shape_windows_are_images_unless_they_are_said_to_be_vectors(windows):
    by_shape, image, vector = (fit(windows, bottleneck="rounded", record=one) for one in ("auto", "image", "vector"))
    assert (by_shape.record_, image.record_, vector.record_) == ("image", "image", "vector")
    assert isinstance(by_shape.chain_.parts.network, Strided)
    assert image.chain_.parts == by_shape.chain_.parts
    assert isinstance(vector.chain_.parts.network, Dense)
    assert vector.chain_.parts.preprocessing == (MeanRemoval(), Standardise(per_value=False))
    assert vector.reconstruct(windows).shape == windows.shape


def test_a_vector_has_a_scale_for_each_of_its_values(windows):
    assert fit(windows / 3).chain_.parts.preprocessing == (Standardise(per_value=False),)
    own_units = windows * np.geomspace(1, 1e6, windows[0].size).reshape(windows[0].shape)
    assert fit(own_units, record="vector").chain_.parts.preprocessing == (Standardise(),)
    assert fit(own_units).chain_.parts.preprocessing == (Standardise(per_value=False),)


@pytest.mark.parametrize("network", [Convolutional(channels=(2,)), Strided(channels=(2,)), "convolutional"])
def test_a_network_for_images_is_refused_for_vectors(network, windows):
    with pytest.raises(InvalidParameterError, match=r"needs images, but record='vector'\. Set network='dense'"):
        fit(windows, network=network, record="vector")


def test_what_a_record_cannot_be_is_refused(windows):
    with pytest.raises(InvalidParameterError, match=r"record='image' for records of shape \(40,\)"):
        fit(windows[:, :, 0], record="image")
    with pytest.raises(InvalidParameterError, match=r"record='series' for records of shape \(40, 4, 4\)"):
        fit(windows.reshape(12, 40, 4, 4), record="series")
    with pytest.raises(InvalidParameterError, match=r"'record' of Autoencoder must be one of .* Got 'table'"):
        fit(windows, record="table")


def test_a_classifier_takes_records_for_what_its_autoencoder_does(windows):
    autoencoder = Autoencoder(2, bottleneck="rounded", record="vector", training=Training(epochs=1))
    model = AutoencoderClassifier(autoencoder, training=Training(epochs=1), random_state=0)
    model.fit(windows, np.arange(12) % 2)
    assert model.record_ == "vector"
    assert isinstance(model.chain_.parts.network, Dense)


def test_a_file_keeps_it_and_older_files_are_taken_by_shape(windows, tmp_path):
    model = fit(windows, record="vector")
    model.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").record_ == "vector"

    from narrows.model.file import _digest, _read

    header, tensors = _read(tmp_path / "model")
    del header["record"], header["params"]["record"]
    header["sha256"] = _digest(header, tensors)
    save_file(load_file(tmp_path / "model"), tmp_path / "old", {"narrows": json.dumps(header)})
    with safetensors.safe_open(tmp_path / "old", "np") as file:
        assert "record" not in json.loads(file.metadata()["narrows"])
    assert narrows.load(tmp_path / "old").record_ == "image"


def test_vectors_are_drawn_as_curves_and_not_filtered_as_images(windows):
    def n_images(figure):
        return sum(len(axes.images) for axes in figure.axes)

    image, vector = fit(windows), fit(windows, record="vector")
    source = narrows.data.open(windows)
    assert n_images(drawing.draw_reconstructions(image, source, n=2)) > 0
    assert n_images(drawing.draw_reconstructions(vector, source, n=2)) == 0
    assert n_images(drawing.draw_filters(vector)) == 0
    assert compare_denoisers(vector, windows, 0.1)["methods"]["non-local means"]["missing"] == "images only"
