"""Frozen decoders: as good as the ones they were made of, for every network; what cannot be frozen says why."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.codec.freezing.decoder import freeze_decoder
from narrows.codec.freezing.translation import Translation
from narrows.codec.operations import Relu
from narrows.codec.program import Program
from narrows.data.columns import Columns
from narrows.errors import NotFreezableError
from narrows.estimators.defaults import choose_parts
from narrows.estimators.recipes import RECIPES
from narrows.likelihoods import Bernoulli, Laplace, Normal
from narrows.networks import Convolutional, Dense, Network, Recurrent, Temporal
from narrows.networks.activations import ACTIVATIONS
from narrows.networks.pooling import Repeat, repeating
from narrows.preprocessing import UnitScale
from narrows.records import schema_of

LIKELIHOODS = [Normal(), Bernoulli(), Laplace()]


def parts(network, likelihood=LIKELIHOODS[0], n_latent=8):
    if getattr(network, "code_channels", None) is not None:
        n_latent = None
    return Parts(n_latent, network, Plain(), likelihood, (UnitScale(),))


def make(chosen, shape, dtype=np.uint8):
    """Return a chain with random weights, biases included, and codes."""
    generator = torch.Generator().manual_seed(1)
    chain = Chain(chosen, shape, np.dtype(dtype), generator)
    records = (torch.rand((80, *shape), generator=generator) * 255).to(torch.uint8)
    chain.fit_preprocessing(lambda size: iter([records]))
    with torch.no_grad():
        for weights in chain.decoder.parameters():
            if weights.ndim == 1:
                weights.uniform_(-0.2, 0.2, generator=generator)
        return chain, chain.encode(chain.prepare(records)).z


def deviation_db(chain, codes, frozen):
    """Return how far the frozen decoder is off, where 1 is what unit-scaled records span: 20 log10(1 / rmse)."""
    z = np.clip(np.rint(np.ldexp(codes.numpy().astype(float), frozen.input_shift)), -32768, 32767).astype(np.int16)
    mean = np.ldexp(frozen.program.run(z).astype(float), -frozen.output_shift)
    with torch.no_grad():
        wanted = chain.likelihood.mean(chain.decode(codes)).numpy()
    assert mean.shape == wanted.shape
    return -10 * math.log10(np.square(mean - wanted).mean())


def check(chosen, shape, at_least):
    chain, codes = make(chosen, shape)
    frozen = freeze_decoder(chain, codes)
    reached = deviation_db(chain, codes, frozen)
    assert reached > at_least, f"{reached:.1f} dB"
    return frozen


# A dense network is the same at both sizes but for the number of its inputs and outputs, so most of them are frozen at
# the small size, and a wide and a narrow one at the size that they were made for.
SMALL = [(name, (9, 7)) for name in RECIPES if name != "table"]  # which writes no archives
LARGE = [(name, (28, 28)) for name in RECIPES if name in {"da", "hinton2006"}]
LARGE += [(name, (28, 28)) for name, _ in SMALL if not isinstance(RECIPES[name]().network, Dense)]
REST = [(name, (28, 28)) for name, _ in SMALL if (name, (28, 28)) not in LARGE]


@pytest.mark.parametrize(
    ("name", "shape"), [*SMALL, *LARGE, *(pytest.param(*one, marks=pytest.mark.slow) for one in REST)], ids=str
)
def test_every_recipe(name, shape):
    bytes_of_all_kinds = np.linspace(0, 255, 2, dtype=np.uint8).repeat(math.prod(shape)).reshape(2, *shape)
    columns = Columns.of(bytes_of_all_kinds)
    schema = schema_of("auto", shape, np.dtype(np.uint8))
    check(choose_parts(RECIPES[name]().get_params(deep=False), schema, columns), shape, at_least=72)


@pytest.mark.parametrize("activation", ACTIVATIONS.values)
def test_every_activation(activation):
    network = Dense(widths=(48,), activation=activation, output_activation=activation)
    frozen = check(parts(network), (6, 5), at_least=72)
    _, tensors = frozen.program.to_tensors()
    assert all(array.nbytes < 1200 for name, array in tensors.items() if name.endswith("table"))


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=repr)
def test_every_likelihood(likelihood):
    check(parts(Dense(), likelihood), (6, 5), at_least=80)


def axes_of(network, shape):
    """Return kind, options and shape as axes of their own."""
    options = {name: repr(value) for name, value in network.get_params(deep=False).items()}
    return {"kind": network.name, **options, "shape": shape}


@pytest.mark.pairs(axes=axes_of)
@pytest.mark.parametrize("shape", [(28, 28), (7, 13), (15, 9, 3), (3, 16, 17), (5, 1), (40,)], ids=str)
@pytest.mark.parametrize(
    "network",
    [
        Dense(widths=(32, 16), tied=True, activation="tanh"),
        *(
            Convolutional(channels=(6, 8), resampling=resampling, code_channels=code_channels, kernel=kernel)
            for resampling in ("pool", "stride")
            for code_channels in (None, 3)
            for kernel in (3, 5)
        ),
        Convolutional(channels=(5,), kernel=1, resampling="stride", activation="leaky-relu"),
        *(Convolutional(channels=(5, 4), stride=stride) for stride in (3, 4, 11)),
        Convolutional(channels=(5, 4), stride=3, resampling="stride"),
    ],
    ids=repr,
)
def test_every_shape(network, shape):
    if isinstance(network, Dense) or len(shape) > 1:
        check(parts(network, Bernoulli()), shape, at_least=85)


@pytest.mark.parametrize("shape", [(1,), (33,), (29, 3)], ids=str)
@pytest.mark.parametrize(
    "network",
    [
        Temporal(channels=(5, 6), stride=3, dilations=(1, 3)),
        Temporal(channels=(5,), code_channels=2, activation="leaky-relu"),
        *(
            Recurrent(width=12, cell=cell, teacher_forcing=forced)
            for cell in ("gru", "lstm")
            for forced in (False, True)
        ),
        Recurrent(width=9, patch=1, code_input="repeated"),
    ],
    ids=repr,
)
def test_every_length_of_series(network, shape):
    check(parts(network, Normal()), shape, at_least=85)


def test_a_frozen_recurrent_layer_says_what_is_too_large():
    chain, codes = make(parts(Recurrent(width=4)), (12,))
    with torch.no_grad():
        chain.decoder.recurrence.hidden.weight[0, 0] = 4e4
    with pytest.raises(NotFreezableError, match=r"weights of its recurrent layer are too large, up to 4e\+04"):
        freeze_decoder(chain, codes)
    with torch.no_grad():
        chain.decoder.recurrence.hidden.weight[0, 0] = 0.5
        chain.decoder.inputs.weight *= 1e7
    with pytest.raises(NotFreezableError, match="the inputs of its recurrent layer reach"):
        freeze_decoder(chain, codes)


@pytest.mark.parametrize("stride", [2, 3, 4, 5, 7, 10, 600])
@pytest.mark.parametrize("size", [(28, 28), (7, 13), (5, 1), (601, 5), (3, 1201)], ids=str)
def test_repeating_is_the_same_to_the_value(stride, size):
    """Frozen, upsampling operations do it, which copy row floor(r h / H)."""
    grid = tuple(-(-n // stride) for n in size)
    y = torch.arange(2 * math.prod(grid), dtype=torch.float32).reshape(1, 2, *grid)
    so_far = Translation((2, *grid), 0)
    so_far.add(repeating(stride, size), 1.0)
    restored = Program((2, *grid), so_far.operations).run(y.numpy().astype(np.int16))
    np.testing.assert_array_equal(restored, Repeat(stride, size)(y).movedim(1, 3))
    assert so_far.shape == (2, *size)
    assert stride > 2 or len(so_far.operations) == 2, "as decoders have been frozen before there were other strides"


@pytest.mark.parametrize("network", [part() for part in Network.registry.values()], ids=repr)
def test_every_network(network):
    check(parts(network), (12, 12), at_least=75)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e4])
def test_codes_and_outputs_of_any_size(scale):
    """Scales follow: what counts is how far off the integers are of what there is."""
    chain, codes = make(parts(Dense(widths=(32,))), (6, 5))
    with torch.no_grad():
        chain.decoder.layers[0].weight /= scale
        chain.decoder.layers[-1].weight *= scale
        chain.decoder.layers[-1].bias *= scale
        spread_db = 10 * math.log10(float(chain.decode(codes * scale).square().mean()))
    frozen = freeze_decoder(chain, codes * scale)
    assert deviation_db(chain, codes * scale, frozen) + spread_db > 70


def test_codes_beyond_what_calibration_saw_have_room():
    chain, codes = make(parts(Dense()), (6, 5))
    assert deviation_db(chain, 1.4 * codes, freeze_decoder(chain, codes)) > 75


def test_weights_of_zero():
    chain, codes = make(parts(Dense()), (6, 5))
    with torch.no_grad():
        for weights in chain.decoder.parameters():
            weights.zero_()
    assert not freeze_decoder(chain, codes).program.run(np.ones((2, 8), np.int16)).any()


def test_relu_needs_no_table():
    chain, codes = make(parts(Dense(activation="relu")), (6, 5))
    assert any(isinstance(operation, Relu) for operation in freeze_decoder(chain, codes).program.operations)


def test_freezing_leaves_the_chain_alone():
    chain, codes = make(parts(Dense(tied=True)), (6, 5))
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    first, second = freeze_decoder(chain, codes), freeze_decoder(chain, codes)
    assert all(torch.equal(value, before[name]) for name, value in chain.state_dict().items())
    assert all(weights.requires_grad for weights in chain.parameters())
    (settings, tensors), (again, tensors_again) = (frozen.program.to_tensors() for frozen in (first, second))
    assert settings == again
    assert all(np.array_equal(array, tensors_again[name]) for name, array in tensors.items())


# What cannot be frozen


def frozen_with(**changes):
    chain, codes = make(parts(Convolutional(channels=(4,))), (8, 8))
    for name, module in changes.items():
        setattr(chain.decoder, name, module)
    return freeze_decoder(chain, codes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": nn.Softmax(1)}, "no integer operations for its Softmax"),
        ({"last": nn.Conv2d(4, 4, 3, padding=1, groups=2)}, "neither stride, groups"),
        ({"last": nn.ConvTranspose2d(4, 1, 3, padding=2, dilation=2)}, "neither dilation nor groups"),
        ({"last": nn.Conv2d(4, 1, 3, padding=1, padding_mode="circular")}, "padding_mode='zeros'. Got 'circular'"),
        ({"last": nn.Conv2d(4, 1, 3, padding="same")}, "neither stride"),
        ({"output": nn.Upsample(size=(8, 8), mode="bilinear")}, "must have mode='nearest'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_parts_without_a_counterpart(changes, message):
    with pytest.raises(NotFreezableError, match=message):
        frozen_with(**changes)


def test_unpooling_with_switches():
    chain, _ = make(parts(Convolutional(channels=(4,))), (8, 8))
    unpooling, codes = make(parts(Convolutional(channels=(4,), unpooling="switches")), (8, 8))
    assert chain.decoder.as_sequence()
    with pytest.raises(NotFreezableError, match="needs the switches of the records' pooling, so its code alone"):
        freeze_decoder(unpooling, codes)


def test_weights_that_are_not_finite():
    chain, codes = make(parts(Dense()), (6, 5))
    with torch.no_grad():
        chain.decoder.layers[0].weight[0, 0] = math.nan
    with pytest.raises(NotFreezableError, match="the output of its Linear must be finite"):
        freeze_decoder(chain, codes)


def test_several_numbers_for_each_value(monkeypatch):
    chain, codes = make(parts(Dense()), (6, 5))
    monkeypatch.setattr(type(chain.likelihood), "n_parameters", 2)
    with pytest.raises(
        NotFreezableError,
        match=r"'normal' likelihood has parameters of shape \(6, 5, 2\) for records",
    ):
        freeze_decoder(chain, codes)


def test_stages_that_are_not_the_decoder(monkeypatch):
    chain, codes = make(parts(Dense()), (6, 5))
    monkeypatch.setattr(chain, "decode", lambda z: chain.decoder(z) + 1)
    with pytest.raises(NotFreezableError, match="Correct its 'as_sequence'"):
        freeze_decoder(chain, codes)


def test_a_frozen_decoder_is_a_value():
    chain, codes = make(parts(Dense()), (6, 5))
    frozen = freeze_decoder(chain, codes)
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.input_shift = 3
