"""Pixels are rounded to the levels of a network by squared error and bits together, and archives restore the levels."""

import json

import numpy as np
import pytest

import narrows
from narrows.archive.features import Feature, features_of
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted
from narrows.codec.residual.rounding import can_round, rounded, weight_reaching
from narrows.errors import ArchiveError, InvalidParameterError
from narrows.lossless import CausalNetwork
from narrows.lossless.pixel_levels import PixelLevels
from narrows.networks import Dense
from narrows.numerics.psnr import psnr_db

PSNR = 19.0
EXACT = ErrorBound(np.dtype(np.uint8), 0)


def images(n, seed=0):
    """Return smooth grey images with noise, uint8 (n, 16, 12)."""
    rng = np.random.default_rng(seed)
    waves = np.sin(rng.uniform(0, 6, (n, 1, 1)) + np.arange(16)[:, None] / 3 + np.arange(12) / 4)
    return np.clip(127 + 110 * waves + rng.normal(0, 12, waves.shape), 0, 255).round().astype(np.uint8)


def squared_of(records, restored):
    return np.square(records.astype(float) - restored).mean()


def bytes_of(records, network):
    return len(encode_predicted(records, None, EXACT, network).data)


@pytest.fixture(scope="module")
def model():
    part = CausalNetwork(n_hidden=12, n_components=2, reach=2, epochs=15, psnr=PSNR)
    fitted = narrows.Autoencoder(2, network=Dense(widths=(4,)), residual=part, random_state=0, artefacts=("codec",))
    return fitted.set_params(training__epochs=1).fit(images(300))


@pytest.fixture(scope="module")
def network(model):
    return model.codec_.causal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.narrows"


# Levels


@pytest.mark.parametrize("shape", [(16, 12), (16, 12, 3), (2, 16, 12)])
@pytest.mark.parametrize("psnr", [16.0, 22.0])
def test_levels_that_are_fitted_reach_the_psnr_on_other_records(shape, psnr):
    n = int(np.prod(shape)) // 192
    made, others = (
        np.stack(np.split(images(60 * n, seed), n), 1)
        .reshape(60, n, 16, 12)
        .transpose((0, 2, 3, 1) if shape[-1] == 3 else (0, 1, 2, 3))
        .reshape(60, *shape)
        for seed in (1, 2)
    )
    found = PixelLevels.fit(made, psnr)
    restored = found.rounded(others)
    assert set(np.unique(restored)) <= set(found.levels.tolist())
    assert psnr_db(squared_of(others, restored), 255.0) == pytest.approx(psnr, abs=0.5)
    np.testing.assert_array_equal(found.rounded(others[7:9]), restored[7:9])


def test_there_are_no_few_levels_for_a_high_psnr():
    assert PixelLevels.fit(images(40), 45.0) is None
    with pytest.raises(InvalidParameterError, match="'psnr' of CausalNetwork is too high"):
        CausalNetwork(psnr=45.0).rounding(images(40))


def test_levels_of_constant_images_are_found():
    found = PixelLevels.fit(np.full((20, 8, 8), 7, np.uint8), 30.0)
    np.testing.assert_array_equal(found.rounded(np.full((2, 8, 8), 7, np.uint8)), 7)


# Rounding by a network


def test_without_a_weight_each_pixel_becomes_the_nearest_level(network):
    records = images(2, 3)
    nearest = np.abs(records[..., None].astype(int) - network.levels).min(-1)
    np.testing.assert_array_equal(np.abs(records.astype(int) - rounded(records, network, 0.0)), nearest)


def test_more_weight_of_bits_gives_fewer_bytes_and_larger_errors(network):
    records = images(60, 3)
    made = [rounded(records, network, weight) for weight in (0.0, 300.0, 1500.0)]
    sizes, errors = [bytes_of(one, network) for one in made], [squared_of(records, one) for one in made]
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    assert sizes[2] < 0.8 * sizes[0]


def test_a_record_is_rounded_alike_in_any_batch(network, monkeypatch):
    records = images(30, 4)
    whole = rounded(records, network, 300.0)
    np.testing.assert_array_equal(rounded(records[11:12], network, 300.0), whole[11:12])
    monkeypatch.setattr("narrows.codec.residual.rounding._BATCH_VALUES", 192 * 7)
    np.testing.assert_array_equal(rounded(records, network, 300.0), whole)


@pytest.mark.parametrize("squared", [600.0, 700.0, 900.0])
def test_the_weight_for_an_error_is_nearly_the_largest(network, squared):
    records = images(60, 5)
    weight = weight_reaching(records, network, squared)
    assert squared_of(records, rounded(records, network, weight)) <= squared
    assert squared_of(records, rounded(records, network, weight * 1.2)) > squared * 0.97


def test_an_error_that_levels_do_not_reach_has_no_weight(network):
    assert weight_reaching(images(20), network, 1.0) == weight_reaching(images(20), network, 0.0) == 0.0


def test_only_networks_with_few_levels_round(network, monkeypatch):
    assert can_round(network)
    monkeypatch.setattr("narrows.codec.residual.rounding.MOST_ROUNDED", 1)
    assert not can_round(network)
    assert not can_round(None)


# Archives


def test_archives_restore_the_levels_at_the_psnr_in_fewer_bytes_than_within_a_bound(model, network, path):
    records = images(200, 6)
    summary = narrows.compress(records, path, model=model, psnr=PSNR)
    restored = narrows.restore(path, model=model)
    assert set(np.unique(restored)) <= set(network.levels.tolist())
    assert summary.ways[0].name == "levels"
    assert summary.psnr_db == pytest.approx(psnr_db(squared_of(records, restored), 255.0))
    assert summary.psnr_db >= PSNR - 0.05
    assert summary.max_error == np.abs(records.astype(int) - restored).max()
    assert (summary.error_bound, summary.warnings) == (None, ())
    bound = max(1, int(255 * 10 ** (-PSNR / 20) * 3**0.5))
    within = narrows.compress(records, path, model=model, max_error=bound, force=True)
    assert summary.n_bytes < within.n_bytes


def test_it_is_what_is_written_if_nothing_is_asked_for_and_what_a_trial_shows(model, path):
    records = images(120, 7)
    asked = narrows.compress(records, path, model=model, psnr=PSNR)
    tried = narrows.try_qualities(records, model=model, psnr=PSNR)
    (chosen,) = [one for one in tried.trials if one.is_chosen]
    assert (chosen.quality, chosen.error_bound) == (None, None)
    assert (chosen.n_bytes, chosen.psnr_db, chosen.max_error) == (asked.n_bytes, asked.psnr_db, asked.max_error)
    (lossless,) = [one for one in tried.trials if one.error_bound == 0]
    assert lossless.max_error == 0
    assert not lossless.is_chosen


def test_such_an_archive_is_not_called_lossless(model, path, tmp_path):
    narrows.compress(images(60, 8), path, model=model, psnr=PSNR)
    found, report = narrows.archive.inspect(path), narrows.archive.verify(path, model=model)
    assert found.metadata["rounded"]["weight"] > 0
    assert (found.largest_error, report.largest_error, report.is_intact) == (None, None, True)
    assert not features_of(found.metadata) & ~(Feature.BOUND | Feature.PARTS | Feature.GROUPS)
    from click.testing import CliRunner

    from narrows.cli import main

    told = CliRunner().invoke(main, ["info", str(path)]).stdout
    assert "pixels rounded to a few levels" in told
    assert "bit for bit" not in told
    assert json.loads(CliRunner().invoke(main, ["info", str(path), "--json"]).stdout)["largest_error"] is None


def test_appended_records_are_rounded_too_and_not_losslessly(model, network, path):
    first, second = images(60, 9), images(40, 10)
    narrows.compress(first, path, model=model, psnr=PSNR)
    weight = narrows.archive.inspect(path).metadata["rounded"]["weight"]
    narrows.compress(second, path, model=model, append=True)
    restored = narrows.restore(path, model=model)
    np.testing.assert_array_equal(restored, rounded(np.concatenate([first, second]), network, weight))
    with pytest.raises(ArchiveError, match="rounded to a few levels"):
        narrows.compress(second, path, model=model, append=True, lossless=True)


def test_a_size_is_kept_to(model, path):
    records = images(80, 11)
    free = narrows.compress(records, path, model=model, psnr=PSNR)
    some = narrows.compress(records, path, model=model, bytes_per_record=free.bytes_per_record * 0.9, force=True)
    assert some.bytes_per_record <= free.bytes_per_record
    assert some.psnr_db < free.psnr_db


def test_lossless_archives_are_exact(model, path):
    records = images(60, 12)
    narrows.compress(records, path, model=model, lossless=True)
    np.testing.assert_array_equal(narrows.restore(path, model=model), records)
