"""What does not couple the records of a batch may be cut: loss and gradient of a batch are the sum of its halves'."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from narrows.bottlenecks import Bottleneck, Gaussian, Plain, VectorQuantised
from narrows.chain import Chain, Parts
from narrows.corruptions import Cells, Corruption, Masking
from narrows.estimators.label_training import LabelLearner
from narrows.likelihoods import Bernoulli, Categorical, Columns, ConstrainedNormal, Likelihood
from narrows.lossless import CausalNetwork
from narrows.networks import Dense, Network
from narrows.penalties import MMD, KLSparsity, Neighbours, Penalty
from narrows.training import Records
from narrows.training.pretraining import LayerWise
from narrows.training.shards import Shards
from narrows.training.workers import Workers

AXES = (Bottleneck, Likelihood, Penalty, Corruption, Network)
PARTS = [
    Categorical(n_categories=4) if kind is Categorical else kind() for axis in AXES for kind in axis.registry.values()
]
PARTS += [Gaussian(warmup=5), Bernoulli(dynamic=True), VectorQuantised(revival=0)]
COUPLING = [Gaussian(warmup=5), VectorQuantised(), VectorQuantised(revival=0), MMD(), KLSparsity(), Neighbours()]
SHAPE = (8, 8)
X = np.random.default_rng(0).random((10, *SHAPE))
NOISE = torch.Generator()


def make(part=None, **others):
    parts = {"network": Dense(widths=(9,), code_activation="sigmoid"), "bottleneck": Plain(), "likelihood": Bernoulli()}
    if part is not None:
        parts[{"penalty": "penalties"}.get(part.axis, part.axis)] = (part,) if part.axis == "penalty" else part
    if isinstance(part, Cells):
        parts["likelihood"] = Columns()
    chain = Chain(Parts(4, **{**parts, **others}), SHAPE, X.dtype, torch.Generator().manual_seed(0))
    return chain.double()


@pytest.fixture
def _no_noise(monkeypatch):
    """Draw the same for every record, whatever batch it is in."""

    def same(value):
        return lambda *shape, **how: torch.full(
            shape[-1] if isinstance(shape[-1], (tuple, torch.Size)) else shape, value, dtype=how.get("dtype")
        )

    monkeypatch.setattr(torch, "rand", same(0.6))
    monkeypatch.setattr(torch, "randn", same(0.3))
    monkeypatch.setattr(torch, "randint", same(1))
    monkeypatch.setattr(torch, "randperm", lambda n, **how: torch.arange(n))


def gradient(learner, batch):
    loss = learner.shard_loss(batch, NOISE).total.sum()
    weights = list(learner.parameters())
    return [loss.detach(), *torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)]


def check_uncoupled(learner, records):
    assert not learner.couples_records
    whole = gradient(learner, records.take(torch.arange(10)))
    halves = [gradient(learner, records.take(rows)) for rows in torch.arange(10).tensor_split((4,))]
    for of_all, first, second in zip(whole, *halves, strict=True):
        torch.testing.assert_close(of_all, first + second, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("one", PARTS, ids=repr)
@pytest.mark.usefixtures("_no_noise")
def test_a_part_couples_the_records_of_a_batch_or_can_be_cut(one):
    chain = make(one)
    if one in COUPLING:
        assert chain.couples_records
    else:
        check_uncoupled(chain, Records(X, torch.device("cpu")))


@pytest.mark.usefixtures("_no_noise")
def test_other_learners_can_be_cut():
    records = Records(X, torch.device("cpu"))
    for stage in LayerWise().stages(make(network=Dense(widths=(9,), activation="sigmoid")), records):
        check_uncoupled(stage.learner, records)
    images = np.random.default_rng(1).integers(0, 256, X.shape, dtype=np.uint8)
    causal = CausalNetwork(n_hidden=4, n_components=2, reach=2).build(
        SHAPE, images.dtype, torch.Generator().manual_seed(0)
    )
    check_uncoupled(causal.double(), Records(images, torch.device("cpu")))


def test_a_classifier_is_cut_as_its_bottleneck_allows():
    softmax = nn.Linear(4, 2)
    assert not LabelLearner(make(), softmax).couples_records
    assert LabelLearner(make(VectorQuantised()), softmax).couples_records


@pytest.mark.usefixtures("_no_noise")
def test_the_scale_of_a_likelihood_is_adapted_once_a_step_to_the_whole_batch():
    whole, cut = make(ConstrainedNormal(psnr=20.0)), make(ConstrainedNormal(psnr=20.0))
    records = Records(X, torch.device("cpu"))
    whole.loss(records.take(torch.arange(10)), NOISE)
    with Workers(2) as workers:
        Shards(cut, records, workers).backward(torch.arange(10), [NOISE, NOISE], 2)
    moved = float(cut.likelihood.log_error)
    assert moved == pytest.approx(float(whole.likelihood.log_error), rel=1e-12)
    assert moved != math.log(10**-2.0)


def test_measuring_the_work_of_a_step_changes_nothing():
    from narrows.training.work import choose_n_shards

    for part in [*PARTS, Masking()]:
        chain = make(part)
        before = {name: value.clone() for name, value in chain.state_dict().items()}
        choose_n_shards(chain, Records(X, torch.device("cpu")), 5)
        assert all(torch.equal(before[name], value) for name, value in chain.state_dict().items())
