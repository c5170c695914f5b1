"""Learning rates over a run."""

import itertools
import math

import pytest

from narrows import Autoencoder, Training
from narrows.networks import Dense
from narrows.training import SGD, Constant, Cosine, OneCycle, Schedule

PROGRESS = [i / 200 for i in range(200)]


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Constant(), {0: 1, 0.5: 1, 0.999: 1}),
        (Cosine(), {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        (Cosine(end=0.2), {0: 1, 0.5: 0.6, 1: 0.2}),
        (Cosine(warmup=0.2), {0: 0, 0.1: 0.5, 0.2: 1, 0.6: 0.5, 1: 0}),
        (Cosine(warmup=1), {0: 0, 0.5: 0.5, 0.999: 0.999}),
        (OneCycle(warmup=0.25, start=0.04, end=0), {0: 0.04, 0.125: 0.52, 0.25: 1, 0.625: 0.5, 1: 0}),
        (OneCycle(warmup=0, end=0.1), {0: 1, 0.5: 0.55, 1: 0.1}),
        (OneCycle(warmup=1, start=0), {0: 0, 0.5: 0.5}),
    ],
    ids=repr,
)
def test_known_points(schedule, points):
    for progress, factor in points.items():
        assert schedule.factor(progress) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("kind", [Cosine, OneCycle])
def test_the_rate_rises_to_its_peak_and_falls_from_there(kind, warmup):
    factors = [kind(warmup=warmup).factor(progress) for progress in PROGRESS]
    peak = round(warmup * 200)
    assert all(a <= b for a, b in itertools.pairwise(factors[: peak + 1]))
    assert all(a >= b for a, b in itertools.pairwise(factors[peak:]))
    assert max(factors) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", Schedule.registry.values(), ids=Schedule.registry)
def test_factors_are_between_0_and_1_and_never_jump(kind):
    factors = [kind().factor(progress) for progress in PROGRESS]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(abs(a - b) < 0.08 for a, b in itertools.pairwise(factors))


def test_the_run_follows_the_schedule_step_by_step(rng):
    """With 4 steps an epoch, an epoch's row tells the rate of its last step: the 4th, the 8th, the 12th of 12."""
    settings = Training(epochs=3, batch_size=5, optimiser=SGD(learning_rate=0.02), schedule=Cosine())
    model = Autoencoder(2, network=Dense(), training=settings, random_state=0).fit(rng.normal(size=(20, 4)))
    expected = [0.02 * (1 + math.cos(math.pi * done / 12)) / 2 for done in (3, 7, 11)]
    assert [row["learning_rate"] for row in model.history_] == pytest.approx(expected)
