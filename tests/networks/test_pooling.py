"""Max-pooling with switches, unpooling and repeating against NumPy; transposed convolution as padded convolution."""

import itertools

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError, NotDecodableError, NotFreezableError
from narrows.networks import Convolutional, Network, Sizes, Strided
from narrows.networks.pooling import MaxPool, Repeat, Unpool, repeating
from narrows.training import Adam

SIZES = [(7, 9), (5, 5), (28, 28), (6, 4), (1, 3)]
STRIDES = [2, 3]


def maps(*shape, seed=0, n_values=1000):
    """Return whole numbers as float64; of few values, so that there are ties."""
    return torch.randint(-n_values, n_values, shape, generator=torch.Generator().manual_seed(seed)).double()


def windows(size, stride):
    """Return row and column of every window, and the slices of what it covers."""
    for row, column in np.ndindex(*(-(-n // stride) for n in size)):
        yield (row, column), tuple(slice(at * stride, (at + 1) * stride) for at in (row, column))


def pooled(x, stride):
    """Return the maxima of x (n, c, H, W) and their flat places, the first of equal ones."""
    n, c, *size = x.shape
    shape = (n, c, *(-(-one // stride) for one in size))
    values, switches = np.zeros(shape), np.zeros(shape, np.int64)
    places = np.arange(size[0] * size[1]).reshape(size)
    for record, channel in np.ndindex(n, c):
        for place, window in windows(size, stride):
            inside = x[record, channel][window].ravel()
            values[record, channel][place] = inside.max()
            switches[record, channel][place] = places[window].ravel()[inside.argmax()]  # argmax takes the first
    return values, switches


def unpooled(y, switches, size):
    restored = np.zeros((*y.shape[:2], size[0] * size[1]))
    for place in np.ndindex(y.shape):
        restored[(*place[:2], switches[place])] = y[place]
    return restored.reshape(*y.shape[:2], *size)


def repeated(y, stride, size):
    restored = np.full((*y.shape[:2], *size), np.nan)
    for (row, column), window in windows(size, stride):
        restored[(..., *window)] = y[..., row, column, None, None]
    return restored


# Pooling and the ways back


@pytest.mark.pairs
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("n_values", [1000, 2])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pooling_remembers_where_the_first_maximum_was(size, stride, n_values, layout):
    x = maps(2, 3, *size, n_values=n_values)
    values, switches = MaxPool(stride).with_pool_indices(x.to(memory_format=layout))
    expected = pooled(x.numpy(), stride)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(switches, expected[1])
    assert torch.equal(MaxPool(stride)(x), values)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_unpooling_puts_values_where_the_maxima_were_and_zeros_elsewhere(size, stride, layout):
    _, switches = MaxPool(stride).with_pool_indices(maps(2, 3, *size))
    y = maps(*switches.shape, seed=1) + 0.5
    restored = Unpool(stride, size)(y.to(memory_format=layout), switches.to(memory_format=layout))
    np.testing.assert_array_equal(restored, unpooled(y.numpy(), switches.numpy(), size))
    assert int((restored != 0).sum()) == y.numel()


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pooling_undoes_unpooling(size, stride):
    """Of values that are positive, as behind relu: the other way round, what was no maximum is gone."""
    _, switches = MaxPool(stride).with_pool_indices(maps(2, 3, *size))
    y = maps(*switches.shape, seed=1).abs() + 0.5
    values, again = MaxPool(stride).with_pool_indices(Unpool(stride, size)(y, switches))
    assert torch.equal(values, y)
    assert torch.equal(again, switches)


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_unpooling_passes_gradients_to_the_values(stride):
    _, switches = MaxPool(stride).with_pool_indices(maps(1, 2, 7, 5))
    y = maps(*switches.shape, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: Unpool(stride, (7, 5))(y, switches), y)


@pytest.mark.parametrize("stride", [2, 3, 4, 10])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_repeating_copies_a_value_over_the_window_it_stands_for(size, stride):
    y = maps(2, 3, *(-(-n // stride) for n in size))
    expected = repeated(y.numpy(), stride, size)
    np.testing.assert_array_equal(Repeat(stride, size)(y), expected)
    np.testing.assert_array_equal(repeating(stride, size)(y), expected)


def test_windows_may_be_larger_than_the_map():
    """And take no more memory for it than the map has."""
    x = maps(1, 2, 3, 5)
    values, switches = MaxPool(10**9).with_pool_indices(x)
    np.testing.assert_array_equal(values.flatten(2), x.flatten(2).max(2, keepdim=True).values)
    np.testing.assert_array_equal(Repeat(10**9, (3, 5))(values), values.expand(1, 2, 3, 5))
    restored = Unpool(10**9, (3, 5))(values, switches)
    np.testing.assert_array_equal(restored, unpooled(values.numpy(), switches.numpy(), (3, 5)))


def test_upsampling_to_the_nearest_repeats_for_strides_of_two_and_not_for_wider_ones():
    y = torch.arange(300.0).reshape(1, 1, 300, 1)
    for height in range(1, 600):
        half = y[:, :, : -(-height // 2)]
        assert torch.equal(nn.Upsample(size=(height, 1))(half), Repeat(2, (height, 1))(half)), height
    assert nn.Upsample(size=(7, 1))(y[:, :, :3]).flatten().tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert Repeat(3, (7, 1))(y[:, :, :3]).flatten().tolist() == [0, 0, 0, 1, 1, 1, 2]


# Deconvolution


def padded_convolution(y, weight, bias, stride, padding, size):
    """Return an ordinary convolution over y (n, in, h, w), zeros between and around; ``weight`` (in, out, k, k).

    ``stride`` - 1 zeros stand between values, k - 1 - ``padding`` before them, and after them as many as there have to
    be for what comes out to be of ``size``. The kernels are flipped.
    """
    n, n_in, height, width = y.shape
    k = weight.shape[2]
    around = np.zeros((n, n_in, size[0] + k - 1, size[1] + k - 1))
    rows, columns = (k - 1 - padding + stride * np.arange(n) for n in (height, width))
    around[:, :, rows[:, None], columns] = y
    seen = sliding_window_view(around, (k, k), axis=(2, 3))
    return np.einsum("nihwrs,iors->nohw", seen, weight[:, :, ::-1, ::-1]) + bias[:, None, None]


def transposed_layers(part, shape):
    sizes = Sizes(shape, part.code_shape(shape, 5), part.code_shape(shape, 5))
    encoder, decoder = part.build(sizes, torch.Generator().manual_seed(0))
    there = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)]
    back = [layer for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(back) == len(part.channels)
    return there[::-1], back


@pytest.mark.parametrize("shape", [(28, 28), (7, 9), (5, 5), (13, 6, 3)], ids=str)
@pytest.mark.parametrize(
    "part",
    [
        *(
            Convolutional(channels=(3, 4), resampling="stride", kernel=kernel, stride=stride)
            for kernel, stride in itertools.product((1, 3, 5), (2, 3, 4))
        ),
        Strided(channels=(3, 4), kernel=3),
        Strided(channels=(3, 4), kernel=5),
    ],
    ids=repr,
)
def test_transposed_convolution_is_convolution_of_the_padded_map_by_flipped_kernels(part, shape):
    """And it is the transpose of the encoder's strided convolution: <convolve(x), y> = <x, deconvolve(y)>."""
    height, width = shape[:2]
    stride = getattr(part, "stride", 2)
    sizes = [(height, width)]
    for _ in part.channels:
        sizes.append(tuple(-(-n // stride) for n in sizes[-1]))
    for there, back, size, small in zip(*transposed_layers(part, shape), sizes[-2::-1], sizes[:0:-1], strict=True):
        there.double(), back.double()
        y = torch.randn(2, back.in_channels, *small, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        weight, bias = (one.detach().numpy() for one in (back.weight, back.bias + 0.1))
        with torch.no_grad():
            back.bias += 0.1
            restored = back(y)
            x = torch.rand(2, back.out_channels, *size, dtype=torch.float64)
            convolved = nn.functional.conv2d(x, back.weight, stride=stride, padding=there.padding)
        expected = padded_convolution(y.numpy(), weight, bias, stride, part.kernel // 2, size)
        np.testing.assert_allclose(restored, expected, atol=1e-12)
        without_bias = restored - back.bias.detach()[:, None, None]
        torch.testing.assert_close((convolved * y).sum(), (x * without_bias).sum())


def test_without_strides_deconvolution_pads_by_what_the_kernel_lacks():
    """The rule as textbooks have it: a 3×3 map, a 3×3 kernel, two zeros all around, and 5×5 come out."""
    y, weight = maps(1, 1, 3, 3), maps(1, 1, 3, 3, seed=1)
    deconvolved = nn.functional.conv_transpose2d(y, weight)
    assert deconvolved.shape == (1, 1, 5, 5)
    assert torch.equal(deconvolved, nn.functional.conv2d(nn.functional.pad(y, (2, 2, 2, 2)), weight.flip(2, 3)))
    expected = padded_convolution(y.numpy(), weight.numpy(), np.zeros(1), 1, 0, (5, 5))
    np.testing.assert_array_equal(deconvolved, expected)


# Networks with switches


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("code_channels", "widen"), [(None, 1), (2, 1), (2, 2)])
def test_each_stage_is_undone_with_its_own_switches(stride, code_channels, widen):
    """The last pooling's switches serve the first unpooling. By hand: PyTorch's layers, NumPy's pooling."""
    part = Convolutional(
        channels=(3, 4), stride=stride, unpooling="switches", code_channels=code_channels, code_activation="tanh"
    )
    z_shape = part.code_shape((15, 10), 5 if code_channels is None else None)
    sizes = Sizes((15, 10), (widen * z_shape[0], *z_shape[1:]), z_shape)
    encoder, decoder = (one.double() for one in part.build(sizes, torch.Generator().manual_seed(0)))
    x = maps(2, 15, 10) / 1000
    z = maps(2, *z_shape, seed=1) / 1000
    with torch.no_grad():
        y, grids, remembered = x[:, None], [], []
        for stage in encoder.stages:
            y = stage[1](stage[0](y))
            grids.append(tuple(y.shape[2:]))
            values, switches = pooled(y.numpy(), stride)
            remembered.append(switches)
            y = torch.from_numpy(values)
        if encoder.head is not None:
            y = torch.tanh(encoder.head(y.flatten(1)))
        h, switches = encoder.with_pool_indices(x)
        torch.testing.assert_close(h, y.reshape(2, *sizes.h_shape))
        for ours, theirs in zip(switches, remembered, strict=True):
            np.testing.assert_array_equal(ours, theirs)

        y = z if decoder.head is None else torch.relu(decoder.head(z)).reshape(2, -1, *remembered[-1].shape[2:])
        convolutions = [layer for layer in decoder.stages if isinstance(layer, nn.Conv2d)]
        for convolution, place, size in zip(convolutions, remembered[::-1], grids[::-1], strict=True):
            y = torch.from_numpy(unpooled(torch.relu(convolution(y)).numpy(), place, size))
        torch.testing.assert_close(decoder(z, switches), decoder.last(y)[:, 0])


def test_switches_need_maxima():
    with pytest.raises(InvalidParameterError, match=r"'switches' only with resampling='pool'.*Got resampling='stride'"):
        Convolutional(resampling="stride", unpooling="switches")
    with pytest.raises(InvalidParameterError, match="only with resampling='pool'"):
        Convolutional(unpooling="switches").set_params(resampling="stride")


def test_networks_described_before_there_were_the_options_are_what_they_were():
    described = Convolutional(resampling="stride").to_json()
    old = {key: value for key, value in described.items() if key not in {"unpooling", "stride"}}
    assert Network.from_json(old) == Convolutional(resampling="stride", unpooling="repeat", stride=2)


# Models with switches


def trained(unpooling, epochs=12, n_latent=2, training=None, **changes):
    network = Convolutional(channels=(8, 16), unpooling=unpooling)
    settings = training or Training(epochs=epochs, optimiser=Adam(learning_rate=5e-3))
    return Autoencoder(n_latent, network=network, training=settings, random_state=0, **changes).fit("digits:train")


@pytest.fixture(scope="module")
def model():
    return trained("switches")


@pytest.mark.slow
def test_switches_restore_more_than_two_numbers_can_say(model):
    """The same two numbers and the same weights to start from; but a code that is not the whole truth."""
    twin = trained("repeat")
    errors = [narrows.evaluate(one, "digits:test")["sse_per_record"] for one in (model, twin)]
    assert errors[0] < 0.6 * errors[1]
    assert model.history_[-1]["loss"] < 0.6 * model.history_[0]["loss"]


def test_the_code_alone_cannot_be_decoded(model):
    codes = model.transform("digits:test")
    assert codes.shape == (360, 2)
    assert model.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]
    for refused in (
        lambda: model.inverse_transform(codes),
        lambda: model.chain_.decode(torch.from_numpy(codes)),
        lambda: model.chain_.restore(torch.from_numpy(codes)),
    ):
        with pytest.raises(
            NotDecodableError,
            match=r"its code alone cannot be decoded. Use reconstruct, or train with network__unpooling='repeat'",
        ):
            refused()


def test_no_archive_holds_switches(model, tmp_path):
    for refused in (
        lambda: model.codec_,
        lambda: model.quantise("digits:test"),
        lambda: narrows.compress("digits:test", tmp_path / "digits.narrows", model=model),
    ):
        with pytest.raises(NotFreezableError, match=r"cannot be frozen. The model's unpooling needs the switches"):
            refused()


def test_restored_records_are_those_of_their_own_switches(model):
    """With the switches of others, the same codes give others' records."""
    digits = narrows.data.open("digits:test").values[:50]
    x = model.chain_.prepare(torch.from_numpy(np.array(digits)))
    with torch.no_grad():
        h, switches = model.chain_.encoder.with_pool_indices(x)
        z = model.chain_.bottleneck(h).z
        restored = model.chain_.restore(z, switches).numpy()
        exchanged = model.chain_.restore(z, tuple(one.flip(0) for one in switches)).numpy()
    np.testing.assert_array_equal(np.clip(np.rint(restored), 0, 255), model.reconstruct(digits))
    assert np.square(restored - digits).mean() < 0.5 * np.square(exchanged - digits).mean()


def test_a_saved_model_restores_the_same(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    loaded = narrows.load(tmp_path / "model.safetensors")
    assert loaded.network == model.network
    np.testing.assert_array_equal(loaded.reconstruct("digits:test"), model.reconstruct("digits:test"))
    assert loaded.codec_error_ == model.codec_error_
    with pytest.raises(NotDecodableError):
        loaded.inverse_transform(np.zeros((1, 2)))


def test_switches_are_those_of_the_damaged_record(chain_only):
    """Nothing of the clean record reaches the decoder of a denoising autoencoder."""
    model = trained("switches", epochs=2, corruption="masking")
    chain, records = model.chain_, torch.from_numpy(np.array(narrows.data.open("digits:test").values[:20]))
    with torch.no_grad():
        x = chain.prepare(records)
        h, switches = chain.encoder.with_pool_indices(chain.corrupt(x, torch.Generator().manual_seed(3)))
        expected = -chain.likelihood.log_prob(chain.decode(chain.bottleneck(h).z, switches), x)
        got = chain.loss(records, torch.Generator().manual_seed(3)).reconstruction
    torch.testing.assert_close(got, expected)
    clean, noisy = (narrows.evaluate(model, "digits:test", corrupted=flag) for flag in (False, True))
    assert noisy["sse_per_record"] > clean["sse_per_record"]


def test_float64_records_of_any_size_are_restored_alone_as_together(rng):
    x = rng.normal(size=(30, 7, 9))
    network = Convolutional(channels=(3, 4), stride=3, unpooling="switches")
    model = Autoencoder(2, network=network, training=Training(epochs=2), random_state=0).fit(x)
    together = model.reconstruct(x)
    assert together.shape == x.shape
    np.testing.assert_allclose(np.concatenate([model.reconstruct(one[None]) for one in x]), together, rtol=1e-9)
