"""A fill value stands for missing values: nothing is learned from it, and nothing measures it."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.base import clone

import narrows
from narrows import Autoencoder
from narrows.archive.compress import compress
from narrows.bottlenecks import Rounded
from narrows.cli import main
from narrows.errors import ArchiveError, DataError, DataWarning, InvalidParameterError, NonFiniteDataError
from narrows.estimators.classifier import AutoencoderClassifier
from narrows.evaluation.denoising import add_noise, compare_denoisers
from narrows.evaluation.scorers import neg_mean_squared_error, neg_median_squared_error
from narrows.likelihoods import Bernoulli, ConstrainedNormal
from narrows.model.inspection import read_header
from narrows.networks import Dense
from narrows.preprocessing import Binarise, Standardise, UnitScale
from narrows.training import Callback, Training

FILL = -9999.0
LOADINGS = np.random.default_rng(7).normal(size=(3, 10)) * [1, 2, 5, 10, 1, 1, 3, 1, 1, 1]


def records(n, seed):
    """Return n records of ten columns with three causes, and where a fifth of columns 2 and 5 is missing."""
    rng = np.random.default_rng(seed)
    x = np.tanh(rng.normal(size=(n, 3))) @ LOADINGS + 0.1 * rng.normal(size=(n, 10)) + 20
    missing = np.zeros(x.shape, bool)
    missing[:, [2, 5]] = rng.random((n, 2)) < 0.2
    return x, missing


def damaged(x, missing, fill=FILL):
    return np.where(missing, np.array(fill).astype(x.dtype), x)


def fitted(x, *, epochs=3, **params):
    params = {"n_latent": 3, "training": Training(epochs=epochs), "random_state": 0, "artefacts": (), **params}
    return Autoencoder(**params).fit(x)


def weights(model):
    return {name: t.clone() for name, t in model.chain_.state_dict().items()}


@pytest.fixture(scope="module")
def table():
    return records(800, 0)


@pytest.fixture(scope="module")
def model(table):
    return fitted(damaged(*table), fill_value=FILL, artefacts="all")


def test_the_error_on_real_values_is_near_that_of_a_model_of_data_that_were_never_damaged(table):
    x, missing = table
    test, test_missing = records(300, 1)
    scale = x.std(axis=0)

    def error(model, given, counted):
        return np.square((model.reconstruct(given) - test) / scale)[counted].mean()

    everywhere = np.ones(test.shape, bool)
    whole = error(fitted(x, epochs=10), test, everywhere)
    masked = fitted(damaged(x, missing), epochs=10, fill_value=FILL)
    # Records without missing values: as if none of the training values had been missing.
    assert error(masked, test, everywhere) < 1.5 * whole
    # With missing values the code is computed from fewer values.
    known = error(masked, damaged(test, test_missing), ~test_missing)
    assert known < 4 * whole
    with pytest.warns(DataWarning, match=r"stands for missing values, set fill_value=-9999 \(--fill-value -9999\)"):
        without = fitted(damaged(x, missing), epochs=10)
    assert error(without, damaged(test, test_missing), ~test_missing) > 100 * known


@pytest.mark.parametrize(
    "parts",
    [
        {"artefacts": ("pca", "density", "codec")},
        {"preprocessing": "unit-scale", "likelihood": Bernoulli(dynamic=True), "training": Training(epochs=2)},
        {"preprocessing": (UnitScale(), Binarise()), "likelihood": "bernoulli", "bottleneck": "gaussian"},
        {"likelihood": "laplace", "corruption": "gaussian", "network": Dense(widths=(8,))},
        {"likelihood": ConstrainedNormal(), "bottleneck": Rounded(), "preprocessing": "unit-scale"},
        {"pretraining": "layer-wise", "network": Dense(widths=(6,), code_activation="sigmoid")},
        {"preprocessing": (Standardise(per_value=False),), "training": Training(epochs=2, precision="float64")},
    ],
)
@pytest.mark.filterwarnings("ignore::narrows.errors.CollapsedWarning", "ignore::narrows.errors.WorseThanPCAWarning")
def test_missing_values_have_no_influence(table, parts):
    x, missing = (some[:200] for some in table)
    one, other = (
        fitted(damaged(x, missing, fill), fill_value=fill, **{"training": Training(epochs=2, validation=0.2), **parts})
        for fill in (-9999.0, 1e30)
    )
    ours = weights(other)
    assert all(torch.equal(t, ours[name]) for name, t in weights(one).items())
    assert [{**row, "seconds": 0, "records_per_second": 0} for row in one.history_] == [
        {**row, "seconds": 0, "records_per_second": 0} for row in other.history_
    ]
    assert (one.range_, one.magnitude_) == (other.range_, other.magnitude_)
    seen, unseen = damaged(x, missing), damaged(x, missing, 1e30)
    np.testing.assert_array_equal(one.transform(seen), other.transform(unseen))
    assert one.score(seen) == other.score(unseen)
    assert narrows.evaluate(one, seen) == narrows.evaluate(other, unseen)


def test_missing_values_get_no_gradient_and_no_nats(table, model):
    x = torch.from_numpy(damaged(*table)[:50])
    chain, places = model.chain_, torch.from_numpy(table[1][:50])
    parameters = chain.decode(chain.encode(chain.prepare(x)).z).detach().requires_grad_()
    nats = -chain.log_prob(parameters, chain.prepare(x), places)
    nats.sum().backward()
    assert not parameters.grad[places].any()
    assert parameters.grad[~places].all()
    hidden = torch.ones_like(places)
    assert not chain.log_prob(parameters, chain.prepare(x), hidden).any()


def test_the_encoder_gets_the_mean_of_the_column(table, model):
    x, missing = table
    prepared = model.chain_.prepare(torch.from_numpy(damaged(x, missing))).double()
    means = prepared.where(torch.from_numpy(~missing), torch.nan).nanmean(0)
    for column in (2, 5):
        torch.testing.assert_close(
            prepared[missing[:, column], column], means[column].expand(missing[:, column].sum()), atol=0.05, rtol=0
        )


def test_metrics_are_those_of_the_known_values(table, model):
    x, missing = table
    given = damaged(x, missing)
    metrics = narrows.evaluate(model, given)
    errors = np.square(model.reconstruct(given) - x)[~missing]
    assert metrics["missing_values"] == missing.sum()
    assert metrics["mse"] == pytest.approx(errors.mean())
    assert metrics["sse_per_record"] == pytest.approx(errors.sum() / len(x))
    assert metrics["psnr_db"] == pytest.approx(20 * np.log10(np.ptp(x[~missing])) - 10 * np.log10(errors.mean()))
    assert 0 < metrics["pca_sse_per_record"] < 1
    assert model.range_ == (x[~missing].min(), x[~missing].max())


def test_missing_values_get_no_noise_and_are_not_measured_where_denoisers_are_compared(table, model):
    x, missing = table
    given = damaged(x, missing)
    noisy = add_noise(model, given, 0.5)
    np.testing.assert_array_equal(noisy == FILL, missing)
    measured = compare_denoisers(model, given, 0.5)["methods"]
    assert measured["noisy"]["mse"] == pytest.approx(np.square(noisy - given)[~missing].mean())
    restored = model.denoise(noisy)
    assert measured["narrows"]["mse"] == pytest.approx(np.square(restored - given)[~missing].mean())


def test_records_without_missing_values_are_measured_as_by_a_model_without_a_fill_value(table):
    x, _ = table
    with_fill, without = fitted(x, fill_value=FILL), fitted(x)
    ours, theirs = (narrows.evaluate(one, x) for one in (with_fill, without))
    assert ours.pop("missing_values") == 0
    assert {name: value for name, value in ours.items() if value is not None} == pytest.approx(
        {name: value for name, value in theirs.items() if value is not None}, rel=1e-3
    )


@pytest.mark.parametrize(
    ("dtype", "fill"), [("float32", 1e20), ("float64", np.nan), ("int16", -9999), ("uint8", 255), ("float16", -9999)]
)
def test_all_dtypes(table, dtype, fill):
    x, missing = table
    x = (x - x.min()).astype(dtype)
    given = damaged(x, missing, fill)
    model = fitted(given, fill_value=fill)
    assert narrows.evaluate(model, given)["missing_values"] == (missing | (x == fill)).sum()
    assert model.range_[1] == x[~missing].max()
    restored = model.reconstruct(given, dtype=float)
    assert np.abs(restored - x)[~missing].mean() < 2
    assert np.isfinite(restored).all()


def test_images_with_pixels_that_are_always_missing():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100, 1, 1)) + np.sin(np.arange(64) / 9).reshape(8, 8) * rng.normal(size=(100, 1, 1))).astype(
        "f4"
    )
    missing = np.zeros(x.shape, bool)
    missing[:, 3:5] = True
    model = fitted(damaged(x, missing), fill_value=FILL, artefacts="all")
    restored = model.reconstruct(damaged(x, missing))
    assert np.square(restored - x)[~missing].mean() < 0.2 * x.var()
    assert np.isfinite(restored).all()


def test_columns_that_are_always_missing(table):
    x = table[0].copy()
    x[:, 4] = FILL
    model = fitted(x, fill_value=FILL, artefacts="all")
    assert np.isfinite(model.reconstruct(x)).all()
    assert model.score(x) > fitted(np.delete(x, 4, axis=1)).score(np.delete(x, 4, axis=1)) - 1


def test_a_classifier_learns_from_the_known_values(table):
    x, missing = table
    y = x[:, 0] > x[:, 0].mean()
    unfitted = Autoencoder(3, fill_value=FILL, network=Dense(widths=(8,)), training=Training(epochs=2))
    classifiers = [
        AutoencoderClassifier(unfitted.set_params(fill_value=fill), training=Training(epochs=2), random_state=0)
        .fit(damaged(x, missing, fill), y)
        .predict_proba(damaged(x, missing, fill))
        for fill in (FILL, 1e30)
    ]
    np.testing.assert_array_equal(*classifiers)


def test_nan_is_refused_unless_it_is_the_fill_value(table):
    given = damaged(*table, np.nan)
    with pytest.raises(NonFiniteDataError):
        fitted(given)
    with pytest.raises(NonFiniteDataError):
        fitted(given, fill_value=FILL)
    with pytest.raises(NonFiniteDataError):
        fitted(np.where(table[1], np.inf, given), fill_value=np.nan)
    model = fitted(given, fill_value=np.nan)
    assert np.isfinite(model.reconstruct(given)).all()


@pytest.mark.parametrize(
    ("dtype", "fill", "said"),
    [
        ("uint8", -9999, "a whole number from 0 to 255, since the records are of the dtype uint8. Got -9999.0."),
        ("int16", 1.5, "a whole number from -32768 to 32767, since the records are of the dtype int16. Got 1.5."),
        ("int16", np.nan, "dtype int16. Got nan."),
        ("float32", 1e300, "a finite value of the dtype float32, or nan. Got 1e+300."),
        ("float64", np.inf, "dtype float64, or nan. Got inf."),
        ("float64", "-9999", "must be a number such as -9999, or None. Got '-9999'."),
    ],
)
def test_a_value_that_the_data_cannot_have_is_refused(dtype, fill, said):
    with pytest.raises(InvalidParameterError) as caught:
        fitted(np.ones((10, 3), dtype), fill_value=fill)
    assert said in str(caught.value)


def test_data_without_any_known_value_are_refused():
    with pytest.raises(DataError, match="all values are -9999, the fill value"):
        fitted(np.full((10, 3), FILL), fill_value=FILL)


def test_a_model_remembers_its_fill_value(table, model, tmp_path):
    given = damaged(*table)
    model.save(tmp_path / "m")
    loaded = narrows.load(tmp_path / "m")
    assert (loaded.fill_value, loaded.fill_value_) == (FILL, FILL)
    np.testing.assert_array_equal(loaded.transform(given), model.transform(given))
    assert narrows.evaluate(loaded, given) == narrows.evaluate(model, given)
    fitted(damaged(*table, np.nan), fill_value=np.nan).save(tmp_path / "nan")
    assert np.isnan(narrows.load(tmp_path / "nan").fill_value_)


def test_the_file_of_a_model_without_a_fill_value_has_no_entry_for_it(table, tmp_path):
    fitted(table[0]).save(tmp_path / "m")
    header = read_header(tmp_path / "m")
    assert "fill_value" not in {**header["params"], **header["parts"]}
    assert narrows.load(tmp_path / "m").fill_value_ is None


@pytest.mark.filterwarnings("ignore::narrows.errors.DataWarning")
def test_a_run_is_resumed_with_its_fill_value_only(table, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    given, path = damaged(*table), tmp_path / "c"

    unfitted = Autoencoder(3, training=Training(epochs=3), random_state=0, artefacts=(), fill_value=FILL)
    with pytest.raises(KeyboardInterrupt):
        unfitted.fit(given, checkpoint=path, callback=_Interrupting())
    with pytest.raises(InvalidParameterError, match=r"another fill_value.* was -9999.0 and is none now"):
        clone(unfitted).set_params(fill_value=None).fit(given, checkpoint=path, resume=True)
    resumed = unfitted.fit(given, checkpoint=path, resume=True)
    ours = weights(fitted(given, fill_value=FILL))
    assert all(torch.equal(t, ours[name]) for name, t in weights(resumed).items())


class _Interrupting(Callback):
    def step(self, epoch, records_done, loss):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_archives_have_the_fill_value_of_the_model(table, model, tmp_path):
    given, missing = damaged(*table), table[1]
    summary = compress(given, tmp_path / "x.narrows", model=model, max_error=0.5)
    assert (summary.fill_value, summary.n_fill, summary.fill_of_model) == (FILL, missing.sum(), True)
    back = narrows.restore(tmp_path / "x.narrows", model=model)
    np.testing.assert_array_equal(back[missing], FILL)
    assert np.abs(back - given).max() <= 0.5
    with pytest.raises(InvalidParameterError, match=r"trained with the fill value -9999.*Got.* -1\."):
        compress(given, tmp_path / "y.narrows", model=model, max_error=0.5, fill_value=-1)
    compress(given, tmp_path / "l.narrows", model=model, lossless=True)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "l.narrows", model=model), given)


def test_archives_without_a_bound_have_estimates_of_missing_values_and_say_so(table, model, tmp_path):
    given, missing = damaged(*table), table[1]
    summary = compress(given, tmp_path / "x.narrows", model=model)
    (warning,) = (one for one in summary.warnings if one["kind"] == "fill-value")
    assert warning["count"] == missing.sum()
    assert summary.psnr_db == pytest.approx(summary.expected_psnr_db, abs=0.5)
    back = narrows.restore(tmp_path / "x.narrows", model=model)
    np.testing.assert_allclose(back, model.reconstruct(given), atol=1)


def test_more_records_are_appended_with_the_fill_value_of_the_model(table, model, tmp_path):
    given = damaged(*table)
    compress(given, tmp_path / "x.narrows", model=model, max_error=0.5)
    assert compress(given, tmp_path / "x.narrows", model=model, append=True).fill_value == FILL
    with pytest.raises((ArchiveError, InvalidParameterError)):
        compress(given, tmp_path / "x.narrows", model=model, append=True, fill_value=-1)


def test_the_command_trains_with_a_fill_value_and_info_shows_it(table, tmp_path):
    np.save(tmp_path / "x.npy", damaged(*table).astype("f4"))
    x, m = str(tmp_path / "x.npy"), str(tmp_path / "m")

    def run(*arguments):
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    said = run("train", x, "-o", m, "--fill-value", "-9999", "--epochs", "2", "--latent", "3")
    assert "-9999, the fill value, does not count" in said
    assert "fill value" in run("info", m)
    assert json.loads(run("info", m, "--json"))["fill_value"] == FILL
    assert json.loads(run("evaluate", x, "-m", m, "--json"))["missing_values"] == table[1].sum()
    said = run("compress", x, "-m", m, "-o", str(tmp_path / "x.narrows"), "--max-error", "0.5")
    assert "-9999, the fill value of the model, restored exactly" in said
    assert "-9999.0, kept exactly" in run("info", str(tmp_path / "x.narrows"))
    for arguments in (
        ("compress", x, "-m", m, "-o", str(tmp_path / "y.narrows"), "--max-error", "1", "--fill-value", "-1"),
        ("train", x, "-o", str(tmp_path / "n"), "--fill-value", "-1", "--set", "fill_value=-2"),
    ):
        refused = CliRunner().invoke(main, arguments)
        assert refused.exit_code != 0
        assert "fill" in refused.output


def test_a_table_without_any_value_is_refused_before_training(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from narrows.cli import main

    np.save(tmp_path / "x.npy", np.full((20, 3), np.nan))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", "x.npy", "-o", "m.safetensors", "--fill-value", "nan"])
    assert result.exit_code == 1
    assert "all values are nan, the fill value" in result.stderr


def test_records_whose_values_are_all_missing_have_no_error_and_no_score():
    x = np.random.default_rng(0).normal(size=(60, 4))
    x[3, 1] = x[7] = -9
    model = narrows.Autoencoder(
        2, fill_value=-9, training=narrows.Training(epochs=2), artefacts=(), random_state=0
    ).fit(x)
    error, score, known = model.reconstruction_error(x), model.score_samples(x), np.arange(60) != 7
    assert np.isnan(error[7])
    assert np.isnan(score[7])
    np.testing.assert_array_equal(error[known], model.reconstruction_error(x[known]))
    assert np.isfinite(score[known]).all()
    assert model.score(x) == pytest.approx(score[known].mean())
    w = np.arange(60.0)
    assert model.score(x, sample_weight=w) == pytest.approx(np.average(score[known], weights=w[known]))
    for scorer in (neg_mean_squared_error, neg_median_squared_error):
        assert scorer(model, x) == pytest.approx(scorer(model, x[known]))
