"""Numbers of threads, which are settings of the process, while several threads change them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from narrows import Autoencoder, Training
from narrows.numerics.threads import n_threads_outside, one_blas_thread, one_openmp_thread, openmp_threads
from narrows.training.workers import Workers, most_workers


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr("narrows.training.workers.usable_cpus", lambda: 4)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def in_a_new_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def after_an_operator(function=torch.get_num_threads):
    torch.ones(100_000).sum()
    return function()


class Block:
    """A thread that is in a context until it is told to leave."""

    def __init__(self, *contexts):
        self._entered, self._may_leave = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._contexts = contexts
        self._pool.submit(self._stay)
        assert self._entered.wait(10)

    def _stay(self):
        with ExitStack() as stack:
            for context in self._contexts:
                stack.enter_context(context())
            self._entered.set()
            assert self._may_leave.wait(10)

    def run(self, function):
        return self._pool.submit(function).result()

    def leave(self):
        self._may_leave.set()

    def close(self):
        self._pool.shutdown()


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_pytorch_has_its_number_of_threads_back():
    with one_openmp_thread(), Workers(2) as pool:
        pool.map(str, range(2))
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), one_openmp_thread():
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
    assert in_a_new_thread(after_an_operator) == 2


def test_workers_alone_leave_no_number_behind():
    with Workers(3) as pool:
        pool.map(str, range(3))
    assert torch.get_num_threads() == 2
    assert in_a_new_thread(after_an_operator) == 2


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_after_blocks_that_overlap_every_thread_has_its_number_back(first_leaves_first):
    first = Block(one_openmp_thread)
    second = Block(one_openmp_thread)
    leaving = [first, second] if first_leaves_first else [second, first]
    for block in leaving:
        block.leave()
        assert block.run(torch.get_num_threads) == 2
    assert in_a_new_thread(after_an_operator) == 2
    for block in leaving:
        block.close()


def test_within_a_block_of_another_thread_there_are_as_many_workers_as_outside():
    other = Block(one_openmp_thread)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(after_an_operator).result() == 1, "what PyTorch gives a new thread"
        assert pool.submit(most_workers, None).result() == 2
        other.leave()
        other.close()

        def inside():
            with one_openmp_thread():
                return n_threads_outside()

        assert pool.submit(inside).result() == 2
        assert pool.submit(torch.get_num_threads).result() == 2
    assert in_a_new_thread(after_an_operator) == 2


def test_a_thread_that_is_set_to_one_stays_there():
    with one_openmp_thread():
        pass
    torch.set_num_threads(1)
    with one_openmp_thread():
        assert most_workers(None) == 1
    assert torch.get_num_threads() == 1


def test_blocks_within_blocks_have_their_own_numbers():
    with one_openmp_thread():
        with openmp_threads(3):
            with one_openmp_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
        assert n_threads_outside() == 2
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("chain_only")
def test_calls_from_a_pool_of_threads_change_nothing_for_good(rng):
    x = rng.normal(size=(50, 4))
    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(x)
    alone = model.transform(x)
    with ThreadPoolExecutor(4) as pool:
        for codes in pool.map(lambda _: model.transform(x), range(12)):
            np.testing.assert_array_equal(codes, alone)
    assert torch.get_num_threads() == 2
    assert in_a_new_thread(after_an_operator) == 2


def set_blas_threads(n):
    """Set the number of all libraries in a thread that ends, since a living one would keep others from changing it."""
    in_a_new_thread(lambda: threadpool_limits(n, user_api="blas"))


@pytest.fixture
def two_blas_threads():
    set_blas_threads(2)
    yield
    set_blas_threads(1)


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_after_blocks_that_overlap_blas_has_its_number_of_threads_back(first_leaves_first):
    assert blas_threads() == {2}
    blocks = [Block(one_blas_thread), Block(one_blas_thread)]
    one, other = blocks if first_leaves_first else reversed(blocks)
    assert blas_threads() == {1}
    one.leave()
    assert one.run(blas_threads) == {1}, "another thread is still inside"
    other.leave()
    assert other.run(blas_threads) == {2}
    one.close()
    other.close()
    with one_blas_thread(), one_blas_thread():
        assert blas_threads() == {1}
    assert blas_threads() == {2}
