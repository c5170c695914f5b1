"""Noise that belongs to records: what is measured of a record does not depend on its batch."""

import numpy as np
import pytest
import torch
from scipy import stats

from narrows import Autoencoder, Training
from narrows.bottlenecks import Gaussian, Plain, Rounded
from narrows.chain import Chain, Parts
from narrows.corruptions import Masking
from narrows.evaluation.likelihood import bounds
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import Dense
from narrows.numerics.randomness import Stream, generator
from narrows.numerics.record_noise import RecordNoise
from narrows.penalties import Contractive
from narrows.training import Records
from narrows.training.validation import mean_loss
from narrows.training.workers import Workers

ORDER = torch.tensor([3, 1, 6, 0, 2, 5, 4])


def chain_of(likelihood=None, bottleneck=None, penalties=(), corruption=None):
    parts = Parts(
        n_latent=3,
        network=Dense(widths=(5, 4), activation="tanh"),
        bottleneck=bottleneck or Plain(),
        likelihood=likelihood or Normal(),
        penalties=penalties,
        corruption=corruption,
    )
    return Chain(parts, (4, 3), np.dtype(np.float64), generator(0, Stream.WEIGHTS)).double()


def records(n=7):
    return torch.rand(n, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


DRAWING = {
    "codes": {"bottleneck": Gaussian()},
    "binarised records": {"likelihood": Bernoulli(dynamic=True)},
    "both": {"bottleneck": Gaussian(), "likelihood": Bernoulli(dynamic=True)},
    "directions": {"penalties": (Contractive(n_projections=2),)},
}


@pytest.mark.parametrize("parts", DRAWING.values(), ids=DRAWING)
def test_what_a_record_costs_is_the_same_alone_in_any_batch_and_in_any_order(parts):
    chain, x = chain_of(**parts), records()
    together = chain.loss(x).total.detach()
    for others in (x.split(1), x.split(3)):
        alone = torch.cat([chain.loss(one).total.detach() for one in others])
        torch.testing.assert_close(alone, together, rtol=0, atol=1e-9)
    torch.testing.assert_close(chain.loss(x[ORDER]).total.detach(), together[ORDER], rtol=0, atol=1e-9)


def test_the_score_of_many_records_is_the_mean_of_their_scores():
    x = records(20).numpy()
    training = Training(epochs=1, precision="float64")
    model = Autoencoder(3, bottleneck="gaussian", training=training, random_state=0).fit(x)
    assert np.mean([model.score(one[None]) for one in x]) == pytest.approx(model.score(x), abs=1e-9)


@pytest.mark.parametrize("importance_samples", [0, 5])
def test_the_bounds_on_a_likelihood_are_means_over_records(importance_samples):
    chain, x = chain_of(Bernoulli(dynamic=True), Gaussian()), records().numpy()
    together = bounds(chain, x, 0, importance_samples=importance_samples)
    alone = [bounds(chain, one[None], 0, importance_samples=importance_samples) for one in x]
    for name, value in together.items():
        if name != "active_units":
            assert np.mean([one[name] for one in alone]) == pytest.approx(value, abs=1e-9), name


def test_the_validation_loss_does_not_depend_on_the_size_of_its_batches(monkeypatch):
    chain, validation = chain_of(bottleneck=Gaussian()), Records(records().numpy(), torch.device("cpu"))
    usual = mean_loss(chain, validation, Workers(1))
    monkeypatch.setattr("narrows.training.validation._BATCH", 3)
    assert mean_loss(chain, validation, Workers(1)) == pytest.approx(usual, abs=1e-9)


def test_codes_are_rounded_in_measurements_though_records_are_drawn():
    """Values of 0 and 1 are drawn as they are, so that the two likelihoods measure the same."""
    x = records().round()
    drawn, plain = (chain_of(Bernoulli(dynamic=dynamic), Rounded()) for dynamic in (True, False))
    torch.testing.assert_close(drawn.loss(x).total, plain.loss(x).total, rtol=0, atol=0)


def test_codes_are_rounded_in_measurements_of_corrupted_records():
    chain, x = chain_of(bottleneck=Rounded(), corruption=Masking(level=0.0)), records()
    torch.testing.assert_close(
        chain.loss(x, corruption=generator(0, Stream.CORRUPTION)).total, chain.loss(x).total, rtol=0, atol=0
    )


def test_records_have_noise_of_their_own_and_the_same_values_the_same():
    x = records()
    x[3] = x[5]
    normal = RecordNoise.of(x).normal_like(x)
    assert torch.equal(normal[3], normal[5])
    assert len(set(normal.flatten().tolist())) == 6 * 12


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float16, torch.float32])
def test_noise_depends_on_the_values_and_not_on_their_dtype(dtype):
    x = torch.arange(12).reshape(3, 4)
    assert torch.equal(RecordNoise.of(x.to(dtype)).keys, RecordNoise.of(x.double()).keys)


def test_places_within_a_record_count():
    a, b = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[3.0, 2.0, 1.0]])
    assert RecordNoise.of(a).keys != RecordNoise.of(b).keys
    assert RecordNoise.of(-0.0 * a).keys == RecordNoise.of(0.0 * a).keys


def test_seeds_streams_and_indices_are_independent():
    x = torch.zeros(1, 10_000, dtype=torch.float64)
    own = RecordNoise.of(x)
    several = [
        own.normal_like(x),
        RecordNoise.of(x, 1).stream(Stream.MEASURED_CODES, 0).normal_like(x),
        *[own.stream(Stream.MEASURED_CODES, index).normal_like(x) for index in (0, 1)],
        own.stream(Stream.MEASURED_RECORDS).normal_like(x),
    ]
    correlation = np.corrcoef(torch.cat(several).numpy())
    assert np.abs(correlation - np.eye(5)).max() < 0.05


def test_several_indices_at_once_are_those_one_by_one():
    x = records()
    own = RecordNoise.of(x)
    together = own.streams(Stream.MEASURED_CODES, 2, 3).normal_like(x.repeat_interleave(3, 0))
    for index in range(3):
        one = own.stream(Stream.MEASURED_CODES, 2 + index).normal_like(x)
        assert torch.equal(together[index::3], one)


def test_the_numbers_have_the_distributions_that_they_should():
    x = torch.zeros(200, 500)
    own = RecordNoise.of(torch.arange(200.0)[:, None])
    assert stats.kstest(own.normal_like(x).flatten().numpy(), "norm").pvalue > 0.01
    uniform = own.uniform_like(x)
    assert stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 0.01
    assert 0 <= uniform.min() <= uniform.max() < 1
