"""Several OpenMP threads for whole batches, where they come to the same bits as one."""

import itertools
from functools import cached_property

import numpy as np
import pytest
import torch
from torch import nn

from narrows import Autoencoder, Training
from narrows.chain import Loss
from narrows.numerics.threads import openmp_threads
from narrows.training import Records, Stage, Uncoupled, train
from narrows.training.openmp import same_bits
from narrows.training.pace import Pace

CPU = torch.device("cpu")
X = np.random.default_rng(0).normal(size=(40, 6))


class Learner(Uncoupled, nn.Module):
    """Sums records, and writes down with how many threads; ``careless`` sums that depend on it."""

    shape = (6,)

    def __init__(self, *, careless=False):
        super().__init__()
        self.weight, self.careless, self.seen = nn.Parameter(torch.ones((), dtype=torch.float64)), careless, []

    def loss(self, records, generator=None):
        n = torch.get_num_threads()
        self.seen.append((len(records), n))
        zeros = torch.zeros(len(records), dtype=torch.float64)
        error = 2.0**-50 * n if self.careless else 0.0
        return Loss(self.weight * (records.sum(1) + error), zeros, zeros)


class Alternating(Pace):
    """Takes one thread and two in turns, if it may."""

    turns = itertools.cycle([1, 2, 2])

    @cached_property
    def may_use_two(self):
        return self._is_allowed(2)

    @property
    def n_threads(self):
        return next(self.turns) if self.may_use_two else 1


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    monkeypatch.setattr("narrows.training.workers.usable_cpus", lambda: 2)


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    with openmp_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), openmp_threads(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_all_sizes_of_batches_are_tried():
    learner = Learner()
    assert same_bits(learner, Records(X, CPU), [10, 3], 2)
    assert learner.seen == [(10, 1), (10, 2), (3, 1), (3, 2)]
    assert learner.weight.grad is None


def test_sums_that_depend_on_the_number_of_threads_are_noticed():
    assert not same_bits(Learner(careless=True), Records(X, CPU), [10], 2)


def test_learners_that_couple_records_are_not_asked():
    learner = Learner()
    learner.couples_records = True
    assert not same_bits(learner, Records(X, CPU), [10], 2)
    assert learner.seen == []


@pytest.mark.parametrize("careless", [False, True])
def test_training_uses_more_threads_only_where_the_bits_stay_the_same(careless, monkeypatch):
    def trained(threads):
        learner = Learner(careless=careless)
        settings = Training(epochs=2, batch_size=15)
        train([Stage(learner, Records(X, CPU), None, settings)], learner, seed=0, threads=threads)
        return learner

    alone = trained(1)
    monkeypatch.setattr("narrows.training.loop.Pace", Alternating)
    monkeypatch.setattr("narrows.training.loop.choose_n_shards", lambda *_: 1)
    learner = trained(2)
    assert learner.weight.item() == alone.weight.item()
    steps = learner.seen[2 if careless else 4 :]  # a comparison ends at the first difference
    assert {n for _, n in steps} == ({1} if careless else {1, 2})


def test_the_history_says_how_many_threads_there_were(monkeypatch):
    monkeypatch.setattr("narrows.training.pace._FIRST_SECONDS", 0.0)
    monkeypatch.setattr("narrows.training.pace._SECONDS", 0.0)
    monkeypatch.setattr("narrows.training.pace._GAIN", 1e9)  # more threads always seem faster
    model = Autoencoder(2, training=Training(epochs=8, threads=2), random_state=0).fit(X)
    alone = Autoencoder(2, training=Training(epochs=8, threads=1), random_state=0).fit(X)
    assert [row["loss"] for row in model.history_] == [row["loss"] for row in alone.history_]
    assert {row["threads"] for row in alone.history_} == {1}
