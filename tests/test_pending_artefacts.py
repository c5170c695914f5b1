"""The density of codes and the archive codec are measured when they are first needed: `fit` only prepares them."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.errors import NotFreezableError, NotMeasuredError, OutputExistsError, StaleWarning, UnmeasuredWarning
from narrows.lossless import CausalNetwork
from narrows.model.artefacts import ArchiveCodec, LatentDensity, SearchMetric, TrainingRecords
from narrows.model.artefacts.measuring import measure
from narrows.networks import Dense
from narrows.training import Records

LATER = {
    "density": (LatentDensity, "_fit"),
    "search": (SearchMetric, "_measured"),
    "codec": (ArchiveCodec, "_frozen"),
}
"""What measures them at first use."""
WITHIN = {
    "density": "narrows.model.artefacts.latent_density._mixture",
    "search": "narrows.model.artefacts.search_metric._share",
    "codec": "narrows.codec.freezing.calibration.freeze",
}
USES = {
    "density": lambda model: model.sample(random_state=0),
    "search": lambda model: model.model_.current(SearchMetric),
    "codec": lambda model: model.codec_,
}


def new(**changes):
    return Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=1), random_state=0, **changes)


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:30]


@pytest.fixture
def failing(monkeypatch):
    """Return what makes the later measurement of an artefact fail."""

    def fail(name, error):
        def raise_it(*_, **__):
            raise error

        monkeypatch.setattr(*LATER[name], raise_it)

    return fail


@pytest.mark.parametrize("name", LATER)
def test_fit_and_restoring_do_not_measure_what_only_other_uses_need(name, x, failing):
    failing(name, AssertionError("it is measured"))
    model = new().fit(x)
    model.reconstruct(x)
    model.score(x)
    assert narrows.evaluate(model, x)["mse"] > 0
    assert model.unmeasured_ == {}


@pytest.mark.parametrize("name", LATER)
def test_it_is_measured_once(name, x, monkeypatch):
    kind, method = LATER[name]
    calls, before = [], getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda *args: calls.append(name) or before(*args))
    model = new().fit(x)
    assert calls == []
    for _ in range(2):
        USES[name](model)
    assert calls == [name]
    model.measure()
    assert calls == [name]


def test_measured_later_artefacts_and_files_are_those_measured_at_once(x, tmp_path):
    later, at_once = new().fit(x), new(artefacts=()).fit(x)
    records = Records(x, at_once.chain_.device)
    for at_once.model_ in measure(  # noqa: B020
        at_once.model_, TrainingRecords(x, None, records, records), ["pca", "density", "search", "codec"], at_once=True
    ):
        pass
    assert list(at_once.model_.artefacts) == ["pca", "density", "search", "codec"]
    assert list(later.model_.pending) == ["density", "search", "codec"]
    np.testing.assert_array_equal(later.sample(4, random_state=0), at_once.sample(4, random_state=0))
    assert later.codec_.digest == at_once.codec_.digest
    fresh = new().fit(x)
    fresh.model_ = _without_seconds(fresh.model_)
    at_once.model_ = _without_seconds(at_once.model_)
    at_once.model_.parameters["artefacts"] = "all"
    for model, file in ((fresh, "later"), (at_once, "at-once")):
        model.save(tmp_path / file)
    assert (tmp_path / "later").read_bytes() == (tmp_path / "at-once").read_bytes()


def _without_seconds(model):
    for row in model.history:
        row.update(seconds=1.0, records_per_second=1.0, threads=1)
    return replace(model, took=None)


@pytest.mark.parametrize("name", LATER)
def test_a_failure_at_first_use_gives_the_reason_and_loses_nothing(name, x, failing, tmp_path):
    failing(name, RuntimeError("no luck"))
    model = new().fit(x)
    for _ in range(2):
        with pytest.raises(NotMeasuredError, match=r"The model has no .*\. RuntimeError: no luck\. .*measure\(X\)"):
            USES[name](model)
    assert model.unmeasured_ == {name: "RuntimeError: no luck"}
    assert model.codec_error_ is None or "no luck" in model.codec_error_
    with pytest.warns(UnmeasuredWarning, match=r"could not be measured\. RuntimeError: no luck"):
        model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert again.unmeasured_ == {name: "RuntimeError: no luck"}
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))


@pytest.mark.parametrize("name", LATER)
def test_after_ctrl_c_at_first_use_it_is_measured_at_the_next(name, x, monkeypatch):
    model = new().fit(x)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WITHIN[name], interrupt)
        with pytest.raises(KeyboardInterrupt):
            USES[name](model)
    assert USES[name](model) is not None
    assert model.unmeasured_ == {}


def test_a_decoder_that_cannot_be_frozen_says_so_at_first_use(x, failing):
    failing("codec", NotFreezableError("It is too wide."))
    model = new().fit(x)
    with pytest.raises(NotMeasuredError, match="too wide"):
        model.codec_  # noqa: B018


def test_a_network_of_residuals_is_frozen_at_once_since_the_codec_contains_it(x):
    model = new(residual=CausalNetwork(n_hidden=4, n_components=1, reach=1, epochs=1)).fit(x)
    assert list(model.model_.pending) == ["density", "search"]
    assert model.model_.residual is None


def test_a_sample_that_takes_much_memory_is_not_kept(x, monkeypatch):
    monkeypatch.setattr("narrows.codec.freezing.calibration.SAMPLE_BYTES", 1000)
    assert list(new().fit(x).model_.pending) == ["density", "search"]


def test_a_pickled_model_contains_no_training_records(x):
    model = new().fit(x)
    assert x.tobytes() not in pickle.dumps(model)
    again = pickle.loads(pickle.dumps(new().fit(x)))
    assert again.codec_.digest == model.codec_.digest
    np.testing.assert_array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))


def test_a_pickled_model_keeps_the_reason_of_a_failure(x, failing):
    failing("density", RuntimeError("no luck"))
    assert pickle.loads(pickle.dumps(new().fit(x))).unmeasured_ == {"density": "RuntimeError: no luck"}


def test_save_refuses_a_file_that_exists_before_it_measures(x, failing, tmp_path):
    Path(tmp_path / "model").write_text("mine")
    failing("codec", AssertionError("it is measured"))
    with pytest.raises(OutputExistsError):
        new().fit(x).save(tmp_path / "model")


def change(model):
    with torch.no_grad():
        for weight in model.chain_.parameters():
            weight.mul_(1.5)
    return model


@pytest.fixture
def changed(x):
    """Return a model whose weights were changed before its artefacts were measured."""
    return change(new().fit(x))


@pytest.mark.parametrize("name", LATER)
def test_weights_that_are_changed_before_the_first_use_are_noticed(name, changed):
    for _ in range(2):
        with pytest.raises(NotMeasuredError, match=r"weights of the model were changed.*refreeze"):
            USES[name](changed)
    assert "refreeze" in changed.measure().unmeasured_[name]


@pytest.mark.parametrize("name", LATER)
def test_refreeze_measures_for_weights_that_were_changed_before_the_first_use(name, x, changed):
    USES[name](changed.refreeze(x))
    assert not changed.unmeasured_
    assert not changed.model_.pending


def test_files_and_pickles_of_changed_weights_do_not_use_what_was_prepared_before(changed, tmp_path):
    copy = pickle.loads(pickle.dumps(changed))
    assert set(copy.unmeasured_) == set(LATER)
    with pytest.warns(StaleWarning, match="weights of the model were changed"):
        changed.save(tmp_path / "model")
    assert set(narrows.load(tmp_path / "model").unmeasured_) == set(LATER)


def test_a_model_that_is_trained_further_measures_for_its_new_weights(x):
    model = new().fit(x).fit(x, more_epochs=1)
    assert not model.unmeasured_
    assert model.codec_.digest != new().fit(x).codec_.digest
    assert model.sample(2, random_state=0).shape == (2, 8, 8)


def test_a_codec_of_earlier_weights_that_was_measured_at_first_use_reads_its_archives(x, tmp_path):
    model = new().fit(x)
    narrows.compress(x, tmp_path / "x.narrows", model=model)
    before = narrows.restore(tmp_path / "x.narrows", model=model)
    change(model)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "x.narrows", model=model), before)
    with pytest.raises(NotMeasuredError, match="refreeze"):
        narrows.compress(x, tmp_path / "y.narrows", model=model)
