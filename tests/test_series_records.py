"""Windows of series as records: sources, models and archives say what they are; nothing guesses it."""

import json

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError
from narrows.networks import Dense, Strided
from narrows.records import Series, schema_of


@pytest.fixture(scope="module")
def windows():
    """Return windows of a series with two channels, float32 (30, 20, 2)."""
    steps = np.arange(20)[:, None] / 3 + np.arange(30)[:, None, None]
    return np.concatenate([np.sin(steps), np.cos(steps)], axis=-1).astype(np.float32)


def fit(x, **params):
    return Autoencoder(2, training=Training(epochs=1), random_state=0, **params).fit(x)


@pytest.mark.parametrize(("shape", "steps", "channels"), [((140,), 140, 1), ((200, 16), 200, 16)])
def test_a_window_has_steps_and_perhaps_channels(shape, steps, channels):
    schema = schema_of("series", shape, np.dtype("float32"))
    assert isinstance(schema, Series)
    assert (schema.steps, schema.channels) == (steps, channels)


def test_windows_are_series_only_if_that_is_said(windows):
    assert fit(windows).record_ == "image"
    assert fit(windows, record="series").record_ == "series"
    assert fit(windows[..., 0], record="series").record_ == "series"


def test_a_source_says_that_its_records_are_windows_and_models_take_them_for_that(windows):
    source = narrows.data.open(windows, record="series")
    assert source.record == "series"
    assert source.limit(5).record == source.take([3, 1]).record == "series"
    assert repr(source).endswith("dtype=float32, record='series')")
    assert fit(source).record_ == "series"
    assert fit(source, record="vector").record_ == "vector"  # what the model says comes first
    assert fit(source).partial_fit(source).record_ == "series"


def test_what_records_cannot_be_is_refused_when_they_are_opened(windows):
    with pytest.raises(InvalidParameterError, match=r"record='series' for records of shape \(2, 3, 4\)"):
        narrows.data.open(np.zeros((5, 2, 3, 4)), record="series")
    with pytest.raises(InvalidParameterError, match=r"'record' of open must be one of .* Got 'serie'"):
        narrows.data.open(windows, record="serie")


def test_windows_get_no_network_for_images(windows):
    large = np.tile(windows, (1, 2, 16))
    assert isinstance(fit(large, bottleneck="rounded").chain_.parts.network, Strided)
    assert isinstance(fit(large, bottleneck="rounded", record="series").chain_.parts.network, Dense)
    with pytest.raises(InvalidParameterError, match="needs images, but record='series'"):
        fit(large, network="convolutional", record="series")


def test_model_files_and_archives_keep_what_records_are(windows, tmp_path):
    model = fit(windows, record="series")
    model.save(tmp_path / "m.safetensors")
    assert narrows.load(tmp_path / "m.safetensors").record_ == "series"
    for name, one in (("series", model), ("image", fit(windows))):
        narrows.compress(windows, tmp_path / name, model=one)
        with narrows.open_archive(tmp_path / name, model=one) as archive:
            assert archive.metadata.is_series == (name == "series")


def test_the_command_line_takes_records_for_windows(windows, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from narrows.cli import main

    monkeypatch.chdir(tmp_path)
    np.save("w.npy", windows)
    arguments = ["train", "w.npy", "--as", "series", "-o", "m.safetensors", "--epochs", "1", "--latent", "2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "windows of series, of 20 steps and 2 channels" in done.output
    info = CliRunner().invoke(main, ["info", "m.safetensors", "--json"])
    assert json.loads(info.stdout)["record"] == "series"
