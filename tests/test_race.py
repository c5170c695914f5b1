"""The recipe `codec` compares codes on the user's records in a short race, and trains the one that wins."""

import json
import os
import signal

import numpy as np
import pytest
import torch

import narrows
from narrows.bottlenecks import Rounded
from narrows.chain import Parts
from narrows.codec.residual.bound_choice import bounds_for
from narrows.codec.residual.error_bound import ErrorBound
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.estimators import planning, race
from narrows.estimators.budget import residual_for, whole_epochs
from narrows.estimators.preparation import parts_for, split
from narrows.lossless import CausalNetwork
from narrows.model.describe import race_text
from narrows.model.inspection import read_header
from narrows.model.race import Entrant, Race
from narrows.networks import Dense, Strided
from narrows.numerics.psnr import psnr_db
from narrows.numerics.randomness import Stream, generator
from narrows.records import schema_of

EPOCHS = 12


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][:160]


@pytest.fixture(scope="module")
def short_races():
    """Let a race of ten steps count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race, "_FEWEST_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def stages():
    """Return the names of the stages that the training of the model had, in order."""
    return []


@pytest.fixture(scope="module")
def model(images, short_races, stages):
    class Names(narrows.training.Callback):
        def stage(self, name):
            stages.append(name)

    return recipe(psnr=26).fit(images, callback=Names())


def recipe(psnr=26, **changes):
    usual = {"likelihood__psnr": psnr, "training__epochs": EPOCHS, "artefacts": "codec", "random_state": 0}
    return narrows.recipe("codec", **usual | changes)


def entrant(name, cost, *, reaches=26.0):
    return Entrant(name, cost / 2, reaches, reaches, cost)


def result(*entrants, psnr=26.0):
    """Return the race of a map, a code without places, and pixels, which ended with these numbers."""
    ways = []
    for name in ("map", "vector"):
        network = Strided(code_channels=8 if name == "map" else None)
        parts = Parts(32 if name == "vector" else None, network, Rounded(), None)
        ways.append(race._Way(name, race._OF_MAP, parts))
    ways.append(race._Way("pixels", race._OF_RESIDUAL, residual=CausalNetwork(max_error=60)))
    return race._result(ways, entrants, 100, 200, psnr)


def test_the_lowest_expected_cost_wins_and_a_network_far_behind_is_not_trained():
    found = result(entrant("map", 40), entrant("vector", 30), entrant("pixels", 37))
    assert (found.code, found.wins, found.n_latent, found.residual) == (1, 1, 32, None)
    assert found.network.code_channels is None


def test_where_pixels_win_the_network_is_trained_beside_the_best_code():
    found = result(entrant("map", 50), entrant("vector", 60), entrant("pixels", 37))
    assert (found.code, found.wins) == (0, 2)
    assert found.residual == CausalNetwork(max_error=60)


def test_a_code_that_does_not_reach_the_quality_loses_to_all_that_do():
    found = result(entrant("map", 40, reaches=25.8), entrant("vector", 20, reaches=22.0), entrant("pixels", 60))
    assert (found.code, found.wins) == (0, 0)


def test_a_code_that_will_not_be_used_is_trained_briefly_and_a_close_one_in_full():
    settings = narrows.recipe("codec").training
    usual = whole_epochs(20_000, 784)
    far, close = (result(entrant("map", cost), entrant("vector", 90), entrant("pixels", 37)) for cost in (50, 39))
    assert race.settings_after(close, settings, 20_000, 784).epochs == usual
    assert race.settings_after(far, settings, 20_000, 784).epochs == usual // 8
    asked = settings.clone().set_params(epochs=3)
    assert race.settings_after(far, asked, 20_000, 784).epochs == 3, "as requested"


@pytest.mark.parametrize(
    "changes",
    [
        {"n_latent": 8},
        {"network": Dense()},
        {"bottleneck": "plain"},
        {"race": False},
        {"residual": "causal"},
        {"record": "vector"},
        {"training__epochs": 1},
    ],
)
def test_only_what_is_left_to_auto_is_raced_for_and_not_in_a_short_training(images, short_races, changes):
    model = narrows.recipe("codec", **{"training__epochs": EPOCHS, **changes})
    params, source = model.get_params(deep=False), Source(images, name="digits")
    schema = schema_of(params["record"], source.shape, source.dtype)
    assert not race.races(params, parts_for(params, source, schema, 0), source)


def test_the_race_is_told_in_numbers_and_in_words_and_survives_the_file(model, tmp_path):
    found = model.model_.race
    assert [one.name.split()[0] for one in found.entrants] == ["code", "pixels"]
    assert found.n_records == 20
    assert Race.from_json(json.loads(json.dumps(found.to_json()))) == found
    model.save(tmp_path / "m.safetensors")
    assert narrows.load(tmp_path / "m.safetensors").model_.race == found
    header = read_header(tmp_path / "m.safetensors")
    told = race_text(header["race"])
    assert all(one.name in told for one in found.entrants)
    assert "26 dB" in told


def test_a_resumed_run_has_the_race_of_the_run_that_it_continues(images, model, tmp_path, monkeypatch, short_races):
    class Stop(narrows.training.Callback):
        def epoch(self, row):
            if row.epoch == 4:
                os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        recipe().fit(images, callback=Stop(), checkpoint=path)
    monkeypatch.setattr(planning, "race_for", lambda *_, **__: pytest.fail("the race was run again"))
    resumed = recipe().fit(images, checkpoint=path, resume=True)
    assert resumed.model_.race == model.model_.race
    weights, others = (one.chain_.state_dict() for one in (resumed, model))
    assert all(weights[name].equal(others[name]) for name in others)


def test_each_entrant_is_named_while_it_is_trained(model, stages):
    assert stages[0].startswith("race 1/2, code without places of")
    assert stages[1].startswith("race 2/2, pixels in")
    assert stages[2].startswith("code without places of")
    assert "wins" in stages[2]
    assert stages[3:] in ([], ["residuals"])


def test_the_bounds_for_a_quality_reach_it(rng):
    values = rng.choice([0, 0, 0, 0, 40, 130, 255], 5000)
    counts = np.bincount(values, minlength=256)
    bounds = bounds_for(counts, 30.0)
    for bound in bounds:
        restored = np.clip((values + bound) // (2 * bound + 1) * (2 * bound + 1), 0, 255)
        assert psnr_db(np.square(restored - values).mean(), 255.0) >= 30.0
    assert bounds_for(counts, 99.0)[-1] == 0


@pytest.mark.parametrize("max_error", [0, 3, 60, 127])
def test_a_network_for_a_bound_learns_from_what_archives_restore(rng, max_error):
    x = rng.integers(0, 256, (2, 6, 6), dtype=np.uint8)
    module = CausalNetwork(max_error=max_error).build((6, 6), x.dtype, generator(0, Stream.WEIGHTS))
    grid = ErrorBound(x.dtype, max_error)
    q, _ = grid.steps(x, np.zeros(x.shape, np.int64))
    restored = np.clip(grid.step * q, 0, 255)
    np.testing.assert_array_equal(module.images(torch.from_numpy(x))[..., 0].numpy(), restored)


def test_the_bound_of_a_network_is_for_bytes():
    with pytest.raises(InvalidParameterError, match="max_error"):
        CausalNetwork(max_error=3).build((8, 8), np.dtype(bool), None)
    with pytest.raises(InvalidParameterError, match="psnr"):
        CausalNetwork(psnr=30).build((8, 8), np.dtype(bool), None)
    with pytest.raises(InvalidParameterError, match="'max_error' or 'psnr'"):
        CausalNetwork(psnr=30, max_error=3)


def test_a_residual_model_of_auto_is_sized_by_the_records(images):
    model = narrows.recipe("lossless", training__epochs=1, random_state=0).fit(images)
    assert model.model_.residual_part == residual_for((8, 8), 140, most_epochs=1)
    assert model.codec_.causal is not None


def test_compress_reaches_a_quality_by_the_way_with_the_fewest_bytes(model, digits, tmp_path):
    """The code of this model is hardly trained, and its network of residuals reaches any quality."""
    x = digits[1][:100]
    summary = narrows.compress(x, tmp_path / "a.narrows", model=model, psnr=26)
    assert summary.psnr_db >= 26
    assert summary.ways[0].name != "code"
    assert set(summary.chunks_kept) <= {"network", "neighbours", "zstd"}
    assert np.abs(narrows.restore(tmp_path / "a.narrows", model=model).astype(int) - x).max() == summary.max_error
    code = narrows.compress(x, tmp_path / "b.narrows", model=model, quality=0)
    coarse = narrows.compress(x, tmp_path / "c.narrows", model=model, psnr=model.codec_.qualities[0].psnr_db - 1)
    assert coarse.n_bytes <= code.n_bytes * 1.05


def test_where_nothing_is_requested_the_quality_is_that_of_the_training(model, digits, tmp_path):
    assert model.model_.race.residual is not None
    x = digits[1][:100]
    usual, asked = (narrows.compress(x, tmp_path / f"{k}.narrows", model=model, psnr=k) for k in (None, 26))
    assert (usual.n_bytes, usual.error_bound) == (asked.n_bytes, asked.error_bound)
    again = narrows.compress(x, tmp_path / "None.narrows", model=model, append=True)
    assert (again.total_records, again.error_bound) == (200, usual.error_bound)
    tried = narrows.try_qualities(x, model=model)
    (default,) = [one for one in tried.trials if one.is_default]
    assert default.error_bound == usual.error_bound


def test_the_race_and_the_trainings_see_fewer_records_if_these_are_large():
    settings = narrows.recipe("codec").training
    shapes = (2048, 2048, 3), (28, 28)
    photographs, digits = (Source(np.broadcast_to(np.uint8(0), (2, *shape)), name="x") for shape in shapes)
    assert race._n_seen(settings, digits, 50_000) == race._RECORDS
    assert race._n_seen(settings, photographs, 50_000) < race._FEWEST_STEPS * race._BATCH, "so there is no race"
    assert whole_epochs(60_000, 784) == 10
    assert residual_for((28, 28), 60_000).epochs == 32
    assert residual_for((28, 28), 60_000, max_error=60).epochs == 5
    assert residual_for((28, 28), 60_000, psnr=30.0).epochs == 5
    assert residual_for((32, 32, 3), 10_000).epochs == 49


def test_the_qualities_have_the_psnr_of_the_records_that_were_held_out(model, images):
    _, rows = split(len(images), 20, model.trained_on_.seed)
    held_out = images[rows]
    codec = model.codec_
    for position, quality in enumerate(codec.qualities):
        restored = codec.decode(model.quantise(held_out, position), position)
        error = np.square(restored.astype(float) - held_out).mean()
        assert psnr_db(error, 255.0) == pytest.approx(quality.psnr_db, abs=1e-6)
