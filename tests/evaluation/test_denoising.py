"""Noise is what it says, and the comparison is what NumPy counts."""

import math
import sys

import numpy as np
import pytest

import narrows.data
from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError, NonFiniteDataError, ShapeMismatchError
from narrows.evaluation import denoising
from narrows.evaluation.denoisers import median_filter, non_local_means, pca
from narrows.evaluation.denoising import add_noise, compare_denoisers, measure_denoisers, psnr_db_of_records
from narrows.networks import Dense
from narrows.preprocessing import Binarise, MeanRemoval, Standardise, UnitScale

N = 100  # records compared
METHODS = ["noisy", "median filter", "non-local means", "PCA", "narrows"]


def fit(x, epochs=2, **params):
    settings = {
        "n_latent": 16,
        "network": Dense(widths=(128,), activation="silu"),
        "corruption": "gaussian",
        "training": Training(epochs=epochs, batch_size=64),
        "random_state": 0,
    }
    return Autoencoder(**{**settings, **params}).fit(x)


@pytest.fixture(scope="module", autouse=True)
def _choosing_settings_on_few():
    """Keep the tests quick: most of a small comparison's time goes into trying settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoising, "_CHOSEN_ON", 4)
        yield


@pytest.fixture(scope="module")
def model(digits):
    return fit(digits[0], epochs=20)


@pytest.fixture(scope="module")
def comparison(model, digits):
    return compare_denoisers(model, digits[1][:N], 0.5)


def psnr_db(x, x_hat):
    return 10 * math.log10(1 / np.mean(((x.astype(float) - x_hat) / 255) ** 2))


def as_bytes(x):
    return np.clip(np.rint(x * 255), 0, 255).astype(np.uint8)


def test_denoise_is_what_comes_back_through_the_code(model, digits):
    noisy = add_noise(model, digits[1], 0.5)
    restored = model.denoise(noisy)
    assert (restored.shape, restored.dtype) == ((360, 8, 8), np.uint8)
    np.testing.assert_array_equal(restored, model.reconstruct(noisy))


def test_the_noise_of_bytes_is_that_of_pixels_between_0_and_1_rounded_to_bytes(model):
    grey = np.full((1000, 8, 8), 128, np.uint8)
    noisy = add_noise(model, grey, 0.1)
    assert noisy.dtype == np.uint8
    assert noisy.std() == pytest.approx(25.5, rel=0.01)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    ends = add_noise(model, grey, 10.0)
    assert np.isin(ends, [0, 255]).mean() > 0.9, "cut, not wrapped around"


def test_noise_is_drawn_from_the_seed_record_by_record(model, digits):
    noisy = add_noise(model, digits[1], 0.5, 1)
    np.testing.assert_array_equal(add_noise(model, digits[1], 0.5, 1), noisy)
    np.testing.assert_array_equal(add_noise(model, digits[1][:7], 0.5, 1), noisy[:7])
    assert (add_noise(model, digits[1], 0.5, 2) != noisy).mean() > 0.5
    np.testing.assert_array_equal(add_noise(model, digits[1], 0), digits[1])


@pytest.mark.usefixtures("chain_only")
def test_standardised_data_get_noise_in_the_scale_of_each_column_and_are_not_cut(rng):
    x = rng.normal(size=(4000, 3)) * [1, 10, 100] + [0, 5, -50]
    model = fit(x, epochs=1, n_latent=2, preprocessing=Standardise(per_value=True))
    noise = add_noise(model, x, 0.5) - x
    np.testing.assert_allclose(noise.std(axis=0), [0.5, 5, 50], rtol=0.05)


@pytest.mark.usefixtures("chain_only")
def test_floats_under_unit_scale_are_cut_to_the_range_of_the_training_data(rng):
    x = rng.uniform(-3, 5, size=(500, 6)).astype(np.float32)
    noisy = add_noise(fit(x, n_latent=2, preprocessing=UnitScale()), x, 1.0)
    assert noisy.dtype == np.float32
    assert (noisy.min(), noisy.max()) == pytest.approx((x.min(), x.max()))
    unbounded = add_noise(fit(x, n_latent=2, preprocessing=[UnitScale(), MeanRemoval()]), x, 1.0)
    assert unbounded.max() > x.max() + 1


@pytest.mark.usefixtures("chain_only")
def test_binarised_records_keep_their_greys_under_noise(digits):
    model = fit(digits[0][:100], preprocessing=[UnitScale(), Binarise()], likelihood="bernoulli")
    np.testing.assert_array_equal(add_noise(model, digits[1], 0), digits[1])


@pytest.mark.usefixtures("chain_only")
def test_booleans_flip(digits):
    x = digits[0] > 127
    flipped = add_noise(fit(x, epochs=1), x, 0.5) != x
    assert flipped.mean() == pytest.approx(0.16, abs=0.01)  # of a normal distribution beyond one standard deviation


def test_the_comparison_is_what_numpy_counts(model, comparison, digits):
    clean = digits[1][:N]
    noisy = add_noise(model, clean, 0.5)
    methods = comparison["methods"]
    assert list(methods) == METHODS
    size = methods["median filter"]["settings"]["size"]
    k = methods["PCA"]["settings"]["n_components"]
    restored = {
        "noisy": noisy,
        "median filter": as_bytes(median_filter(noisy / 255, size)),
        "PCA": as_bytes(pca(noisy, model.pca_, k) / 255),
        "narrows": model.denoise(noisy),
    }
    if methods["non-local means"]["missing"] is None:
        restored["non-local means"] = as_bytes(non_local_means(noisy / 255, **methods["non-local means"]["settings"]))
    for name, x_hat in restored.items():
        assert methods[name]["psnr_db"] == pytest.approx(psnr_db(clean, x_hat), abs=0.01), name
        gain = psnr_db(clean, x_hat) - psnr_db(clean, noisy)
        assert methods[name]["gain_db"] == pytest.approx(gain, abs=0.01), name
    assert comparison["records"] == N
    assert comparison["noise"] == 0.5


def test_a_denoising_autoencoder_is_ahead_of_the_others(comparison):
    gains = {name: method["gain_db"] for name, method in comparison["methods"].items()}
    ours = gains.pop("narrows")
    assert ours > 4
    assert all(ours > gain for gain in gains.values() if gain is not None)


def test_the_settings_are_the_best_there_are(model, digits):
    clean = digits[1][:4]  # few enough that settings are chosen on all of them
    noisy = add_noise(model, clean, 0.5)
    best = measure_denoisers(model, clean, noisy, noisy, noise=0.5)["methods"]
    for name, alternative in denoising._alternatives(model, 0.5).items():
        if best[name]["missing"]:
            continue
        errors = [
            np.mean((clean / 255 - alternative.restore(noisy / 255, settings)) ** 2)
            for settings in alternative.candidates
        ]
        assert len(errors) > 1
        assert best[name]["mse"] == pytest.approx(min(errors)), name
        assert best[name]["settings"] == alternative.candidates[int(np.argmin(errors))], name


@pytest.mark.usefixtures("few_settings")
def test_settings_are_chosen_on_few_values_of_large_records(model, digits, monkeypatch):
    monkeypatch.setattr(denoising, "_CHOSEN_ON", 10)
    assert compare_denoisers(model, digits[1][:20], 0.5)["settings_chosen_on"] == 10
    monkeypatch.setattr(denoising, "_CHOSEN_ON_VALUES", 3 * 64)
    assert compare_denoisers(model, digits[1][:20], 0.5)["settings_chosen_on"] == 3
    monkeypatch.setattr(denoising, "_CHOSEN_ON_VALUES", 1)
    assert compare_denoisers(model, digits[1][:20], 0.5)["settings_chosen_on"] == 1


def test_components_are_chosen_among_all_that_the_model_has(model, digits):
    candidates = denoising._alternatives(model, 0.5)["PCA"].candidates
    assert [settings["n_components"] for settings in candidates] == list(range(1, 17))
    wide = fit(digits[0][:200], epochs=1, n_latent=100)
    candidates = denoising._alternatives(wide, 0.5)["PCA"].candidates
    assert candidates[-1] == {"n_components": len(wide.pca_.components)}


def test_batches_add_up(model, digits, monkeypatch, comparison):
    monkeypatch.setattr(denoising, "_BATCH", 30)
    told = []
    again = compare_denoisers(model, digits[1][:N], 0.5, progress=lambda *reported: told.append(reported))
    assert told == [("comparing", done, N, "records") for done in (0, 30, 60, 90, N)]
    for name, method in comparison["methods"].items():
        assert again["methods"][name]["mse"] == pytest.approx(method["mse"], rel=1e-4), name


@pytest.mark.usefixtures("few_settings")
def test_vectors_have_no_non_local_means(table, table_model):
    methods = compare_denoisers(table_model, table, 0.5)["methods"]
    assert methods["non-local means"] == {
        "mse": None, "psnr_db": None, "gain_db": None, "settings": {}, "missing": "images only",
    }  # fmt: skip
    span = float(table.max() - table.min())
    noisy = add_noise(table_model, table, 0.5)
    expected = 10 * math.log10(span**2 / np.square(table.astype(float) - noisy).mean())
    assert methods["noisy"]["psnr_db"] == pytest.approx(expected), "the peak is the training data's range"


@pytest.mark.usefixtures("few_settings")
def test_without_scikit_image_the_comparison_says_what_is_missing(model, digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    methods = compare_denoisers(model, digits[1][:20], 0.5)["methods"]
    assert "pip install scikit-image" in methods["non-local means"]["missing"]
    assert methods["non-local means"]["psnr_db"] is None
    assert methods["PCA"]["psnr_db"] > methods["noisy"]["psnr_db"]


@pytest.mark.usefixtures("few_settings")
@pytest.mark.parametrize("shape", [(9, 8, 3), (3, 9, 8)])
def test_colour_images(shape, rng):
    x = rng.integers(0, 256, (10, *shape), dtype=np.uint8)
    methods = compare_denoisers(fit(x), x, 0.3)["methods"]
    assert all(method["missing"] or method["mse"] > 0 for method in methods.values())


@pytest.mark.usefixtures("few_settings")
def test_one_record_and_constant_images(digits, model):
    assert compare_denoisers(model, digits[1][:1], 0.5)["records"] == 1
    black = np.zeros((20, 8, 8), np.uint8)
    methods = compare_denoisers(fit(black), black, 0.5)["methods"]
    assert methods["median filter"]["gain_db"] > 0


@pytest.mark.usefixtures("few_settings")
def test_what_is_exact_has_no_decibels(model, digits):
    methods = compare_denoisers(model, digits[1][:20], 0)["methods"]
    assert methods["noisy"] == {"mse": 0.0, "psnr_db": None, "gain_db": 0.0, "settings": {}, "missing": None}
    assert methods["narrows"]["gain_db"] is None


def test_the_quality_of_each_record(model, digits):
    clean = digits[1][:4]
    noisy = add_noise(model, clean, 0.5)
    noisy[3] = clean[3]
    got = psnr_db_of_records(model, clean, noisy)
    assert got[:3] == pytest.approx([psnr_db(*pair) for pair in zip(clean[:3], noisy[:3], strict=True)])
    assert got[3] == math.inf


def test_what_cannot_be_compared_is_refused(model, digits):
    with pytest.raises(InvalidParameterError, match="The 'noise' of add_noise must be a number ≥ 0"):
        add_noise(model, digits[1], -1)
    with pytest.raises(InvalidParameterError, match="noise"):
        add_noise(model, digits[1], math.nan)
    with pytest.raises(ShapeMismatchError, match=r"\(8, 8\)"):
        compare_denoisers(model, digits[1][:, :4], 0.5)
    with pytest.raises(NonFiniteDataError):
        compare_denoisers(model, np.full((2, 8, 8), np.nan), 0.5)


@pytest.mark.usefixtures("few_settings")
def test_names_and_sources_will_do(model):
    source = narrows.data.open("digits:test", limit=30)
    np.testing.assert_array_equal(add_noise(model, "digits:test", 0.2)[:30], add_noise(model, source, 0.2))
    assert compare_denoisers(model, source, 0.2)["records"] == 30
