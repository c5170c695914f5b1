"""Pictures and reports of a model, as a notebook makes them: from arrays or names, without the command line."""

import numpy as np
import pytest
from matplotlib.text import Text
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.corruptions import Gaussian
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.evaluation import drawing
from narrows.evaluation.metrics import psnr_db_of_sse
from narrows.evaluation.model_report import model_report
from narrows.networks import Convolutional, Dense


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:60]


@pytest.fixture(scope="module")
def model(x):
    return Autoencoder(
        3, network=Dense(widths=(8,)), corruption=Gaussian(scale=0.3), training=Training(epochs=1), random_state=0
    ).fit(x)


def n_images(figure):
    return sum(len(axes.images) for axes in figure.axes)


@pytest.mark.usefixtures("coarse_pictures")
def test_records_are_arrays_names_or_sources(model, x):
    for data in (x, narrows.data.open(x), "digits:test"):
        assert n_images(drawing.draw_reconstructions(model, data, n=2)) == 4
        assert n_images(drawing.draw_denoising(model, data, n=2)) == 6
    assert len(drawing.draw_map(model, x).axes) == 2
    assert "<h1>An autoencoder of array (60, 8, 8)" in model_report(model, x, n=2)


def test_qualities_are_drawn_with_the_sizes_and_psnr_of_archives(model, x, tmp_path):
    made = narrows.compress(x, tmp_path / "a.narrows", model=model)
    figure = drawing.draw_qualities(model, x, n=3)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert "64 bytes each, original" in texts
    assert f"{made.bytes_per_record:.1f} bytes each, {made.psnr_db:.1f} dB" in texts
    assert n_images(figure) == 3 * sum(text.endswith(("original", "dB")) for text in texts)


def test_the_random_state_draws_the_noise(model, x):
    from narrows.pictures.saving import png_bytes

    drawn = [png_bytes(drawing.draw_denoising(model, x, n=1, random_state=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_records_of_another_shape_are_refused(model):
    other = np.zeros((12, 5), np.uint8)
    for draw in (drawing.draw_reconstructions, drawing.draw_denoising, drawing.draw_map, model_report):
        with pytest.raises(ShapeMismatchError, match="trained on records of shape"):
            draw(model, other)


DRAWING = {
    "draw_reconstructions": drawing.draw_reconstructions,
    "draw_denoising": drawing.draw_denoising,
    "draw_denoised": lambda model, x: drawing.draw_denoised(model, x, x, x),
    "draw_grid": drawing.draw_grid,
    "draw_map": drawing.draw_map,
    "draw_qualities": drawing.draw_qualities,
    "model_report": model_report,
}
WITHOUT_DATA = {
    "draw_filters": lambda model, x: drawing.draw_filters(model),
    "draw_curves": lambda model, x: drawing.draw_curves(model),
    "first_layer_weights": lambda model, x: drawing.first_layer_weights(model),
}


@pytest.fixture(scope="module")
def classifier(x):
    return AutoencoderClassifier(Autoencoder(3), training=Training(epochs=1), random_state=0).fit(
        x, np.arange(len(x)) % 2
    )


@pytest.mark.parametrize("function", [*DRAWING, *WITHOUT_DATA])
def test_what_is_not_a_fitted_model_is_refused(function, x):
    call = {**DRAWING, **WITHOUT_DATA}[function]
    with pytest.raises(NotFittedError, match="Autoencoder instance is not fitted yet"):
        call(Autoencoder(3), x)
    with pytest.raises(
        InvalidParameterError, match=rf"'model' of {function} must be a fitted narrows.Autoencoder.*PCA"
    ):
        call(PCA(2), x)
    with pytest.raises(InvalidParameterError, match=r"Load the file of a model first: narrows.load\('m.safetensors'\)"):
        call("m.safetensors", x)


@pytest.mark.parametrize("function", DRAWING)
def test_a_classifier_and_records_of_another_model_are_refused(function, model, classifier, x):
    with pytest.raises(InvalidParameterError, match=r"must be a fitted narrows\.Autoencoder\. Got AutoencoderC"):
        DRAWING[function](classifier, x)
    with pytest.raises(InvalidParameterError, match=f"The model comes first and the data second: {function}"):
        DRAWING[function](x, model)
    with pytest.raises(ShapeMismatchError):
        DRAWING[function](model, x[:, :7])


def test_a_classifier_has_filters_and_curves(classifier):
    assert drawing.draw_filters(classifier).axes
    assert drawing.draw_curves(classifier).axes


@pytest.mark.usefixtures("coarse_pictures")
def test_a_model_without_corruption_has_no_picture_of_denoising_and_one_number_no_map(x):
    plain = Autoencoder(1, network=Dense(widths=(8,)), training=Training(epochs=1), random_state=0).fit(x)
    with pytest.raises(InvalidParameterError, match="trained without corruption"):
        drawing.draw_denoising(plain, x)
    with pytest.raises(InvalidParameterError, match="latent dimension of at least 2"):
        drawing.draw_map(plain, x)
    assert model_report(plain, x, n=2).count("data:image/png;base64,") == 3  # reconstructions, filters, curves


def test_the_weights_of_the_first_layer_are_those_of_records_alone(x):
    def fit(y=None, **params):
        return Autoencoder(2, training=Training(epochs=1), random_state=0, artefacts=(), **params).fit(x, y)

    dense = fit(np.arange(60) % 3, network=Dense(widths=(5,)), conditional=True)
    weights = drawing.first_layer_weights(dense)
    assert (weights.shape, weights.dtype) == ((5, 64), np.float64)
    assert drawing.first_layer_weights(fit(network=Convolutional(channels=(4,)))).shape[:2] == (4, 1)


@pytest.mark.usefixtures("coarse_pictures")
def test_a_report_names_file_and_command_if_they_are_given(model, x):
    page, bare = model_report(model, x, path="m.safetensors", command="narrows picture", n=2), model_report(model, x)
    for text in ("<dt>model</dt><dd>m.safetensors</dd>", "<code>narrows picture</code>"):
        assert text in page
        assert text not in bare
    assert "<dt>model</dt>" not in bare
    assert "Made by" not in bare


def test_the_psnr_of_another_method_follows_from_its_squared_error(model, x):
    metrics = narrows.evaluate(model, x)
    sse = metrics["sse_per_record"]
    assert psnr_db_of_sse(sse, metrics) == pytest.approx(metrics["psnr_db"])
    assert psnr_db_of_sse(2 * sse, metrics) == pytest.approx(metrics["psnr_db"] - 10 * np.log10(2))
    assert psnr_db_of_sse(0, metrics) is None
    assert psnr_db_of_sse(sse, {"psnr_db": None, "sse_per_record": sse}) is None


def test_nothing_that_draws_or_describes_needs_the_command_line(new_processes, tmp_path):
    modules = ("evaluation.drawing", "evaluation.model_report", "model.describe")
    script = f"""
import sys, importlib
for name in {modules}:
    importlib.import_module("narrows." + name)
sys.exit(", ".join(name for name in sys.modules if name == "click" or name.startswith("narrows.cli")) or 0)
"""
    done = new_processes.run(script, tmp_path)
    assert done.returncode == 0, done.stderr
