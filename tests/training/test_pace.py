"""How many workers make a step while the load of the machine changes."""

import pytest

from narrows.training.pace import Pace


def run(pace, seconds, until):
    """Make steps that take ``seconds(n_workers)``, and return the share of the time with each number of workers."""
    spent, now = {}, 0.0
    while now < until:
        n, took = pace.n_workers, seconds(pace.n_workers)
        spent[n] = spent.get(n, 0.0) + took
        now += took
        pace.record(took)
    return {n: seconds / now for n, seconds in spent.items()}


def idle(n_workers):
    return 0.004 / n_workers + 0.001


def busy(n_workers):
    return 0.005 * n_workers


def test_it_starts_with_all():
    assert [Pace(most).n_workers for most in (1, 2, 3, 8)] == [1, 2, 3, 8]


def test_on_an_idle_machine_it_stays_with_all_but_for_trials():
    assert run(Pace(2), idle, 20)[2] > 0.93


def test_beside_busy_processes_it_goes_to_one_within_a_second():
    pace = Pace(2)
    assert run(pace, busy, 1)[1] > 0.5
    assert run(pace, busy, 20)[1] > 0.9


def test_when_the_load_is_gone_it_comes_back():
    pace = Pace(2)
    run(pace, busy, 5)
    assert run(pace, idle, 20)[2] > 0.85


def test_of_many_the_best_number_is_found():
    def best_at_four(n_workers):
        return {1: 0.004, 2: 0.0025, 4: 0.0015}.get(n_workers, 0.003)

    pace = Pace(6)
    assert {*run(pace, best_at_four, 10)} <= {1, 2, 4, 6}
    assert run(pace, best_at_four, 20)[4] > 0.85


def test_trials_of_steps_that_take_seconds_are_rare():
    assert run(Pace(2), lambda n: 5.0 if n == 1 else 3.0, 3000)[2] > 0.9


def test_a_single_worker_is_not_timed():
    pace = Pace(1)
    assert pace.is_fixed
    run(pace, lambda n: 1.0, 5)
    assert pace.used == {1: 5}


@pytest.mark.parametrize("load", [idle, busy])
def test_it_counts_the_steps_that_each_number_made(load):
    pace = Pace(2)
    assert pace.mostly_used == 2
    run(pace, load, 10)
    assert pace.mostly_used == (2 if load is idle else 1)
    pace.used.clear()
    assert pace.mostly_used == pace.n_workers
