"""`auto` keeps a network only where it restores records held out better than PCA; models that lose to PCA warn."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import narrows
import narrows.bottlenecks
from narrows import Autoencoder, Training
from narrows.errors import WorseThanPCAWarning
from narrows.estimators.fitting import Kept
from narrows.estimators.map_network import map_network, map_settings
from narrows.estimators.selection import choose
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.networks import Dense


def auto(n_latent=3, epochs=60):
    return narrows.recipe("auto", n_latent=n_latent, random_state=0, training__epochs=epochs)


def curved(rng, n=600):
    """Return records that depend on two numbers in a curved way."""
    a, b = rng.uniform(-2, 2, (2, n, 1))
    frequencies = np.linspace(0.5, 2, 10)
    return np.hstack([np.sin(a * frequencies), np.cos(b * frequencies)]) + 0.01 * rng.normal(size=(n, 20))


def flat(rng, n=300):
    """Return records that depend on three numbers linearly, and noise."""
    return rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12)) + 0.5 * rng.normal(size=(n, 12))


def test_a_network_is_kept_where_it_is_better(rng):
    x = curved(rng)
    model = auto(2, epochs=120).fit(x[:500])
    assert model.comparison_.is_better
    assert model.comparison_.keeps_network
    assert model.comparison_.n_records == 50
    assert not model.chain_.parts.network.is_linear
    metrics = narrows.evaluate(model, x[500:])
    assert metrics["sse_per_record"] < 0.9 * metrics["pca_sse_per_record"]


def test_where_it_is_not_better_the_model_is_pca_of_all_records(rng):
    x = flat(rng)
    model = auto().fit(x[:200])
    assert not model.comparison_.is_better
    assert not model.comparison_.keeps_network
    assert model.chain_.parts.network.is_linear
    assert model.trained_on_.n_records == 200, "those held out included"
    metrics = narrows.evaluate(model, x[200:])
    assert metrics["sse_per_record"] == pytest.approx(metrics["pca_sse_per_record"], rel=1e-3)


def test_a_network_for_maps_is_compared_too(rng):
    """It has no linear path, but is no worse than PCA either."""
    x = flat(rng) @ rng.normal(size=(12, 70))
    model = auto(2, epochs=1).fit(x)
    assert not model.comparison_.keeps_network
    assert model.chain_.parts.network.is_linear
    made, settings = Autoencoder(2).get_params(deep=False), Training()
    parts = replace(model.chain_.parts, network=map_network(64, "identity"))
    epochs = [map_settings(made, parts, settings, n).n_epochs(n) for n in (300, 12_000, 60_000)]
    assert epochs == [200, 189, 36]
    assert map_settings(made, parts, Training(epochs=5), 300).n_epochs(300) == 5
    assert map_settings({"network": parts.network}, parts, settings, 60_000) is settings


def test_a_network_that_was_asked_for_is_kept_all_the_same(rng):
    network = Dense(widths=(8,), activation="silu", linear_path=True)
    model = auto().set_params(network=network).fit(flat(rng))
    assert not model.comparison_.is_better
    assert model.comparison_.keeps_network
    assert model.chain_.parts.network == network


def test_the_best_weights_are_kept(rng, chain_only):
    x = flat(rng, 60)
    network = Dense(widths=(64,), activation="silu", linear_path=True)
    model = auto(6, epochs=20).set_params(network=network, training__batch_size=8).fit(x, validation=flat(rng, 60))
    losses = [row["validation_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1, "else the test would show nothing"
    held_out = flat(np.random.default_rng(0), 60)
    again = auto(6, epochs=20).set_params(network=network, training__batch_size=8).fit(x, validation=held_out)
    assert -again.score(held_out) == pytest.approx(min(row["validation_loss"] for row in again.history_), rel=1e-4)


def test_a_run_that_overfits_ends_early_with_the_weights_it_would_have_kept(rng, chain_only, monkeypatch, tmp_path):
    x, held_out = flat(rng, 60), flat(rng, 60)
    network = Dense(widths=(64,), activation="silu", linear_path=True)

    def fit(**run):
        settings = {"training__batch_size": 8, "training__optimiser__learning_rate": 1e-2}
        model = auto(6, epochs=60).set_params(network=network, **settings)
        return model.fit(x, validation=held_out, **run)

    early = fit(checkpoint=tmp_path / "checkpoint")
    assert len(early.history_) < 40
    losses = [row["validation_loss"] for row in early.history_]
    assert min(losses[-12:]) > min(losses) + 0.1 * 12 >= min(losses[-13:-1]), "in the last fifth of 60, and not before"
    again = fit(checkpoint=tmp_path / "checkpoint", resume=True)
    assert again.history_ == early.history_, "nothing is left to do"
    with monkeypatch.context() as patch:
        patch.setattr("narrows.training.validation._LAST", 1.0)
        whole = fit()
    assert len(whole.history_) == 60
    assert whole.kept_ == early.kept_
    np.testing.assert_array_equal(whole.reconstruct(x), early.reconstruct(x))


@pytest.mark.parametrize(("n", "held_out"), [(4, 1), (40, 10), (100, 20), (1000, 100), (30_000, 2000)])
def test_how_many_records_are_held_out(n, held_out):
    from narrows.estimators.preparation import n_held_out

    assert n_held_out(Training(), n, by_default=True) == held_out
    assert n_held_out(Training(), n, by_default=False) == 0
    assert n_held_out(Training(validation=0), n, by_default=True) == 0


def test_what_was_kept_is_in_the_file(rng, tmp_path):
    model = auto().fit(flat(rng))
    model.save(tmp_path / "flat.safetensors")
    again = narrows.load(tmp_path / "flat.safetensors")
    assert (again.comparison_, again.kept_) == (model.comparison_, model.kept_)


def test_the_losses_of_a_linear_autoencoder_that_is_kept_are_its_own(rng, chain_only):
    x, held_out = flat(rng), flat(rng, 60)
    model = auto(epochs=5).fit(x)
    assert model.kept_.epoch is None
    assert model.kept_.loss == pytest.approx(-model.score(x), rel=1e-4)
    assert model.kept_.validation_loss is None, "it has learned from all records"
    model = auto(epochs=5).fit(x, validation=held_out)
    assert model.kept_.epoch is None
    assert model.kept_.validation_loss == pytest.approx(-model.score(held_out), rel=1e-4)


@pytest.mark.parametrize("widths", [(), (64,)])
def test_the_epoch_that_was_kept_is_said(widths, rng, chain_only):
    network = Dense(widths=widths, activation="silu", linear_path=True)
    held_out = flat(rng, 60)
    fast = {"network": network, "training__batch_size": 8, "training__optimiser__learning_rate": 0.1}
    model = auto(6, epochs=10).set_params(**fast).fit(flat(rng, 60), validation=held_out)
    best = int(np.argmin([row["validation_loss"] for row in model.history_]))
    assert best < 9, "else the test would show nothing"
    row = model.history_[best]
    assert model.kept_ == Kept(best + 1, row["loss"], row["validation_loss"])
    assert -model.score(held_out) == pytest.approx(row["validation_loss"], rel=1e-4)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_where_no_validation_loss_is_finite_the_last_epoch_is_kept(rng, chain_only):
    network = Dense(widths=(4,), linear_path=True)
    model = auto(epochs=2).set_params(network=network).fit(flat(rng, 60), validation=np.full((5, 12), 1e30))
    assert model.kept_.epoch == 2


def test_what_is_kept_does_not_depend_on_the_number_of_threads(rng, chain_only, monkeypatch):
    """How sums are cut among threads decides their last bits."""
    seen = []

    def spy(*arguments, **more):
        seen.append(torch.get_num_threads())
        return choose(*arguments, **more)

    monkeypatch.setattr("narrows.estimators.fitting.choose", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        auto(epochs=1).fit(flat(rng, 60))
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_a_model_that_loses_to_pca_warns(rng):
    x = flat(rng)
    plain = Autoencoder(3, network=Dense(widths=(16,)), training=Training(epochs=1), random_state=0)
    with pytest.warns(
        WorseThanPCAWarning, match=r"on its training data is .* times that of PCA.*Train for more epochs"
    ):
        model = plain.fit(x)
    with pytest.warns(WorseThanPCAWarning, match="on these records is .* times that of PCA"):
        narrows.evaluate(model, x)


@pytest.mark.filterwarnings("error::narrows.errors.WorseThanPCAWarning")
def test_where_the_warning_is_an_error_the_model_has_everything_all_the_same(rng):
    x = flat(rng)
    model = Autoencoder(3, network=Dense(widths=(16,)), training=Training(epochs=1), random_state=0)
    with pytest.raises(WorseThanPCAWarning):
        model.fit(x)
    assert not model.unmeasured_
    assert model.pca_ is not None
    assert model.transform(x).shape == (300, 3)


def test_models_that_spend_their_error_on_other_things_do_not_warn(rng, recwarn):
    settings = Training(epochs=1)
    Autoencoder(3, network=Dense(widths=(16,)), corruption="masking", training=settings, random_state=0).fit(flat(rng))
    Autoencoder(3, bottleneck="gaussian", training=settings, random_state=0).fit(flat(rng))
    assert not [one for one in recwarn if issubclass(one.category, WorseThanPCAWarning)]


def warnings_of(function, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    return [one for one in caught if issubclass(one.category, WorseThanPCAWarning)]


def test_data_that_hold_no_more_than_the_code_do_not_warn(rng):
    """What is left is rounding, of the model's and of PCA's."""
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12)) + 5
    model = auto()
    assert not warnings_of(model.fit, x)
    assert not warnings_of(narrows.evaluate, model, x)


@pytest.mark.parametrize(
    "changes",
    [
        {"bottleneck": narrows.bottlenecks.TopK(k=1)},
        {"preprocessing": ("unit-scale", "binarise"), "likelihood": "bernoulli"},
    ],
    ids=["sparse codes", "other units than PCA's"],
)
def test_models_that_pca_cannot_be_compared_with_do_not_warn(changes, rng):
    x = rng.integers(0, 256, (200, 12)).astype(np.uint8)
    model = Autoencoder(6, network=Dense(widths=(16,)), training=Training(epochs=1), random_state=0, **changes)
    assert not warnings_of(model.fit, x)
    assert not warnings_of(narrows.evaluate, model, x)


@pytest.mark.filterwarnings("ignore:.* has only .* training record")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_very_few_records_principal_components_are_kept(n, rng):
    """None can be held out to choose by, and a network that is trained on them alone may end anywhere."""
    x = flat(rng, n)
    model = auto(epochs=3).fit(x)
    assert model.chain_.parts.network.is_linear
    assert model.kept_.epoch is None
    assert model.trained_on_.n_records == n
    assert np.square(x - model.reconstruct(x)).mean() < 1e-6 * np.square(x).mean()
    by_request = auto(epochs=3).set_params(training__validation=0.0).fit(x)
    assert not by_request.chain_.parts.network.is_linear


def test_codes_that_are_not_plain_are_not_compared(rng):
    network = Dense(widths=(8,), activation="silu", linear_path=True)
    model = auto().set_params(network=network, bottleneck=narrows.bottlenecks.TopK(k=1)).fit(flat(rng))
    assert model.comparison_ is None


def test_the_warning_names_the_line_that_called_and_no_recipe_that_the_model_is(rng):
    x = flat(rng)
    plain = Autoencoder(3, network=Dense(widths=(16,)), training=Training(epochs=1), random_state=0)
    (warned,) = warnings_of(plain.fit, x)
    assert warned.filename == __file__
    assert "use the recipe 'auto'" in str(warned.message)
    model = auto(epochs=1).fit(curved(rng, 60))
    model.chain_.decoder.path.weight.data.zero_()
    (warned,) = warnings_of(narrows.evaluate, model, curved(rng, 60))
    assert warned.filename == __file__
    assert "use the recipe 'auto'" not in str(warned.message)


def test_pca_is_measured_in_the_units_of_the_model(rng):
    """In units of their own, the largest columns would be all that PCA sees."""
    x = flat(rng) * 10.0 ** np.arange(12)
    model = auto(epochs=5).fit(x)
    scale = x.std(axis=0)
    assert model.pca_.scale == pytest.approx(scale)
    in_units = PrincipalComponents.fit(x / scale, 3, 0)
    metrics = narrows.evaluate(model, x)
    error = np.square(x / scale - in_units.decode(in_units.encode(x / scale))).sum() / len(x)
    assert metrics["pca_preprocessed_sse_per_record"] == pytest.approx(error, rel=1e-3)
    assert metrics["preprocessed_sse_per_record"] <= 1.01 * error
