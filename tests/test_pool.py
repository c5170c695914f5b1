"""Threads that share pieces of work: the results come in order, errors in their turn, and little is in flight."""

import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from narrows.errors import DataWarning, InvalidParameterError, recorded, warn
from narrows.numerics.cpus import usable_cpus
from narrows.numerics.pool import Pool, most_threads

ANY_NUMBER = pytest.mark.parametrize("threads", [1, 2, 3])


@ANY_NUMBER
def test_results_come_in_the_order_of_the_items(threads):
    with Pool(threads) as pool:
        assert list(pool.map(lambda item: item * item, range(50))) == [item * item for item in range(50)]
        assert list(pool.map(str, [])) == []
        assert list(pool.map(str, [1])) == ["1"]


def test_by_default_all_cpus_are_used_that_the_process_may_use():
    assert Pool().threads == usable_cpus()


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_other_numbers_of_threads_are_refused(threads):
    with pytest.raises(InvalidParameterError, match=r"'threads' \(--threads\) must be a whole number ≥ 1"):
        Pool(threads)


@ANY_NUMBER
def test_items_are_taken_only_shortly_before_they_are_needed(threads):
    taken = []
    with Pool(threads) as pool:
        for done, _ in enumerate(pool.map(str, (taken.append(item) or item for item in range(40))), 1):
            assert len(taken) <= done + 2 * threads


def test_large_pieces_are_computed_one_by_one():
    taken = []
    with Pool(3) as pool:
        results = pool.map(str, (taken.append(item) or item for item in range(40)), n_bytes=1 << 40)
        next(results)
        assert len(taken) <= 3


def test_pieces_are_computed_at_the_same_time():
    meeting = threading.Barrier(3, timeout=30)
    with Pool(3) as pool:
        assert len(list(pool.map(lambda _: meeting.wait(), range(6)))) == 6


@ANY_NUMBER
def test_an_error_is_raised_once_in_its_turn(threads):
    def halved(item):
        if item % 2:
            raise ValueError(f"{item} is odd")
        return item // 2

    found = []
    with Pool(threads) as pool, pytest.raises(ValueError, match="9 is odd"):
        found.extend(pool.map(halved, [2, 4, 6, 8, 9, 10, 11, 12]))
    assert found == [1, 2, 3, 4]


@ANY_NUMBER
def test_an_error_in_taking_an_item_is_raised_in_its_turn(threads):
    def items():
        yield from (1, 2, 3)
        raise KeyError("the fourth")

    found = []
    with Pool(threads) as pool, pytest.raises(KeyError, match="the fourth"):
        found.extend(pool.map(str, items()))
    assert found == ["1", "2", "3"]


def test_leaving_by_an_interruption_starts_nothing_more():
    started = []

    def interrupted():
        with Pool(2) as pool:
            for _ in pool.map(started.append, range(1000)):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    n_started = len(started)
    assert n_started <= 6
    assert threading.active_count() == len([one for one in threading.enumerate() if "narrows-pool" not in one.name])


@ANY_NUMBER
def test_a_piece_computes_on_one_thread(threads):
    np.ones((2, 2)) @ np.ones((2, 2))

    def numbers(_):
        return most_threads(), {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with Pool(threads) as pool:
        assert all(found in ((1, {1}), (1, set())) for found in pool.map(numbers, range(5)))
        assert most_threads() is None
        assert [one for one, _ in pool.map(numbers, [0])] == [threads]  # a single piece may use all threads


def test_warnings_of_pieces_reach_those_who_record_them():
    with warnings.catch_warnings(), recorded() as found, Pool(2) as pool:
        warnings.simplefilter("ignore", DataWarning)
        list(pool.map(lambda item: warn(DataWarning(f"number {item}")), range(4)))
    assert sorted(map(str, found)) == [f"number {item}" for item in range(4)]
