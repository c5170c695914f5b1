"""The density of codes: it draws what it was fitted to, whatever that is, and survives the file."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import narrows
from narrows.errors import ModelFileError
from narrows.model.artefacts.latent_density import LatentDensity
from narrows.networks import Dense
from narrows.training import Records


def draw(density, n=20_000, seed=1):
    return density.sample(n, np.random.default_rng(seed))


def two_clouds(rng, n=2000):
    """Return codes of three numbers around two places, correlated; the last is one tenth of the sum of the others."""
    side = rng.integers(0, 2, n)
    codes = rng.normal(size=(n, 2)) @ np.array([[0.5, 0.3], [0, 0.2]]) + np.where(side, 4.0, -3.0)[:, None]
    return np.column_stack([codes, 0.1 * codes.sum(axis=1)])


def test_draws_are_like_the_codes(rng):
    codes = two_clouds(rng)
    density = LatentDensity.fit(codes, seed=0)
    assert len(density.weights) > 1, "one normal distribution does not do"
    drawn = draw(density)
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.4)
    assert stats.ks_2samp(drawn[:, 0], codes[:, 0]).statistic < 0.05
    np.testing.assert_allclose(drawn[:, 2], 0.1 * (drawn[:, 0] + drawn[:, 1]), atol=0.02)


def test_its_mean_and_deviation_are_those_of_its_draws(rng):
    for codes in (two_clouds(rng), rng.normal(size=(500, 100)) * rng.random(100) + 5):
        density = LatentDensity.fit(codes, seed=0)
        drawn = draw(density, 50_000)
        np.testing.assert_allclose(density.mean, drawn.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(density.deviation, drawn.std(axis=0), rtol=0.03)


def test_a_seed_gives_the_same_draws(rng):
    codes = two_clouds(rng, 300)
    once, again = (LatentDensity.fit(codes, seed=3) for _ in range(2))
    np.testing.assert_array_equal(draw(once, 10), draw(again, 10))
    assert not np.array_equal(draw(once, 10), draw(once, 10, seed=2))


def test_codes_of_one_cloud_need_one_normal_distribution(rng):
    assert len(LatentDensity.fit(rng.normal(size=(1000, 6)), seed=0).weights) == 1


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_records_will_do(n, rng):
    codes = rng.normal(size=(n, 8))
    drawn = draw(LatentDensity.fit(codes, seed=0), 100)
    assert drawn.shape == (100, 8)
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.5)
    if n == 1:
        np.testing.assert_array_equal(drawn, np.broadcast_to(codes, (100, 8)))


def test_numbers_that_never_vary_never_do(rng):
    codes = two_clouds(rng, 500)
    codes[:, 1] = 7.25
    np.testing.assert_array_equal(draw(LatentDensity.fit(codes, seed=0), 50)[:, 1], 7.25)


@pytest.mark.parametrize("unit", [1e-30, 1e-3, 1e30])
def test_units_are_of_no_account(unit, rng):
    codes = two_clouds(rng, 500)
    np.testing.assert_allclose(
        draw(LatentDensity.fit(codes * unit, seed=0), 50) / unit, draw(LatentDensity.fit(codes, seed=0), 50), rtol=1e-6
    )


def test_codes_that_overflow_have_none():
    assert LatentDensity.fit(np.array([[1e200], [-1e200]]), seed=0) is None


def test_long_codes_are_drawn_through_their_principal_components(rng):
    hidden = rng.normal(size=(800, 5)) * 3
    codes = hidden @ rng.normal(size=(5, 300)) + 10
    density = LatentDensity.fit(codes, seed=0)
    assert density.components.shape == (32, 300)
    drawn = draw(density, 5000)
    assert np.linalg.matrix_rank(drawn - codes.mean(axis=0), tol=1) == 5
    np.testing.assert_allclose(drawn.std(axis=0), codes.std(axis=0), rtol=0.2)
    assert LatentDensity.fit(codes[:3], seed=0).components.shape == (3, 300)
    assert np.isfinite(draw(LatentDensity.fit(np.ones((4, 100)), seed=0))).all()


def test_of_a_model_it_has_the_codes_that_the_decoder_was_trained_on(digits):
    model = narrows.Autoencoder(
        2, network=Dense(widths=(16,)), training=narrows.Training(epochs=3, batch_size=64), random_state=0
    )
    codes = model.fit(digits[0]).transform(digits[0])
    np.testing.assert_allclose(model.latent_density_.mean, codes.mean(axis=0), atol=0.1 * codes.std())
    np.testing.assert_allclose(model.latent_density_.deviation, codes.std(axis=0), rtol=0.1)
    rounded = narrows.recipe("codec", n_latent=3, network="dense", training__epochs=1, random_state=0).fit(digits[0])
    one_more = LatentDensity.of(rounded.chain_, Records(digits[0], torch.device("cpu")), 0)
    assert (one_more.deviation > 0.25).all(), "noise stands for rounding"


@pytest.mark.parametrize("n_latent", [3, 70])
def test_it_survives_the_file_to_the_bit(n_latent, rng, tmp_path):
    model = narrows.Autoencoder(n_latent, training=narrows.Training(epochs=1), random_state=0).fit(two_clouds(rng, 300))
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    for name, array in model.latent_density_.to_arrays().items():
        np.testing.assert_array_equal(again.latent_density_.to_arrays()[name], array)
    np.testing.assert_array_equal(again.sample(5, random_state=0), model.sample(5, random_state=0))
    model.model_ = replace(model.model_, artefacts={"pca": model.pca_})
    model.save(tmp_path / "old")
    assert narrows.load(tmp_path / "old").latent_density_ is None


@pytest.fixture(scope="module")
def of_few_records():
    records = np.random.default_rng(0).normal(size=(20, 5))
    return narrows.Autoencoder(3, training=narrows.Training(epochs=1), random_state=0).fit(records)


@pytest.mark.parametrize(
    "lie",
    [
        {"weights": np.array([0.5])},
        {"weights": np.array([2.0])},
        {"weights": np.array([[1.0]])},
        {"means": np.zeros((1, 2))},
        {"means": np.full((1, 3), np.nan)},
        {"factors": np.zeros((1, 3, 2))},
        {"means": np.zeros(3)},
        {"means": np.zeros((1, 0)), "factors": np.zeros((1, 0, 0)), "components": np.zeros((0, 3))},
        {"means": np.zeros((1, 4)), "factors": np.zeros((1, 4, 4)), "components": np.zeros((4, 3))},
        {"centre": np.zeros(2)},
        {"centre": np.zeros((3, 3))},
        {"centre": np.array(0.0)},
        {"components": np.zeros((2, 3))},
    ],
    ids=str,
)
def test_a_file_that_lies_about_it_is_refused(lie, of_few_records, tmp_path):
    model = copy.deepcopy(of_few_records)
    assert len(model.latent_density_.weights) == 1
    for name, array in lie.items():
        object.__setattr__(model.latent_density_, name, array)
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"with invalid content: the arrays? 'density"):
        narrows.load(tmp_path / "model")


@pytest.mark.parametrize("names", [["weights"], ["means", "components"]], ids=str)
def test_a_file_that_lacks_some_of_it_is_refused_by_name(names, rng, tmp_path, monkeypatch):
    model = narrows.Autoencoder(3, training=narrows.Training(epochs=1), random_state=0).fit(rng.normal(size=(20, 5)))
    kept = {name: array for name, array in model.latent_density_.to_arrays().items() if name not in names}
    with pytest.raises(ValueError, match=f"of the density are missing: {', '.join(names)}"):
        LatentDensity.from_arrays(kept)
    monkeypatch.setattr(LatentDensity, "to_arrays", lambda self: kept)
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=f"of the density are missing: {', '.join(names)}"):
        narrows.load(tmp_path / "model")


def test_a_density_of_other_codes_is_refused(rng, tmp_path):
    model = narrows.Autoencoder(3, training=narrows.Training(epochs=1), random_state=0).fit(rng.normal(size=(20, 5)))
    model.model_ = model.model_.with_artefact(LatentDensity.fit(rng.normal(size=(20, 4)), seed=0))
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"must have the latent dimension 3\. Got 4"):
        narrows.load(tmp_path / "model")


def test_models_with_an_adversary_draw_from_it_unless_it_was_not_measured(rng):
    x = rng.normal(size=(40, 6))

    def drawn(artefacts, source="auto"):
        settings = {"network": "dense", "training__epochs": 2, "training__batch_size": 20, "artefacts": artefacts}
        model = narrows.Autoencoder(2, adversary="codes", training=narrows.Training(), random_state=0)
        return model.set_params(**settings).fit(x).sample(5, source=source, random_state=1)

    assert np.array_equal(drawn(("density",)), drawn(("density",), "density"))
    assert np.array_equal(drawn(()), drawn((), "prior"))
    assert not np.array_equal(drawn(()), drawn(("density",)))
