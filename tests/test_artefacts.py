"""Once the weights are trained the model is whole: what is measured afterwards may fail, and can be measured later."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

import narrows
from narrows import Autoencoder, Training
from narrows.cli.evaluate import metric_lines
from narrows.codec import read_frozen
from narrows.errors import (
    DataError,
    InvalidParameterError,
    NotFreezableError,
    NotMeasuredError,
    UnknownNameError,
    UnmeasuredWarning,
)
from narrows.evaluation.denoising import compare_denoisers
from narrows.evaluation.drawing import draw_map
from narrows.evaluation.model_report import model_report
from narrows.lossless import CausalNetwork
from narrows.model.artefacts.archive_codec import ArchiveCodec
from narrows.model.artefacts.latent_density import LatentDensity
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.model.artefacts.search_metric import SearchMetric
from narrows.networks import Dense

MEASURES = {
    "pca": (PrincipalComponents, "fit"),
    "density": (LatentDensity, "codes_of"),
    "search": (SearchMetric, "sample_of"),
    "codec": (ArchiveCodec, "sample_of"),
}


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
    codec = model.model_.artefact(ArchiveCodec) if model.model_.has("codec") else None
    search = model.model_.artefact(SearchMetric) if model.model_.has("search") else None
    held = {"pca": model.pca_, "density": model.latent_density_, "search": search, "codec": codec}
    assert [other for other, value in held.items() if value is None] == [name]


def test_artefacts_that_are_not_asked_for_are_not_measured(x, whole, monkeypatch, tmp_path):
    for name in MEASURES:
        with monkeypatch.context() as patch:
            breaking(name, AssertionError("it is measured"), patch)
            model = new(artefacts=[other for other in MEASURES if other != name]).fit(x)
        assert model.unmeasured_ == {name: "It was not requested."}
    model = new(artefacts=()).fit(x)
    assert list(model.unmeasured_) == list(MEASURES)
    np.testing.assert_array_equal(model.reconstruct(x), whole.reconstruct(x))
    with pytest.raises(NotMeasuredError, match=r"no archive codec\. It was not requested\. .*model\.measure\(X\)"):
        model.codec_  # noqa: B018
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model").measure(x)
    assert again.codec_.digest == whole.codec_.digest
    assert again.artefacts == ()
    with pytest.raises(UnknownNameError, match=r"Unknown artefact: 'codecs'\. Did you mean 'codec'?"):
        new(artefacts="codecs").fit(x)
    for wrong in (None, 3, [3]):
        with pytest.raises(InvalidParameterError, match=r"'artefacts' of Autoencoder must be 'all' or a sequence of"):
            new(artefacts=wrong).fit(x)


def test_a_grid_search_does_not_pay_for_artefacts(x, monkeypatch):
    for name in MEASURES:
        breaking(name, AssertionError("it is measured"), monkeypatch)
    search = GridSearchCV(new(artefacts=()), {"n_latent": [2, 3]}, cv=2).fit(x.reshape(30, -1))
    assert search.best_estimator_.n_latent_ == search.best_params_["n_latent"]


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
    assert again.codec_.digest == whole.codec_.digest
    assert narrows.evaluate(again, x) == narrows.evaluate(whole, x)
    np.testing.assert_array_equal(again.sample(3, random_state=0), whole.sample(3, random_state=0))


def test_only_what_is_missing_is_measured_unless_all_is_asked_for(x, interrupted):
    model = interrupted("density")
    pca = model.pca_
    assert model.measure(x).pca_ is pca
    density = model.latent_density_
    assert model.measure(x, again=True).pca_ is not pca
    assert model.latent_density_ is not density


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
    causal = CausalNetwork(n_hidden=4, n_components=1, reach=1, epochs=1)
    model, whole = interrupted("codec", residual=causal), new(residual=causal).fit(x)
    assert whole.model_.residual is None
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model").measure(x)
    assert again.model_.residual is None
    assert again.codec_.digest == whole.codec_.digest
    again.save(tmp_path / "again")
    assert narrows.load(tmp_path / "again").measure(x, again=True).codec_.digest == whole.codec_.digest


def test_uses_say_what_is_missing_and_how_to_get_it(x, interrupted, tmp_path):
    model = interrupted("pca")
    for use, missing in (
        (lambda: model.codec_, "archive codec"),
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
    assert "this autoencoder" not in model_report(model, source, path="model", n=2)


def test_records_of_another_dtype_are_refused(x, interrupted):
    with pytest.raises(DataError, match=r"training records, uint8, or values that it holds exactly\. Got float64"):
        interrupted("pca").measure(x + 0.5)


def test_codes_too_large_for_a_density_are_named(x, monkeypatch):
    monkeypatch.setattr(LatentDensity, "codes_of", lambda *_: np.full((30, 3), 1e200))
    model = new().fit(x)
    with pytest.raises(NotMeasuredError, match="squares are not finite"):
        model.sample()
