"""Threads that share the items of a list."""

import threading
import time
import traceback
import weakref
from contextlib import contextmanager

import pytest
import torch

from narrows.numerics import control_groups, cpus
from narrows.numerics.cpus import usable_cpus
from narrows.numerics.threads import one_openmp_thread
from narrows.training import workers
from narrows.training.workers import Workers, most_workers, over_workers


def n_workers_alive():
    return sum(thread.name == "narrows-worker" for thread in threading.enumerate())


def meet(n):
    """Return a function that answers only when n threads are in it at the same time."""
    barrier = threading.Barrier(n)

    def function(item):
        barrier.wait(timeout=10)
        return item, threading.current_thread()

    return function


@pytest.mark.parametrize("most", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(most):
    with Workers(most) as pool:
        assert pool.map(lambda item: (time.sleep(0.002 * (item % 2)), item)[1], range(12)) == list(range(12))
        assert pool.map(str, iter("ab"), 1) == ["a", "b"]
        assert pool.map(str, []) == []


@contextmanager
def busy_workers():
    """Return workers that are all busy, with another thread that waits for them, until the event is set."""
    inside, free = threading.Semaphore(0), threading.Event()

    def block(item):
        inside.release()
        free.wait(10)

    with Workers(2) as pool:
        other = threading.Thread(target=pool.map, args=(block, range(2)))
        other.start()
        assert inside.acquire(timeout=10)
        assert inside.acquire(timeout=10), "that thread and the worker are busy"
        yield pool, free, other


def test_items_are_computed_at_the_same_time():
    with Workers(3) as pool:
        found = pool.map(meet(3), range(3))
    assert len({thread for _, thread in found}) == 3


def test_the_caller_computes_what_no_other_worker_has_begun():
    with busy_workers() as (pool, free, other):
        assert pool.map(lambda item: threading.current_thread(), range(3)) == [threading.main_thread()] * 3
        free.set()
        other.join()


def test_every_worker_has_one_openmp_thread():
    together = meet(3)
    with one_openmp_thread(), Workers(3) as pool:
        assert pool.map(lambda item: (together(item), torch.get_num_threads())[1], range(3)) == [1, 1, 1]


def test_an_exception_reaches_the_caller_with_the_traceback_of_its_worker():
    together = meet(2)

    def fail_here(item):
        together(item)
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError("of a worker")
        return item

    with pytest.raises(ZeroDivisionError, match="of a worker") as caught, Workers(2) as pool:
        pool.map(fail_here, range(2))
    assert "fail_here" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert n_workers_alive() == 0


def test_of_several_exceptions_the_earliest_item_decides():
    together = meet(3)

    def fail(item):
        together(item)
        raise ValueError(str(item))

    with pytest.raises(ValueError, match=r"^0$"), Workers(3) as pool:
        pool.map(fail, range(9))


def test_an_exception_of_the_items_themselves_is_raised_too():
    def items():
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"), Workers(2) as pool:
        pool.map(str, items())


def test_after_ctrl_c_no_thread_is_left():
    def interrupted(item):
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return item

    with pytest.raises(KeyboardInterrupt), Workers(2) as pool:
        pool.map(interrupted, range(100))
    assert n_workers_alive() == 0


def test_threads_start_only_when_they_are_needed_and_are_kept():
    with Workers(4) as pool:
        pool.map(str, range(9), 1)
        assert n_workers_alive() == 0
        pool.map(str, range(9), 2)
        pool.map(str, range(9), 2)
        assert n_workers_alive() == 1
    assert n_workers_alive() == 0


def test_a_worker_that_comes_too_late_finds_neither_items_nor_results():
    class Result:
        pass

    with busy_workers() as (pool, free, other):
        results = [weakref.ref(result) for result in pool.map(lambda item: Result(), range(3))]
        assert [result() for result in results] == [None] * 3
        free.set()
        other.join()


def test_after_an_interrupt_between_items_the_workers_begin_no_more(monkeypatch):
    begun, started, go_on = [], threading.Event(), threading.Event()

    def compute(item):
        begun.append(item)
        started.set()
        go_on.wait(10)

    work = workers._Round.work

    def interrupted(current):
        if threading.current_thread() is threading.main_thread():
            started.wait(10)
            raise KeyboardInterrupt
        work(current)

    monkeypatch.setattr(workers._Round, "work", interrupted)
    with Workers(2) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.map(compute, range(100))
        go_on.set()
    assert begun == [0]


# Batches that are only measured


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_measuring_needs_no_gradients(device):
    weight = torch.ones(3, requires_grad=True)
    found = over_workers(lambda item: (item * weight).requires_grad, range(4), torch.device(device))
    assert found == [False] * 4
    assert torch.is_grad_enabled()


def test_measuring_takes_as_many_threads_as_pytorch_had_outside(monkeypatch):
    monkeypatch.setattr(workers, "usable_cpus", lambda: 4)
    torch.set_num_threads(2)
    try:
        with one_openmp_thread(), one_openmp_thread():
            together = over_workers(meet(2), range(2), torch.device("cpu"))
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert len({thread for _, thread in together}) == 2


# How many are of use


@pytest.mark.parametrize(("threads", "n_cpus", "most"), [(None, 8, 1), (3, 8, 3), (3, 2, 2), (1, 8, 1)])
def test_workers_are_as_many_as_are_asked_for_or_as_pytorch_has_but_no_more_than_cpus(
    threads, n_cpus, most, monkeypatch
):
    """PyTorch takes its number from OMP_NUM_THREADS; in tests it is 1."""
    monkeypatch.setattr(workers, "usable_cpus", lambda: n_cpus)
    assert most_workers(threads) == most


@pytest.mark.parametrize(
    ("groups", "files", "n_cpus"),
    [
        ("0::/a/b\n", {}, 6),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000"}, 6),
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "300000 100000"}, 3),
        ("0::/\n", {"cpu.max": "900000 100000"}, 6),
        ("3:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "200000", "cpu/x/cpu.cfs_period_us": "100000"}, 2),
        ("3:cpu:/x\n", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, 6),
        ("2:cpuset:/x\n", {"cpu/x/cpu.cfs_quota_us": "100000", "cpu/x/cpu.cfs_period_us": "100000"}, 6),
        (None, {}, 6),
    ],
)
def test_affinity_and_quotas_limit_the_cpus(groups, files, n_cpus, monkeypatch, tmp_path):
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    monkeypatch.setattr(control_groups, "_OF_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "_MOUNTED", tmp_path / "groups")
    assert usable_cpus() == n_cpus


def test_this_machine_has_cpus():
    assert usable_cpus() >= 1
