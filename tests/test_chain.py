"""The loss of a record, and that a record is alone in its batch."""

import math

import numpy as np
import pytest
import torch

from narrows.bottlenecks import Bottleneck, BottleneckModule, Code, Plain
from narrows.chain import Chain, Parts
from narrows.corruptions import Gaussian, Masking
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Bernoulli, Laplace, Normal
from narrows.networks import Convolutional, Dense
from narrows.penalties import L1
from narrows.preprocessing import MeanRemoval, Standardise, Step, UnitScale


class Costly(Bottleneck):
    """Charges each record the square of its code; takes two numbers for each one it gives."""

    def build(self, z_shape):
        return CostlyModule((2 * z_shape[0],), z_shape)


class CostlyModule(BottleneckModule):
    def forward(self, h, generator=None):
        z = h[:, ::2] + h[:, 1::2]
        return Code(z, z.square().sum(1))


def make(shape=(4, 3), dtype="float64", **changes):
    usual = {
        "n_latent": 2,
        "network": Dense(widths=(5,), activation="tanh"),
        "bottleneck": Costly(),
        "likelihood": Normal(scale=0.7),
        "penalties": (L1(weight=0.3), L1(weight=0.1)),
    }
    return Chain(Parts(**{**usual, **changes}), shape, np.dtype(dtype), torch.Generator().manual_seed(0)).double()


def records(n=6, shape=(4, 3), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_loss_is_reconstruction_plus_bottleneck_plus_penalties_of_each_record():
    chain, x = make(), records()
    loss = chain.loss(x)
    code = chain.encode(x)
    z = code.z.detach().numpy()
    x_hat = chain.decode(code.z).detach().numpy()
    d = 12
    squared = np.square(x.numpy() - x_hat).sum(axis=(1, 2))
    np.testing.assert_allclose(
        loss.reconstruction.detach(), squared / (2 * 0.49) + d * np.log(0.7 * np.sqrt(2 * np.pi)), rtol=1e-12
    )
    np.testing.assert_allclose(loss.bottleneck.detach(), np.square(z).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(loss.penalty.detach(), 0.4 * np.abs(z).sum(axis=1), rtol=1e-12)
    torch.testing.assert_close(loss.total, loss.reconstruction + loss.bottleneck + loss.penalty)
    assert loss.total.shape == (6,)


def test_without_penalties_none_is_charged():
    loss = make(penalties=(), bottleneck=Plain()).loss(records())
    assert not loss.penalty.any()
    assert not loss.bottleneck.any()


def test_nothing_is_corrupted_without_a_generator():
    chain, x = make(corruption=Masking(level=1.0)), records()
    torch.testing.assert_close(chain.loss(x).total, make().loss(x).total)
    assert torch.equal(chain.corrupt(x, None), x)
    assert not torch.allclose(chain.loss(x, torch.Generator()).total, make().loss(x).total)


def test_the_corrupted_record_goes_in_and_the_clean_one_is_asked_for():
    chain, x = make(corruption=Masking(level=1.0)), records()
    loss = chain.loss(x, torch.Generator())
    of_nothing = chain.encode(torch.zeros_like(x))
    expected = -chain.likelihood.log_prob(chain.decode(of_nothing.z), x)
    torch.testing.assert_close(loss.reconstruction, expected)
    torch.testing.assert_close(loss.bottleneck, of_nothing.cost)


@pytest.mark.parametrize(
    "network",
    [
        Dense(widths=(5,)),
        Dense(widths=(5,), tied=True),
        Convolutional(channels=(3,)),
        Convolutional(channels=(3, 2), resampling="stride"),
    ],
    ids=repr,
)
def test_records_of_a_batch_are_independent(network):
    chain = make(network=network, bottleneck=Plain(), preprocessing=(Standardise(),))
    x = records(7) * 3 + 1
    chain.fit_preprocessing(x.split)
    together = chain.loss(x).total
    torch.testing.assert_close(torch.cat([chain.loss(one).total for one in x.split(1)]), together, rtol=1e-10, atol=0)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    torch.testing.assert_close(chain.loss(x[order]).total, together[order], rtol=1e-10, atol=0)
    changed = x.clone()
    changed[0] = 100
    torch.testing.assert_close(chain.loss(changed).total[1:], together[1:], rtol=1e-10, atol=0)


def test_restoring_undoes_the_preprocessing():
    chain = make(preprocessing=(UnitScale(), MeanRemoval()), bottleneck=Plain())
    x = records() * 50 + 1000
    chain.fit_preprocessing(x.split)
    z = chain.encode(chain.prepare(x)).z
    x_hat = chain.likelihood.mean(chain.decode(z)).detach().numpy()
    low, width = x.min().item(), (x.max() - x.min()).item()
    mean = ((x.numpy() - low) / width).mean(axis=0)
    np.testing.assert_allclose(chain.restore(z).detach(), (x_hat + mean) * width + low, rtol=1e-12)
    np.testing.assert_allclose(chain.prepare(x), (x.numpy() - low) / width - mean, atol=1e-12)


@pytest.mark.parametrize(
    ("likelihood", "output"), [(Normal(), "sigmoid"), (Laplace(), "identity"), (Bernoulli(), "identity")]
)
def test_a_decoder_that_starts_at_the_mean_restores_the_mean_record(likelihood, output):
    x = records(9) * 50 + 1000
    network = Dense(widths=(5,), output_activation=output, start_at_mean=True)
    chain = make(network=network, likelihood=likelihood, bottleneck=Plain(), preprocessing=(UnitScale(),))
    chain.fit_preprocessing(x.split)
    torch.testing.assert_close(chain.restore(torch.zeros(1, 2, dtype=torch.float64))[0].detach(), x.mean(0))
    network.start_at_mean = False
    chain = make(network=network, likelihood=likelihood, bottleneck=Plain(), preprocessing=(UnitScale(),))
    chain.fit_preprocessing(x.split)
    assert not torch.allclose(chain.restore(torch.zeros(1, 2, dtype=torch.float64))[0].detach(), x.mean(0), rtol=1e-3)


def test_every_integer_dtype_arrives_exactly():
    for dtype in ("uint8", "int16", "uint16", "int32", "uint32", "int64"):
        chain = make(dtype=dtype, bottleneck=Plain())
        limits = np.iinfo(dtype)
        x = np.array([limits.min, limits.max // 2 + 1], dtype)[:, None, None].repeat(4, 1).repeat(3, 2)
        exact = np.float64(x) if limits.bits <= 32 else x.astype(np.float64)
        np.testing.assert_array_equal(chain.prepare(torch.from_numpy(x)), exact)


def test_a_likelihood_is_only_asked_about_values_that_can_be():
    x = records() + 5
    batches = x.split
    with pytest.raises(InvalidParameterError, match=r"'bernoulli' likelihood needs preprocessed values in \[0, 1\]"):
        make(likelihood=Bernoulli()).fit_preprocessing(batches)
    make(likelihood=Bernoulli(), preprocessing=(UnitScale(),)).fit_preprocessing(batches)
    make(likelihood=Laplace()).fit_preprocessing(batches)


def test_the_generator_decides_the_weights_and_the_noise():
    x = records()
    first, same = make(corruption=Gaussian()), make(corruption=Gaussian())
    loss = first.loss(x, torch.Generator().manual_seed(4)).total
    assert torch.equal(same.loss(x, torch.Generator().manual_seed(4)).total, loss)
    assert not torch.equal(same.loss(x, torch.Generator().manual_seed(5)).total, loss)


class _Flattened(Step):
    def out_shape(self, shape):
        return (math.prod(shape),)

    def forward(self, x):
        return x.flatten(1)

    def inverse(self, x):
        return x


def test_preprocessing_that_changes_the_shape_is_refused(monkeypatch):
    monkeypatch.setattr(UnitScale, "build", lambda part, shape, dtype: _Flattened())
    with pytest.raises(InvalidParameterError, match=r"must keep the shape .* Got \(\d+,\)"):
        make(preprocessing=(UnitScale(),))
