"""Outliers: scikit-learn's contract, whole explanations, planted outliers, thresholds, files, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import narrows
from narrows import Autoencoder, AutoencoderOutlier, Training
from narrows.errors import DataError, InvalidParameterError, ShapeMismatchError, UnknownParameterError
from narrows.estimators.outliers import defaults, threshold
from narrows.estimators.outliers.threshold import compared, threshold_of

QUICK = Training(epochs=2)
N, D = 240, 6


def correlated(n=N, seed=0):
    """Records (n, 6) of two factors, each in three columns, in units of their own."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, 2))
    return (factors[:, [0, 0, 0, 1, 1, 1]] + 0.3 * rng.normal(size=(n, D))) * [1, 10, 100, 1, 1, 1] + 5


@pytest.fixture(scope="module")
def detector():
    return AutoencoderOutlier(training=Training(epochs=20), random_state=0).fit(correlated())


@parametrize_with_checks([AutoencoderOutlier()])
def test_scikit_learn(estimator, check, monkeypatch):
    monkeypatch.setattr(defaults, "_STEPS", 1)
    monkeypatch.setattr(threshold, "_DRAWN", 200)
    monkeypatch.setattr(threshold, "_MOST_SETS", 1)
    check(estimator)


def test_the_score_is_the_sum_of_its_parts_and_none_is_negative(detector):
    x = correlated(seed=1)
    parts = detector.explain(x)
    assert parts.shape == (N, D)
    assert parts.min() >= 0
    np.testing.assert_allclose(-detector.score_samples(x), parts.sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(detector.decision_function(x), detector.score_samples(x) - detector.offset_)
    np.testing.assert_array_equal(detector.predict(x) < 0, -detector.score_samples(x) > detector.threshold_)


def test_an_outlier_planted_in_a_column_has_that_column_first(detector):
    found, more = 0, 0
    for column in range(D):
        x = correlated(50, seed=column + 2)
        usual = -detector.score_samples(x)
        x[:, column] += 2.5 * x.std(axis=0)[column] * np.where(np.arange(50) % 2, 1, -1)
        found += int((detector.explain(x).argmax(axis=1) == column).sum())
        more += int((-detector.score_samples(x) > usual).sum())
    assert found >= 0.9 * 50 * D
    assert more >= 0.98 * 50 * D


def test_what_is_expected_follows_the_other_columns(detector):
    x = correlated(100, seed=9)
    clean = x[:, 1].copy()
    x[:, 1] += 40
    assert np.abs(detector.expected(x)[:, 1] - clean).mean() < 6


def test_scores_do_not_depend_on_the_batch_or_on_the_run_or_on_the_file(detector, tmp_path):
    x = correlated(30, seed=1)
    whole = detector.score_samples(x)
    np.testing.assert_allclose(np.concatenate([detector.score_samples(x[i : i + 1]) for i in range(30)]), whole)
    again = AutoencoderOutlier(training=Training(epochs=20), random_state=0).fit(correlated())
    np.testing.assert_array_equal(again.score_samples(x), whole)
    detector.save(tmp_path / "d.safetensors")
    loaded = narrows.load(tmp_path / "d.safetensors")
    assert isinstance(loaded, AutoencoderOutlier)
    assert loaded.threshold_ == detector.threshold_
    np.testing.assert_array_equal(loaded.score_samples(x), whole)


def test_outliers_in_the_training_data_are_found():
    x = correlated(400)
    odd = np.arange(0, 400, 20)
    x[odd] = x[odd] * [1, 1, 1, -1, 1, 1] + 3
    found = AutoencoderOutlier(contamination=0.05, training=QUICK, random_state=0).fit_predict(x)
    assert (found < 0).sum() == 20
    assert (found[odd] < 0).mean() >= 0.9


def normal(n, d):
    return np.random.default_rng(0).normal(size=(n, d))


def clusters(n, k, spread):
    """Records (n, 3) in k clusters, each with a spread of its own."""
    rng = np.random.default_rng(1)
    of = np.arange(n) % k
    return rng.uniform(-10, 10, (k, 3))[of] + np.linspace(0.5, spread, k)[of, None] * rng.normal(size=(n, 3))


def flagged(records, kind="vector"):
    shape, x = records.shape[1:], records.reshape(len(records), -1)
    scores = threshold._Fitted(x, kind, shape).scores(x)
    return scores > threshold_of(scores, compared(x, kind, shape, None, 0))


@pytest.mark.parametrize(
    "x",
    [
        normal(80, 4),
        normal(500, 2),
        normal(600, 8),
        clusters(600, 8, 1),
        clusters(500, 3, 2),
        np.random.default_rng(0).uniform(size=(500, 3)),
    ],
    ids=["few", "normal", "wide", "clusters", "wide clusters", "uniform"],
)
def test_of_records_without_outliers_at_most_one_percent_are_flagged(x, monkeypatch):
    monkeypatch.setattr(threshold, "_MOST_SETS", 4)
    assert flagged(x).mean() <= 0.01


def test_odd_images_are_flagged_among_ten_kinds_and_no_others(monkeypatch):
    monkeypatch.setattr(threshold, "_FEWEST_COMPARED", 500)
    monkeypatch.setattr(threshold, "_DRAWN", 3000)
    digits = narrows.data.open("digits:train").limit(300).values.astype(float)
    assert flagged(digits, "image").mean() <= 0.015
    digits[:10] = 16 - digits[:10]
    found = flagged(digits, "image")
    assert found[:10].all()
    assert found.mean() <= 0.06


def test_without_a_share_the_scores_show_how_many_are_odd():
    x = correlated(600)
    x[:60] += np.random.default_rng(3).normal(size=(60, D)) * 4 * x.std(axis=0)
    found = AutoencoderOutlier(training=QUICK, random_state=0).fit_predict(x) < 0
    assert 0.05 <= found.mean() <= 0.2
    assert found[:60].mean() > 0.8


def test_a_single_record_far_away_is_found_among_few():
    x = correlated(80)
    assert not (AutoencoderOutlier(training=QUICK, random_state=0).fit_predict(x) < 0).any()
    x[11] += 5 * x.std(axis=0)
    found = AutoencoderOutlier(training=QUICK, random_state=0).fit_predict(x) < 0
    assert np.flatnonzero(found).tolist() == [11]


def test_images_have_a_heat_map_and_windows_and_texts_are_scored():
    digits = narrows.data.open("digits:train").limit(120)
    images = AutoencoderOutlier(contamination=0.1, training=QUICK, random_state=0).fit(digits)
    odd = digits.values[:20].copy()
    odd[:, 0, 0] = 255
    heat = images.explain(odd).reshape(20, *images.shape_)
    assert (heat.reshape(20, -1).argmax(axis=1) == 0).all()
    assert images.record_ == "image"
    assert images.threshold_reason_ == "for a share of 0.1 of the training records"

    waves = np.sin(np.arange(24) / 4 + np.random.default_rng(0).normal(0, 0.2, (60, 1)))
    series = Autoencoder(4, record="series")
    windows = AutoencoderOutlier(series, contamination=0.1, training=QUICK, random_state=0).fit(waves)
    broken = waves[:5].copy()
    broken[:, 7] += 2
    assert (windows.explain(broken).argmax(axis=1) == 7).all()

    lines = [f"n{k % 3} up" for k in range(60)]
    texts = AutoencoderOutlier(training=Training(epochs=15), random_state=0).fit(lines)
    assert texts.score_samples(["?zz?z"])[0] < texts.score_samples(lines).min()
    assert "above the median" in texts.threshold_reason_
    np.testing.assert_allclose(-texts.score_samples(lines), texts.explain(lines).sum(axis=1))


def test_missing_values_cost_nothing_and_frames_keep_their_columns():
    x = correlated()
    x[::5, 2] = np.nan
    frame = pd.DataFrame(x, columns=list("abcdef"))
    model = Autoencoder(3, fill_value=np.nan, training=QUICK)
    detector = AutoencoderOutlier(model, random_state=0).fit(frame)
    parts = detector.explain(frame)
    assert list(parts) == list("abcdef")
    assert (parts["c"][::5] < 1e-9).all()
    assert (parts["c"][1:5] > 1e-9).all()


def test_categories_that_do_not_fit_the_numbers_and_numbers_that_are_far_away_are_found(tmp_path):
    rng, n = np.random.default_rng(0), 300
    place = rng.integers(0, 3, n)
    names = np.array(["red", "green", "blue"])
    frame = pd.DataFrame({"colour": names[place], "size": place * 10 + rng.normal(size=n), "count": 1.0 * (place + 1)})
    frame["width"] = place + 0.2 * rng.normal(size=n)
    frame.loc[::7, "count"] = np.nan
    frame.loc[5, "colour"] = names[(place[5] + 1) % 3]
    frame.loc[9, "size"] = 90
    frame.loc[12, ["colour", "size"]] = [None, np.nan]
    detector = AutoencoderOutlier(contamination=0.02, training=Training(epochs=40), random_state=0).fit(frame)
    parts, scores = detector.explain(frame), -detector.score_samples(frame)
    assert list(parts) == ["colour", "size", "count", "width"]
    np.testing.assert_allclose(parts.sum(axis=1), scores)
    assert set(np.argsort(-scores)[:2]) == {5, 9}
    assert (parts.loc[5].idxmax(), parts.loc[9].idxmax()) == ("colour", "size")
    assert parts.loc[12, ["colour", "size"]].max() < 1e-9
    expected = detector.expected(frame)
    usual = np.setdiff1d(np.arange(n), [9, 12])
    assert (expected["colour"] == names[place])[usual].mean() > 0.9
    assert expected["colour"][5] == names[place[5]]
    detector.save(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(-narrows.load(tmp_path / "d.safetensors").score_samples(frame), scores)


def test_a_trained_autoencoder_scores_by_its_costs_and_the_distance_of_codes(tmp_path):
    trained = Autoencoder(3, training=QUICK, random_state=0).fit(correlated())
    x = correlated(60, seed=3)
    x[7, 4] += 9
    detector = AutoencoderOutlier(contamination=0.05, random_state=0).fit(x, trained=trained)
    scores = -detector.score_samples(x)
    assert detector.history_ == trained.history_
    assert scores.argmax() == 7
    assert detector.explain(x)[7].argmax() == 4
    np.testing.assert_allclose(detector.explain(x).sum(axis=1), scores)
    detector.save(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(-narrows.load(tmp_path / "d.safetensors").score_samples(x), scores)
    labelled = Autoencoder(3, conditional=True, training=QUICK).fit(x, np.arange(60) % 2)
    with pytest.raises(InvalidParameterError, match="without labels"):
        AutoencoderOutlier().fit(x, trained=labelled)
    with pytest.raises(InvalidParameterError, match="'training' of AutoencoderOutlier must be None"):
        AutoencoderOutlier(training=QUICK).fit(x, trained=trained)


@pytest.mark.parametrize("step", ["trained_network", "learned_scores"])
def test_a_fit_that_is_interrupted_leaves_the_detector_as_it_was(step, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    x = correlated(60)
    before = AutoencoderOutlier(contamination=0.1, training=QUICK, random_state=0).fit(x)
    scores, unfitted = before.score_samples(x), AutoencoderOutlier(training=QUICK)
    monkeypatch.setattr(f"narrows.estimators.outliers.detector.{step}", interrupted)
    for one, records in ((before, np.ones((9, 4)) * np.arange(9)[:, None]), (unfitted, x)):
        with pytest.raises(KeyboardInterrupt):
            one.fit(records)
    np.testing.assert_array_equal(before.score_samples(x), scores)
    with pytest.raises(NotFittedError):
        unfitted.predict(x)


def test_columns_that_do_not_vary_are_usual_until_they_do(detector):
    x = np.column_stack([correlated(), np.full(N, 7.0)])
    fitted = AutoencoderOutlier(training=QUICK, random_state=0).fit(x)
    other = x[:1].copy()
    other[0, -1] = 8
    assert fitted.explain(other)[0].argmax() == D


@pytest.mark.parametrize("contamination", [0, 0.6, -0.1, "many", float("nan")])
def test_a_share_that_is_none_is_refused(contamination):
    with pytest.raises(InvalidParameterError, match="'contamination' of AutoencoderOutlier"):
        AutoencoderOutlier(contamination=contamination).fit(correlated())


def test_what_cannot_be_scored_is_refused(detector):
    with pytest.raises(DataError, match="at least 2 records"):
        AutoencoderOutlier().fit(correlated(1))
    with pytest.raises(DataError, match="equal"):
        AutoencoderOutlier().fit(np.ones((20, 3)))
    with pytest.raises((DataError, ShapeMismatchError, ValueError), match="6"):
        detector.score_samples(np.ones((3, 4)))
    with pytest.raises(InvalidParameterError, match=r"narrows\.Autoencoder or None"):
        AutoencoderOutlier("auto").fit(correlated())
    with pytest.raises(InvalidParameterError, match="conditional"):
        AutoencoderOutlier(Autoencoder(conditional=True)).fit(correlated())
    with pytest.raises(InvalidParameterError, match="single values"):
        AutoencoderOutlier(Autoencoder(2, likelihood=_loss, training=QUICK)).fit(correlated())
    with pytest.raises(UnknownParameterError):
        AutoencoderOutlier().set_params(share=0.1)


def test_nested_parameters_reach_the_autoencoder():
    changed = AutoencoderOutlier().set_params(autoencoder__n_latent=3, training__epochs=1)
    assert changed.fit(correlated()).model_.n_latent == 3
    assert len(changed.history_) == 1


def _loss(x_hat, x):
    return (x_hat - x).square().flatten(1).sum(1)


def test_of_few_records_as_many_are_odd_by_chance_as_the_binomial_distribution_says():
    for n in (2, 10, 50, 80, 400):
        fewest = next(k for k in range(1, n + 1) if threshold._is_excess(k, n, 10))
        assert binom.sf(fewest - 1, n, 0.01) <= norm.sf(3)
    assert threshold._is_excess(5, 50, 10)
    assert not threshold._is_excess(3, 50, 10)


def test_clean_records_that_look_odd_by_chance_are_not_flagged(monkeypatch):
    monkeypatch.setattr(threshold, "_MOST_SETS", 4)
    assert flagged(np.random.default_rng(1060).normal(size=(50, 12))).mean() <= 0.02
    assert not flagged(np.random.default_rng(0).normal(size=(2, 3))).all()
