"""Models of windows: they take whole series, and give whole series back."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import narrows
from narrows import Autoencoder, Training
from narrows.cli import main
from narrows.errors import ShapeMismatchError
from narrows.evaluation import drawing

STEPS = np.arange(900)
SERIES = np.stack([np.sin(STEPS / 5), np.cos(STEPS / 5)], axis=1).astype(np.float32)


def fit(x, **options):
    how = {"training": Training(epochs=2), "artefacts": ("pca",), "random_state": 0} | options
    return Autoencoder(4, **how).fit(x)


@pytest.fixture(scope="module")
def model():
    return fit(narrows.data.open(SERIES, window=32, stride=8))


@pytest.fixture(scope="module")
def line_model():
    return fit(narrows.data.open((100 * SERIES[:, 0]).astype(np.int16), window=32), artefacts=("density",))


def test_a_source_of_windows_makes_a_model_of_series(model):
    assert model.record_ == "series"
    assert model.shape_ == (32, 2)


@pytest.mark.parametrize("as_source", [True, False])
def test_reconstructions_of_a_series_are_a_series(model, as_source):
    given = narrows.data.open(SERIES[:501], window="auto") if as_source else SERIES[:501]
    restored = model.reconstruct(given)
    assert (restored.shape, restored.dtype) == ((501, 2), np.float32)
    windows = model.reconstruct(SERIES[:480].reshape(15, 32, 2))
    np.testing.assert_allclose(restored[:469], windows.reshape(480, 2)[:469], atol=1e-6)


def test_overlapping_windows_are_averaged(model):
    overlapping = model.reconstruct(narrows.data.open(SERIES, window=32, stride=4))
    alone = model.reconstruct(SERIES)
    assert overlapping.shape == SERIES.shape
    assert np.square(overlapping - SERIES).mean() < np.square(alone - SERIES).mean()


def test_a_series_of_one_channel_keeps_its_dtype(line_model):
    x = (100 * SERIES[:, 0]).astype(np.int16)
    assert line_model.reconstruct(x).dtype == np.int16
    assert line_model.reconstruct(x).shape == x.shape
    assert line_model.sample(3, random_state=0).dtype == np.int16


def test_codes_belong_to_windows_side_by_side(model):
    assert model.transform(SERIES).shape == (29, 4)
    assert model.transform(narrows.data.open(SERIES, window=32, stride=16)).shape == (56, 4)


def test_another_window_than_that_of_the_model_is_refused(model):
    with pytest.raises(ShapeMismatchError, match=r"Cut the series into windows of 32 steps, with --window 32"):
        model.transform(narrows.data.open(SERIES, window=16))
    with pytest.raises(ValueError, match="900 features"):
        model.transform(SERIES[None, :, 0])


def test_measures_and_pictures_are_those_of_windows(model):
    source = narrows.data.open(SERIES, window="auto")
    assert narrows.evaluate(model, source)["mse"] == pytest.approx(narrows.evaluate(model, SERIES)["mse"])

    def n_images(figure):
        return sum(len(axes.images) for axes in figure.axes)

    figure = drawing.draw_reconstructions(model, source, n=40)
    assert n_images(figure) == 0
    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes] == [900, 900]  # a panel for each channel
    assert n_images(drawing.draw_filters(model)) == 0
    assert n_images(drawing.draw_grid(model, model.reconstruct(SERIES[None, :32]))) == 0


def test_missing_values_are_left_out_and_filled(tmp_path):
    gaps = SERIES.copy()
    gaps[100:120, 0] = np.nan
    model = fit(narrows.data.open(gaps, window=32, stride=8), fill_value=np.nan)
    restored = model.reconstruct(gaps)
    assert np.isfinite(restored).all()


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done

    return run


def test_the_command_line_takes_a_csv_file_there_and_back(invoke):
    pytest.importorskip("pyarrow")
    rows = [f"2024-01-01T{i // 60:02d}:{i % 60:02d},{x:.3f},{i % 3}\n" for i, x in enumerate(SERIES[:600, 0].tolist())]
    with open("s.csv", "w") as file:
        file.write("when,wave,step\n" + "".join(rows))
    done = invoke("train", "s.csv", "--epochs", 1, "--latent", 2, "-o", "m.safetensors")
    assert "s.csv is a series of 600 steps, read as windows of" in done.stderr
    window = json.loads(invoke("info", "m.safetensors", "--json").stdout)["shape"][0]
    assert window % 3 == 0 or window >= 32
    invoke("reconstruct", "s.csv", "-m", "m.safetensors", "-o", "r.csv")
    with open("r.csv") as file:
        lines = file.read().splitlines()
    assert lines[0] == "when,wave,step"
    assert len(lines) == 601
    assert lines[1].startswith("2024-01-01T00:00,")
    invoke("evaluate", "s.csv", "-m", "m.safetensors")
    invoke("picture", "s.csv", "-m", "m.safetensors", "-o", "p.png", "--kind", "reconstructions")
    invoke("generate", "-m", "m.safetensors", "-n", 3, "-o", "g.npy")


def test_a_npy_file_of_channels_needs_no_window_once_there_is_a_model(invoke):
    np.save("s.npy", SERIES)
    invoke("train", "s.npy", "--window", 32, "--epochs", 1, "--latent", 2, "-o", "m.safetensors", "-q")
    invoke("reconstruct", "s.npy", "-m", "m.safetensors", "-o", "r.npy")
    assert np.load("r.npy").shape == SERIES.shape
