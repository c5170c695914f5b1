"""Scores of the steps of series: high where the series is odd, the same in every run, and missing where values are."""

import numpy as np
import pytest

import narrows
from narrows.data.series import WholeSeries
from narrows.errors import DataError, InvalidParameterError, NonFiniteDataError, ShapeMismatchError
from narrows.uses import score_records, score_series

N = 1600
STEPS = np.arange(N)


def wave(seed=0, period=40):
    """A noisy wave without outliers."""
    return np.sin(2 * np.pi * STEPS / period) + np.random.default_rng(seed).normal(0, 0.1, N)


def flat_at(first, last, seed=0):
    """A wave that stops for some time: every value is usual, but not their sequence."""
    series = wave(seed)
    series[first:last] = 0.3
    return series


@pytest.mark.parametrize(
    ("first", "last", "change"),
    [
        (700, 701, lambda x: x + 8),  # a spike
        (900, 960, lambda x: x + 3),  # another level
        (400, 460, lambda x: 0 * x),  # another shape
        (1200, 1260, lambda x: -x),  # another phase
        (500, 580, lambda x: x + np.random.default_rng(1).normal(0, 1, len(x))),  # more noise
    ],
)
def test_the_highest_score_is_where_the_series_is_odd(first, last, change):
    series = wave()
    series[first:last] = change(series[first:last])
    found = score_series(series, window=64)
    assert first - 32 <= found.score.argmax() <= last + 32
    assert found.is_outlier[found.score.argmax()]
    assert not found.is_outlier[: first - 64].any()
    assert not found.is_outlier[last + 64 :].any()


def test_there_is_a_score_for_every_step_and_the_threshold_separates_the_outliers():
    found = score_series(flat_at(700, 760))
    assert found.score.shape == (N,)
    assert found.windows == (200, 100)
    assert np.array_equal(found.is_outlier, found.score > found.threshold)


def test_of_noise_at_most_one_percent_are_outliers():
    noise = np.random.default_rng(0).normal(size=(4, 3000))
    assert np.mean([score_series(one, window=32).is_outlier.mean() for one in noise]) <= 0.01


def test_the_same_call_gives_the_same_scores():
    assert np.array_equal(score_series(flat_at(700, 760)).score, score_series(flat_at(700, 760)).score)


def test_units_of_the_series_do_not_matter():
    series = flat_at(700, 760)
    assert np.allclose(score_series(series).score, score_series(1e6 * series - 5e7).score, atol=0.01)


def test_a_series_is_compared_with_a_training_series_if_there_is_one():
    odd = -np.abs(wave(1))  # all of it is odd, so that nothing stands out
    assert score_series(odd, window=64).is_outlier.mean() < 0.05
    assert score_series(odd, train=wave(2), window=64).is_outlier.mean() > 0.95
    assert score_series(wave(1), train=wave(2), window=64).is_outlier.mean() < 0.02


def test_the_top_channel_is_the_one_that_is_odd():
    channels = np.stack([wave(0), wave(1, period=60), np.full(N, 7.0)], axis=1)  # the last is constant
    channels[800:850, 1] = 0
    found = score_series(channels, window=64)
    assert found.top_channel[found.score.argmax()] == 1
    assert 780 < found.score.argmax() < 870
    assert set(np.unique(found.top_channel)) <= {0, 1}


def test_names_of_channels_come_from_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"load": wave(0), "heat": wave(1)})
    assert score_series(frame).series.channels == ("load", "heat")


def test_missing_values_have_no_score_and_their_neighbours_have():
    series = flat_at(700, 760)
    series[[100, 740, *range(1000, 1300)]] = np.nan
    found = score_series(series, window=64)
    assert np.array_equal(np.isnan(found.score), np.isnan(series))
    assert 690 < np.nanargmax(found.score) < 770
    assert not found.is_outlier[990:1310].any()


def test_windows_do_not_reach_from_one_series_into_the_next():
    low, high = wave(0), wave(1) + 1
    both = WholeSeries(np.concatenate([low, high]), (N, N), ("low", "high"))
    found = score_series(both, window=64)
    assert found.score.shape == (2 * N,)
    assert not found.is_outlier[N - 64 : N + 64].any()


def test_a_model_of_windows_scores_by_its_own_codes():
    series = flat_at(700, 760)
    windows = narrows.data.open(wave(3), window=48, stride=8)
    network = narrows.networks.Dense(widths=(16,))
    training = narrows.Training(epochs=5, batch_size=32)
    model = narrows.Autoencoder(4, network=network, training=training, random_state=0, artefacts=()).fit(windows)
    found = score_series(series, model)
    assert found.windows == (48,)
    assert 690 < found.score.argmax() < 770
    with pytest.raises(ShapeMismatchError, match="records of shape"):
        score_series(np.stack([series, series], axis=1), model)
    with pytest.raises(DataError, match="windows of 48 steps"):
        score_series(series, model, window=64)


@pytest.mark.parametrize(
    ("series", "options", "error", "words"),
    [
        (np.zeros(500), {}, DataError, "constant"),
        (wave()[:100], {"window": 101}, DataError, "has only 100"),
        (wave()[:20], {}, DataError, "at least 32 steps"),
        (wave(), {"window": 3}, InvalidParameterError, "'window' of score_series"),
        (np.where(STEPS == 90, np.inf, wave()), {}, NonFiniteDataError, "step 90"),
        (np.full(500, np.nan), {}, DataError, "constant"),
        (np.zeros((5, 5, 5)), {}, DataError, "shape"),
        (np.array(["a", "b"]), {}, DataError, "numbers"),
        (wave(), {"train": np.zeros((500, 2))}, ShapeMismatchError, "2 channels"),
        (narrows.data.Source(np.zeros((9, 4))), {}, DataError, "no series"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_reason(series, options, error, words):
    with pytest.raises(error, match=words):
        score_series(series, **options)


def test_a_window_as_long_as_the_series_is_allowed():
    assert np.isfinite(score_series(wave()[:64], window=64).score).all()


def test_records_unlike_the_training_records_have_high_scores():
    rng = np.random.default_rng(0)
    usual = np.sin(np.linspace(0, 6, 60) + rng.normal(0, 0.3, (300, 1))) + rng.normal(0, 0.05, (300, 60))
    odd = usual[:50, ::-1] ** 3
    scores = score_records(np.concatenate([usual[200:], odd]), usual[:200])
    assert scores[:100].max() < scores[100:].min()


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (np.ones((20, 5)), "equal"),
        (np.eye(5), "at least 8"),
        (np.ones((20, 4)), "shape"),
        (np.full((9, 5), np.nan), "finite|NaN"),
    ],
)
def test_training_records_must_be_fit_to_compare_with(train, words):
    with pytest.raises(DataError, match=words):
        score_records(np.zeros((3, 5)), train)
