"""Batches cut into shards: the same bits whoever computes them, and only where it pays."""

import functools
import itertools
import threading

import numpy as np
import pytest
import torch
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.chain import Loss
from narrows.errors import TrainingDivergedError
from narrows.lossless import CausalNetwork
from narrows.networks import Convolutional
from narrows.penalties import MMD
from narrows.training import SGD, Adadelta, Adam, Callback, Records, Stage, Uncoupled, train
from narrows.training.pace import Pace
from narrows.training.shards import Shards
from narrows.training.work import choose_n_shards
from narrows.training.workers import Workers

X = np.random.default_rng(0).normal(size=(40, 6))
IMAGES = np.random.default_rng(1).integers(0, 256, (20, 8, 8), dtype=np.uint8)
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("chain_only")


@pytest.fixture(params=[pytest.param(2, marks=pytest.mark.slow), 4], autouse=True)
def n_shards(request, monkeypatch):
    """Cut every batch that may be cut, on a machine with many CPUs."""
    monkeypatch.setattr("narrows.training.work._SHARDS", {request.param: -1.0})
    monkeypatch.setattr("narrows.training.workers.usable_cpus", lambda: 8)
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    return request.param


@pytest.fixture(scope="module")
def unstopped():
    """Return a function that returns the outcome of a run that nothing stops, by the number of shards."""
    return functools.cache(lambda n_shards: outcome(make(2).fit(X)))


def make(threads=None, **changes):
    settings = {"epochs": 3, "batch_size": 10, "validation": 0.2, "threads": threads, **changes.pop("training", {})}
    usual = {"corruption": "gaussian", "bottleneck": "gaussian", "likelihood": "normal", "random_state": 7}
    return Autoencoder(3, training=Training(**settings), **{**usual, **changes})


def outcome(model):
    history = [(row["epoch"], row["loss"], row["validation_loss"]) for row in model.history_]
    return {name: weight.tolist() for name, weight in model.chain_.state_dict().items()}, history


class Erratic(Pace):
    """Takes another number of threads for every step."""

    numbers = itertools.cycle([1, 3, 2, 4, 1, 2])

    @property
    def n_threads(self):
        return next(self.numbers)


class StopAt(Callback):
    def __init__(self, at, error):
        self.n_steps, self.at, self.error = 0, at, error

    def step(self, epoch, records_done, loss):
        self.n_steps += 1
        if self.n_steps == self.at:
            raise self.error


@pytest.mark.parametrize("optimiser", [Adam(), SGD(momentum=0.9), Adadelta()], ids=repr)
def test_any_number_of_workers_comes_to_the_same_bits(optimiser, monkeypatch):
    training = {"optimiser": optimiser}
    alone = outcome(make(1, training=training).fit(X))
    for threads in (2, 4):
        assert outcome(make(threads, training=training).fit(X)) == alone
    monkeypatch.setattr("narrows.training.loop.Pace", Erratic)
    assert outcome(make(4, training=training).fit(X)) == alone


@pytest.mark.parametrize(
    "changes",
    [{"network": Convolutional(channels=(4, 6), kernel=3), "likelihood": "bernoulli"}, {"network": "strided"}],
    ids=["convolutional", "strided"],
)
def test_kernels_that_lie_channels_last_learn_the_same(changes):
    fits = [make(threads, preprocessing="unit-scale", **changes).fit(IMAGES) for threads in (1, 2)]
    assert outcome(fits[0]) == outcome(fits[1])
    assert fits[0].history_[-1]["loss"] < fits[0].history_[0]["loss"]


def test_the_gradient_is_that_of_the_whole_batch(n_shards):
    """Without noise; convolutions are laid out channels last, and so are their gradients."""
    network = Convolutional(channels=(4,), kernel=3)
    chain = make(network=network, bottleneck="plain", corruption=None, training={"precision": "float64"})
    chain = chain.fit(IMAGES).chain_.train()
    records, rows = Records(IMAGES, CPU), torch.arange(15)
    weights = list(chain.parameters())
    loss = chain.loss(records.take(rows), torch.Generator()).total.mean()
    expected = torch.autograd.grad(loss, weights)
    with Workers(2) as workers:
        noises = [torch.Generator() for _ in range(n_shards)]
        found = Shards(chain, records, workers).backward(rows, noises, 2)
    torch.testing.assert_close(found, loss.detach(), rtol=1e-12, atol=0)
    for weight, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-9, atol=1e-9)
        assert weight.grad.stride() == weight.stride()


class Sum(Uncoupled, nn.Module):
    """A learner whose weights have one gradient tensor in common."""

    shape = (3,)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))

    def loss(self, records, generator=None):
        zeros = torch.zeros(len(records))
        return Loss(((self.a + self.b) * records).sum(1), zeros, zeros)


def test_weights_that_share_a_gradient_tensor_get_that_of_the_whole_batch(n_shards):
    learner, x = Sum(), np.arange(12, dtype=np.float32).reshape(4, 3)
    with Workers(1) as workers:
        noises = [torch.Generator() for _ in range(n_shards)]
        Shards(learner, Records(x, CPU), workers).backward(torch.arange(4), noises, 1)
    assert learner.a.grad.tolist() == learner.b.grad.tolist() == [4.5, 5.5, 6.5]


def test_a_batch_may_have_fewer_records_than_shards():
    model = make(2, training={"batch_size": 3, "validation": 0.0}).fit(X[:7])  # the last batch of an epoch has one
    assert np.isfinite(model.history_[-1]["loss"])
    assert outcome(model) == outcome(make(1, training={"batch_size": 3, "validation": 0.0}).fit(X[:7]))


class Witness(Uncoupled, nn.Module):
    """A learner that writes down the noise of each shard."""

    shape = (6,)

    def __init__(self):
        super().__init__()
        self.weight, self.noises = nn.Parameter(torch.ones((), dtype=torch.float64)), []

    def loss(self, records, generator=None):
        self.noises.append(tuple(torch.rand(2, generator=generator).tolist()))
        zeros = torch.zeros(len(records), dtype=torch.float64)
        return Loss(self.weight * records.sum(1), zeros, zeros)


def test_every_shard_of_every_step_has_noise_of_its_own(n_shards, monkeypatch):
    monkeypatch.setattr("narrows.training.loop.choose_n_shards", lambda *_: n_shards)
    runs = []
    for threads in (1, 2):
        witness = Witness()
        train(
            [Stage(witness, Records(X, CPU), None, Training(epochs=3, batch_size=10))], witness, seed=1, threads=threads
        )
        runs.append(sorted(witness.noises))
        assert len(set(witness.noises)) == 3 * 4 * n_shards, threads
    assert runs[0] == runs[1]


# Interruptions


@pytest.mark.pairs
@pytest.mark.parametrize("stop_after", [1, 3, 4, 6])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_is_resumed_to_the_bit_with_any_number_of_threads(
    threads, stop_after, n_shards, tmp_path, monkeypatch, unstopped
):
    whole = unstopped(n_shards)
    path = tmp_path / "checkpoint"
    with monkeypatch.context() as patched:
        patched.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
        with pytest.raises(ZeroDivisionError):
            make(2).fit(X, checkpoint=path, callback=StopAt(stop_after + 1, ZeroDivisionError()))
    assert outcome(make(threads).fit(X, checkpoint=path, resume=True)) == whole


def test_a_run_of_the_default_training_is_resumed_with_threads_that_are_set(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.settings._MOST_EPOCHS", 30)
    path = tmp_path / "checkpoint"
    whole = Autoencoder(3, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        whole.fit(X, checkpoint=path, callback=StopAt(20, KeyboardInterrupt()))
    path_of_run = Autoencoder(3, training=Training(threads=2), random_state=0)
    path_of_run.fit(X, checkpoint=path, resume=True)


def test_a_run_that_began_with_whole_batches_goes_on_with_them(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("narrows.training.work._SHARDS", {})
        before.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
        whole, path = outcome(make().fit(X)), tmp_path / "checkpoint"
        with pytest.raises(ZeroDivisionError):
            make().fit(X, checkpoint=path, callback=StopAt(5, ZeroDivisionError()))
    assert outcome(make().fit(X, checkpoint=path, resume=True)) == whole


def of_workers():
    return [thread for thread in threading.enumerate() if thread.name == "narrows-worker"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()], ids=repr)
def test_however_a_run_ends_the_process_has_its_threads_back(error):
    torch.set_num_threads(3)
    try:
        with pytest.raises(type(error)):
            make(2).fit(X, callback=StopAt(2, error))
        assert (torch.get_num_threads(), of_workers()) == (3, [])
        make(2).fit(X)
        assert (torch.get_num_threads(), of_workers()) == (3, [])
    finally:
        torch.set_num_threads(1)


def test_an_error_in_a_worker_ends_the_run(monkeypatch):
    from narrows.chain import Chain

    def broken(chain, batch, generator):
        raise LookupError("in a shard")

    monkeypatch.setattr(Chain, "shard_loss", broken)
    monkeypatch.setattr("narrows.training.loop.choose_n_shards", lambda *_: 2)
    with pytest.raises(LookupError, match="in a shard"):
        make(2).fit(X)
    assert of_workers() == []


def test_a_loss_that_is_not_finite_is_noticed():
    settings = {"optimiser": SGD(learning_rate=1e6), "epochs": 50}
    with pytest.raises(TrainingDivergedError, match="stopped being finite in epoch"):
        make(2, bottleneck="plain", training=settings).fit(X)


# What is cut


def test_coupled_records_are_not_cut():
    model = make(2, bottleneck="plain", penalties=(MMD(),)).fit(X)
    assert {(row["shards"], row["threads"]) for row in model.history_} == {(1, 1)}


def test_the_history_tells_of_threads_and_shards(n_shards):
    model = make(2).fit(X)
    assert {row["shards"] for row in model.history_} == {n_shards}
    assert {row["threads"] for row in model.history_} <= {1, 2}
    assert make(2).fit(X).history_[0]["threads"] == 2, "all of them to begin with"
    assert {row["threads"] for row in make(1).fit(X).history_} == {1}


def test_all_stages_have_the_threads_of_the_run(n_shards):
    images = np.repeat(IMAGES, 2, axis=0)
    residual = CausalNetwork(n_hidden=4, n_components=2, reach=2, epochs=1)
    network = narrows.networks.Dense(widths=(5,), activation="sigmoid")
    model = make(2, network=network, bottleneck="plain", pretraining="layer-wise", residual=residual).fit(images)
    assert {row["shards"] for row in model.pretraining_history_} == {n_shards}
    assert model.pretraining_history_[0]["threads"] == 2


def test_the_work_of_a_step_decides(monkeypatch):
    """The recipes of the documents, at their batch sizes; the same on every machine."""
    from narrows.training import work

    monkeypatch.undo()
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    found = {}
    for name in ("deep-tied", "da", "dense", "simple", "cvae", "conv-denoising", "wae"):
        model = narrows.recipe(name, random_state=0, training__epochs=1)
        size = model.training.batch_size
        monkeypatch.setattr("narrows.estimators.fitting.train_on", _no_training)
        with pytest.raises(InterruptedError) as caught:
            model.fit(images)
        found[name] = choose_n_shards(caught.value.args[0], Records(images, CPU), size)
    assert found == {"deep-tied": 1, "da": 1, "dense": 1, "simple": 1, "cvae": 2, "conv-denoising": 4, "wae": 1}
    assert list(work._SHARDS) == sorted(work._SHARDS, reverse=True)


def test_products_of_matrices_count_as_in_pytorch():
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    from narrows.training import work

    a, b, bias = torch.ones(3, 4), torch.ones(4, 5), torch.ones(5)
    for function, operands in ((torch.ops.aten.mm, (a, b)), (torch.ops.aten.addmm, (bias, a, b))):
        with FlopCounterMode(display=False) as counter:
            result = function(*operands)
        counted = work._operations(flop_registry[function], operands, {}, result)
        assert counted == counter.get_total_flops() == 2 * 3 * 4 * 5


def _no_training(_device, stages, *_, **__):
    raise InterruptedError(stages[0].learner)


def test_nothing_is_cut_on_another_device():
    class Elsewhere(Records):
        @property
        def device(self):
            return torch.device("cuda")

    chain = make().fit(X).chain_
    assert choose_n_shards(chain, Records(X, CPU), 10) > 1
    assert choose_n_shards(chain, Elsewhere(X, CPU), 10) == 1
