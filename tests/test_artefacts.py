"""Once the weights are trained the model is whole: what is measured afterwards may fail, and can be measured later."""

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.cli.drawing import draw_map
from narrows.cli.evaluate import metric_lines
from narrows.cli.page import build_page
from narrows.codec import read_frozen
from narrows.density import CodeDensity
from narrows.errors import DataError, NotFreezableError, NotMeasuredError, UnmeasuredWarning
from narrows.evaluation.denoising import compare_denoisers
from narrows.integer_half import IntegerHalf
from narrows.networks import Dense
from narrows.pca import PrincipalComponents
from narrows.residuals import Causal

MEASURES = {"pca": (PrincipalComponents, "fit"), "density": (CodeDensity, "of"), "codec": (IntegerHalf, "freeze")}


def breaking(name, error, patch):
    def fail(*_, **__):
        raise error

    patch.setattr(*MEASURES[name], fail)


def new(**changes):
    network = Dense(widths=(8,))
    return Autoencoder(3, network=network, training=Training(epochs=1), random_state=0, **changes)


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:30]


@pytest.fixture(scope="module")
def whole(x):
    """Return a model of which all is measured."""
    return new().fit(x)


@pytest.fixture
def interrupted(x, monkeypatch):
    """Return what makes a model whose measuring Ctrl-C ended at one of the artefacts."""

    def fit(name, **changes):
        model = new(**changes)
        with monkeypatch.context() as patch:
            breaking(name, KeyboardInterrupt(), patch)
            with pytest.raises(KeyboardInterrupt):
                model.fit(x)
        return model

    return fit


@pytest.mark.parametrize("name", MEASURES)
def test_an_error_while_measuring_leaves_a_whole_model_without_that(name, x, whole, monkeypatch):
    model = new()
    breaking(name, RuntimeError("no luck"), monkeypatch)
    with pytest.warns(UnmeasuredWarning, match=r"could not be measured\. RuntimeError: no luck\. .*measure\(X\)"):
        model.fit(x)
    assert model.unmeasured_ == {name: "RuntimeError: no luck"}
    np.testing.assert_array_equal(model.transform(x), whole.transform(x))
    np.testing.assert_array_equal(model.reconstruct(x), whole.reconstruct(x))
    assert model.history_[-1]["loss"] == whole.history_[-1]["loss"]
    held = {"pca": model.pca_, "density": model.density_, "codec": model.integer_half_}
    assert [other for other, value in held.items() if value is None] == [name]


@pytest.mark.parametrize("name", MEASURES)
def test_ctrl_c_while_measuring_interrupts_and_leaves_a_whole_model(name, x, interrupted, tmp_path):
    model = interrupted(name)
    assert name in model.unmeasured_
    assert "interrupted" in model.unmeasured_[name]
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert again.unmeasured_ == model.unmeasured_
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    assert again.score(x) == model.score(x)
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize("name", MEASURES)
def test_measured_later_the_model_is_that_of_an_uninterrupted_fit(name, x, whole, interrupted, tmp_path):
    model = interrupted(name)
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model").measure(x)
    assert again.unmeasured_ == {}
    assert again.frozen_.digest == whole.frozen_.digest
    assert narrows.evaluate(again, x) == narrows.evaluate(whole, x)
    np.testing.assert_array_equal(again.sample(3, random_state=0), whole.sample(3, random_state=0))


def test_only_what_is_missing_is_measured_unless_all_is_asked_for(x, interrupted):
    model = interrupted("density")
    pca = model.pca_
    assert model.measure(x).pca_ is pca
    density = model.density_
    assert model.measure(x, again=True).pca_ is not pca
    assert model.density_ is not density


def test_what_cannot_be_measured_again_stays_as_it_was(x, monkeypatch):
    model = new().fit(x)
    pca = model.pca_
    breaking("pca", RuntimeError("no luck"), monkeypatch)
    with pytest.warns(UnmeasuredWarning, match="PCA could not be measured"):
        model.measure(x, again=True)
    assert model.pca_ is pca
    assert model.unmeasured_ == {}


def test_conditional_models_are_measured_with_labels(x, monkeypatch):
    y = np.arange(30) % 3
    whole, model = new(conditional=True).fit(x, y), new(conditional=True)
    with monkeypatch.context() as patch:
        breaking("density", KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y)
    model.measure(x, y)
    np.testing.assert_array_equal(model.sample(3, random_state=0), whole.sample(3, random_state=0))


def test_a_trained_network_of_residuals_is_kept_until_the_codec_has_it(x, interrupted, tmp_path):
    causal = Causal(n_hidden=4, n_components=1, reach=1, epochs=1)
    model, whole = interrupted("codec", residual=causal), new(residual=causal).fit(x)
    assert whole.residual_ is None
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model").measure(x)
    assert again.residual_ is None
    assert again.frozen_.digest == whole.frozen_.digest
    again.save(tmp_path / "again")
    assert narrows.load(tmp_path / "again").measure(x, again=True).frozen_.digest == whole.frozen_.digest


def test_uses_say_what_is_missing_and_how_to_get_it(x, interrupted, tmp_path):
    model = interrupted("pca")
    for use, missing in (
        (lambda: model.frozen_, "archive codec"),
        (lambda: model.quantise(x), "archive codec"),
        (lambda: narrows.compress(x, tmp_path / "x.narrows", model=model), "archive codec"),
        (model.sample, "density of codes"),
    ):
        with pytest.raises(NotMeasuredError, match=rf"no {missing}\. .*interrupted.*\. .*model\.measure\(X\)"):
            use()
    model.save(tmp_path / "model")
    with pytest.raises(NotFreezableError, match=r"no archive codec\. .*model\.measure\(X\)"):
        read_frozen(tmp_path / "model")


@pytest.mark.usefixtures("few_settings")
def test_what_compares_with_pca_goes_without(x, whole, interrupted):
    model = interrupted("pca")
    metrics = narrows.evaluate(model, x)
    assert metrics["pca_sse_per_record"] is None
    assert metrics["sse_per_record"] == pytest.approx(narrows.evaluate(whole, x)["sse_per_record"])
    assert any("The model has no PCA" in line for line in metric_lines(metrics, model))
    methods = compare_denoisers(model, x, 0.3)["methods"]
    assert "model.measure(X)" in methods["PCA"]["missing"]
    assert methods["narrows"]["mse"] > 0
    source = narrows.data.open(x)
    assert len(draw_map(model, source).axes) == 1
    assert "this autoencoder" not in build_page(model, source, path="model", arguments=[], n=2)


def test_records_of_another_dtype_are_refused(x, interrupted):
    with pytest.raises(DataError, match=r"records of uint8\. Got float64"):
        interrupted("pca").measure(x.astype(float))


def test_codes_too_large_for_a_density_are_named(x, monkeypatch):
    monkeypatch.setattr(CodeDensity, "of", lambda *_: None)
    model = new().fit(x)
    with pytest.raises(NotMeasuredError, match="squares of its codes are not finite"):
        model.sample()
