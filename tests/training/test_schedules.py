"""Learning rates over a run."""

import itertools
import math

import pytest

from narrows import Autoencoder, Training
from narrows.networks import Dense
from narrows.training import SGD, Constant, Cosine, OneCycle, Plateau, Schedule

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


@pytest.mark.parametrize(
    ("losses", "factor"),
    [
        ([], 1),
        ([3, 2, 1], 1),
        ([3, 3], 1),
        ([3, 3, 3], 0.5),
        ([3, 4, 2, 2.5, 1, 1], 1),  # better in time
        ([3, 3, 3, 3], 0.5),  # the count starts anew
        ([3, 3, 3, 3, 3], 0.25),
        ([3] * 100, 0.1),  # the lowest factor
        ([-10, -10.05, -10.06], 0.5),  # by less than the threshold of 1 %
        ([-10, -10.2, -10.4], 1),
        ([0, 0, 0], 0.5),
    ],
    ids=repr,
)
def test_a_plateau_reduces_the_rate_when_the_loss_has_not_improved_for_some_epochs(losses, factor):
    schedule = Plateau(decay=0.5, patience=2, threshold=0.01, end=0.1)
    assert schedule.factor(0.5, losses) == factor


@pytest.mark.parametrize("validation", [0, 0.25])
def test_a_run_watches_the_validation_loss_and_otherwise_the_training_loss(validation, rng):
    settings = Training(epochs=6, batch_size=5, validation=validation, schedule=Plateau(patience=1, threshold=10))
    model = Autoencoder(2, network=Dense(), training=settings, artefacts=(), random_state=0).fit(
        rng.normal(size=(20, 4))
    )
    rates = [row["learning_rate"] for row in model.history_]
    losses = [row["loss"] if not validation else row["validation_loss"] for row in model.history_]
    assert rates == [2e-3 * settings.schedule.factor(0, losses[:done]) for done in range(6)]
    assert rates[0] > rates[3] > rates[5]
