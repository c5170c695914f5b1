"""How many threads make a step while the load of the machine changes."""

import pytest

from narrows.training.pace import Pace


def run(pace, seconds, until):
    """Make steps that take ``seconds(n_threads)``, and return the share of the time with each number of workers."""
    spent, now = {}, 0.0
    while now < until:
        n, took = pace.n_threads, seconds(pace.n_threads)
        spent[n] = spent.get(n, 0.0) + took
        now += took
        pace.record(took)
    return {n: seconds / now for n, seconds in spent.items()}


def idle(n_threads):
    return 0.004 / n_threads + 0.001


def busy(n_threads):
    return 0.005 * n_threads


def test_it_starts_with_all():
    assert [Pace(most).n_threads for most in (1, 2, 3, 8)] == [1, 2, 3, 8]


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
    def best_at_four(n_threads):
        return {1: 0.004, 2: 0.0025, 4: 0.0015}.get(n_threads, 0.003)

    pace = Pace(6)
    assert {*run(pace, best_at_four, 10)} <= {1, 2, 4, 6}
    assert run(pace, best_at_four, 20)[4] > 0.85


def test_trials_of_steps_that_take_seconds_are_rare():
    assert run(Pace(2), lambda n: 5.0 if n == 1 else 3.0, 3000)[2] > 0.9


def test_numbers_that_may_not_be_used_are_asked_for_once_and_never_used():
    asked = []

    def may_use(n_threads):
        asked.append(n_threads)
        return n_threads != 4

    pace = Pace(8, may_use)
    assert pace.n_threads == 1
    assert {*run(pace, idle, 20)} == {1, 2, 8}
    assert sorted(asked) == [2, 4, 8]


def test_where_no_number_may_be_used_nothing_is_timed_any_more():
    pace = Pace(4, lambda n_threads: False)
    assert run(pace, idle, 20) == {1: pytest.approx(1)}
    assert pace.is_fixed


def test_a_single_thread_is_not_timed():
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
    assert pace.mostly_used == pace.n_threads
