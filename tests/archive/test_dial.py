"""One dial: the smallest archive that reaches a PSNR, or the best within a size, by any way that the model has."""

import dataclasses

import numpy as np
import pytest

import narrows
from narrows.archive import inspect
from narrows.archive.dial import REACHED_DB, best_within, smallest_reaching
from narrows.archive.encoder import ModelEncoder
from narrows.archive.layout_choice import layout_for
from narrows.archive.record_sample import RecordSample
from narrows.archive.yardsticks import records_to_measure, yardsticks_of
from narrows.errors import InvalidParameterError
from narrows.networks import Dense

pytestmark = pytest.mark.usefixtures("codec_only")


@pytest.fixture(autouse=True)
def code_by_default():
    """Let `compress` choose, in the tests of this file."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.narrows"


@pytest.fixture(scope="module")
def waves():
    """Return series that a linear code describes but for rare spikes, float32 (300, 40)."""
    rng = np.random.default_rng(0)
    phases = rng.uniform(0, 6, (300, 1))
    series = np.sin(np.arange(40) / 6 + phases) + 0.01 * rng.normal(size=(300, 40))
    series[rng.random(series.shape) < 0.004] += 2
    return series.astype(np.float32)


@pytest.fixture(scope="module")
def waves_model(waves, trained_once):
    training = narrows.Training(epochs=1)
    model = narrows.Autoencoder(4, network=Dense(widths=()), training=training, artefacts=("codec",), random_state=0)
    return trained_once("waves-model", lambda: model.fit(waves))


@pytest.fixture(scope="module")
def spiked():
    """Return records of which eight numbers say all but rare spikes, float32 (2000, 40)."""
    rng = np.random.default_rng(0)
    records = rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 40))
    records[rng.random(records.shape) < 0.004] += 30
    return records.astype(np.float32)


def psnr_of(records, restored, peak):
    return 10 * np.log10(peak**2 / np.square(records.astype(float) - restored).mean())


def at_hand(model, records):
    source = narrows.data.open(records)
    layout = layout_for(source, model.codec_, None, None)
    return RecordSample(ModelEncoder(model), source, layout, (float(records.min()), float(records.max())))


# A PSNR


@pytest.mark.parametrize("wanted", [12.0, 16.0, 30.0, 55.0])
def test_any_psnr_is_reached(ladder_model, digits, path, wanted):
    summary = narrows.compress(digits[1], path, model=ladder_model, psnr=wanted)
    restored = narrows.restore(path, model=ladder_model)
    assert psnr_of(digits[1], restored, 255) >= wanted - REACHED_DB if summary.max_error else wanted > 50
    assert summary.warnings == ()


@pytest.mark.parametrize("wanted", [20.0, 45.0, 80.0])
def test_the_psnr_of_floats_is_over_the_range_of_the_records_at_hand(waves_model, waves, path, wanted):
    some = waves[:100] * np.float32(0.5)
    summary = narrows.compress(some, path, model=waves_model, psnr=wanted)
    restored = narrows.restore(path, model=waves_model)
    own = float(some.max() - some.min())
    assert psnr_of(some, restored, own) == pytest.approx(summary.psnr_db, abs=1e-6)
    assert summary.psnr_db >= wanted - REACHED_DB
    assert summary.values_range == (some.min(), some.max())


def test_of_all_ways_the_smallest_is_taken(ladder_model, digits):
    hand = at_hand(ladder_model, digits[1])
    for wanted in (14.0, 25.0):
        ways = smallest_reaching(hand, wanted, 3)
        assert "code" in {way.name for way in ways}
        assert len(ways) == 2
        good = [way for way in ways if way.psnr_db >= wanted - REACHED_DB]
        assert ways[0] in good
        assert ways[0].bytes_per_record == min(way.bytes_per_record for way in good)
    coarse, fine = (smallest_reaching(hand, wanted, 3)[0] for wanted in (12.0, 40.0))
    assert (coarse.name, fine.error_bound is not None) == ("code", True)


def test_a_psnr_that_all_records_miss_is_tried_again_with_a_finer_quality(ladder_model, digits, path, monkeypatch):
    easy, asked = digits[1][:40] // 4 + 60, []

    def codes_only(hand, psnr, start, max_error=None, has_bounds=True):
        asked.append(psnr)
        return smallest_reaching(hand, psnr, start, max_error, has_bounds=False)

    monkeypatch.setattr("narrows.archive.record_sample.RecordSample._some", lambda self, n: easy)
    monkeypatch.setattr("narrows.archive.plan.smallest_reaching", codes_only)
    records = np.concatenate([easy, digits[1]])
    wanted = at_hand(ladder_model, records).code(1).psnr_db
    summary = narrows.compress(records, path, model=ladder_model, psnr=wanted)
    assert len(asked) > 1
    assert asked == sorted(asked)
    finest = len(ladder_model.codec_.qualities) - 1
    assert summary.psnr_db >= wanted - REACHED_DB or summary.ways[0].quality == finest
    assert summary.n_bytes == path.stat().st_size


def test_the_bound_of_the_training_is_taken_where_a_wider_one_takes_more_bytes(ladder_model, digits, monkeypatch):
    hand = at_hand(ladder_model, digits[1])
    (widest,) = {way.error_bound for way in smallest_reaching(hand, 16.0, 0) if way.error_bound}
    within = RecordSample.within

    def costly(self, bound, quality):
        """Wider bounds take more bytes, as if a network had not learnt from records within them."""
        found = within(self, bound, quality)
        return found if bound <= 9 else dataclasses.replace(found, bytes_per_record=1000 + bound)

    monkeypatch.setattr(RecordSample, "within", costly)
    monkeypatch.setattr(RecordSample, "quick_size", lambda self, bound, quality: bound if bound <= 9 else 1000 + bound)
    assert widest > 9
    assert 9 not in {way.error_bound for way in smallest_reaching(hand, 16.0, 0)}
    hand.encoder.trained_bound = 9
    assert 9 in {way.error_bound for way in smallest_reaching(hand, 16.0, 0)}


def test_the_bound_of_the_training_is_taken_where_few_records_do_not_tell_the_sizes_apart(
    ladder_model, digits, monkeypatch
):
    hand = at_hand(ladder_model, digits[1])
    hand.encoder.trained_bound = 9
    for share, is_taken in ((1.04, True), (1.2, False)):
        sizes = {9.0: share}
        monkeypatch.setattr(RecordSample, "quick_size", lambda self, bound, quality, sizes=sizes: sizes.get(bound, 1.0))
        assert (9 in {way.error_bound for way in smallest_reaching(hand, 16.0, 0)}) == is_taken


def test_a_largest_error_beside_a_psnr_is_a_further_condition(waves_model, waves, path):
    free = narrows.compress(waves, path, model=waves_model, psnr=30)
    summary = narrows.compress(waves, path, model=waves_model, psnr=30, max_error=0.05, force=True)
    restored = narrows.restore(path, model=waves_model)
    assert np.abs(restored.astype(float) - waves).max() <= 0.05 < free.max_error
    assert summary.psnr_db >= 30 - REACHED_DB
    assert summary.error_bound <= 0.05


# A size


def test_the_best_within_a_size_is_taken(waves_model, waves):
    hand = at_hand(waves_model, waves)
    for n_bytes in (4.0, 12.0, 40.0):
        ways = best_within(hand, n_bytes, 0)
        assert ways[0].bytes_per_record <= n_bytes
        fitting = [way for way in ways if way.bytes_per_record <= n_bytes]
        assert ways[0].psnr_db == max(way.psnr_db for way in fitting)
    better = [best_within(hand, n_bytes, 0)[0].psnr_db for n_bytes in (4.0, 12.0, 40.0)]
    assert better == sorted(better)


def test_a_size_that_a_largest_error_exceeds_is_refused_with_what_it_takes(waves_model, waves, path):
    with pytest.raises(InvalidParameterError, match=r"Within a 'max_error' .* each record takes [\d.]+ bytes"):
        narrows.compress(waves, path, model=waves_model, bytes_per_record=3, max_error=0.001)
    assert not path.exists()
    summary = narrows.compress(waves, path, model=waves_model, bytes_per_record=60, max_error=0.05)
    assert summary.max_error <= 0.05


# Nothing asked for


def test_a_bound_that_is_better_in_fewer_bytes_is_taken_by_default(spiked, path):
    """The code cannot restore spikes; a bound that does lets a coarser code be as good."""
    model = narrows.recipe("auto", n_latent=8, training__epochs=1, random_state=0).fit(spiked)
    code = narrows.compress(spiked, path, model=model, quality=model.codec_.default)
    summary = narrows.compress(spiked, path, model=model, force=True)
    assert summary.psnr_db >= code.psnr_db - REACHED_DB
    assert summary.n_bytes < code.n_bytes
    assert [way.error_bound is None for way in summary.ways] == [False, True]


def test_a_quality_that_the_model_was_trained_for_and_misses_is_warned_of(digits, path):
    network = Dense(widths=(8,), output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe(
        "codec", n_latent=2, network=network, likelihood__psnr=30, training__epochs=1, random_state=0
    )
    summary = narrows.compress(digits[1], path, model=model.fit(digits[0]))
    (warning,) = summary.warnings
    assert warning["kind"] == "psnr"
    assert f"restored at {summary.psnr_db:.2f} dB, and the model was trained for 30 dB" in warning["message"]


def test_the_default_is_the_code_where_no_bound_is_better(codec_model, digits, path):
    summary = narrows.compress(digits[1], path, model=codec_model)
    assert summary.error_bound is None
    assert summary.ways[0].name == "code"
    assert inspect(path).metadata["quality"] == codec_model.codec_.default


def test_what_was_measured_is_in_the_summary_and_in_large_archives(waves_model, waves, path, monkeypatch):
    monkeypatch.setattr("narrows.archive.plan._LARGE", 0)
    summary = narrows.compress(waves, path, model=waves_model, psnr=30)
    said = summary.to_json()["ways"]
    assert [one["name"] for one in said] == [way.name for way in summary.ways]
    assert [one[0] for one in inspect(path).metadata["ways"]] == [way.name for way in summary.ways]


# Other compressors


def test_images_are_compared_with_webp_and_avif_at_the_same_psnr(digits):
    some = records_to_measure(digits[1])
    found = yardsticks_of(some, 360, 25.0, are_images=True, error_bound=None, peak=255.0)
    assert {one.name for one in found} >= {"WebP"}
    assert all(one.psnr_db >= 25 and one.is_equal for one in found)
    finer = yardsticks_of(some, 360, 35.0, are_images=True, error_bound=None, peak=255.0)
    assert finer[0].n_bytes > found[0].n_bytes
    assert found == sorted(found, key=lambda one: one.n_bytes)


def test_exact_records_are_compared_with_lossless_compressors_only(digits):
    found = yardsticks_of(digits[1], 360, None, are_images=True, error_bound=0.0, peak=255.0)
    assert {one.name for one in found} == {"zstd", "WebP", "PNG"}
    assert all(one.psnr_db is None for one in found)


def test_floats_are_compared_with_rounded_values_at_the_same_error(waves):
    (by_psnr,) = yardsticks_of(waves, 300, 50.0, are_images=False, error_bound=None, peak=4.0)
    assert by_psnr.psnr_db == pytest.approx(50, abs=0.1)
    (within,) = yardsticks_of(waves, 300, 50.0, are_images=False, error_bound=0.01, peak=4.0)
    (wider,) = yardsticks_of(waves, 300, 50.0, are_images=False, error_bound=0.1, peak=4.0)
    assert wider.n_bytes < within.n_bytes


def test_a_model_pays_only_against_what_is_as_good(codec_model, digits, path):
    summary = narrows.compress(digits[1], path, model=codec_model)
    assert {one.name for one in summary.yardsticks} >= {"WebP"}
    assert summary.rival is summary.yardsticks[0]
    saved = (summary.rival.n_bytes - summary.n_bytes) / 360
    assert summary.pays_after is None if saved <= 0 else summary.pays_after * saved >= summary.model_bytes
