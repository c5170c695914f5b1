"""What holds of every network; how weights start; tied weights against a forward pass written in NumPy."""

import math
from zlib import crc32

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from narrows.errors import InvalidParameterError, NotDecodableError, NotFreezableError
from narrows.networks import Convolutional, Dense, Network, Sizes, Strided, Temporal
from narrows.networks.activations import ACTIVATIONS
from narrows.numerics.absent import ABSENT

AXIS = Network
SHAPES = [(8, 8), (7, 13), (7, 9, 3), (3, 8, 9), (1, 1), (17,)]
N_CODE = 5


@pytest.fixture(autouse=True)
def _without_compiled_convolutions(monkeypatch):
    """PyTorch compiles a convolution for each new shape, which takes longer than to convolve three records."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


def is_image(shape):
    return len(shape) in (2, 3)


def build(part, shape, *, n_latent=None, widen=1, n_parameters=1, seed=0):
    """Return encoder, decoder and their sizes; the encoder delivers ``widen`` times what the code holds."""
    if n_latent is None and getattr(part, "code_channels", None) is None:
        n_latent = N_CODE
    z_shape = part.code_shape(shape, n_latent)
    out_shape = shape if n_parameters == 1 else (*shape, n_parameters)
    sizes = Sizes(shape, (widen * z_shape[0], *z_shape[1:]), z_shape, out_shape)
    return *part.build(sizes, torch.Generator().manual_seed(seed)), sizes


def weights(*modules):
    return [weight for module in modules for weight in module.parameters()]


def assert_same_record(alone, together):
    """What comes out for a record does not depend on its batch, but for rounding in proportion to the largest value."""
    largest = max(float(together.detach().abs().max()), 10.0)
    torch.testing.assert_close(alone, together[1:2], rtol=1.3e-6, atol=3e-6 * largest)


def check_network(part, shape, widen, n_parameters):
    global_state = torch.get_rng_state()
    encoder, decoder, sizes = build(part, shape, widen=widen, n_parameters=n_parameters)
    assert torch.equal(torch.get_rng_state(), global_state), "nobody's global seed is touched"

    if getattr(part, "teacher_forcing", False):
        encoder.eval(), decoder.eval()  # in training the decoder also receives the record
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1)) + 0.1
    h = encoder(x)
    assert h.shape == (3, *sizes.h_shape)
    if encoder.single_layer is not None:
        layer, last = encoder.single_layer
        torch.testing.assert_close(last(layer(x.flatten(1))).reshape(h.shape), h)
    h_again, switches = encoder.with_pool_indices(x)
    assert torch.equal(h_again, h)
    z = torch.rand(3, *sizes.z_shape, generator=torch.Generator().manual_seed(2)) + 0.1
    out = decoder(z, switches)
    assert out.shape == ((3, *shape) if n_parameters == 1 else (3, *shape, n_parameters))
    assert bool(h.isfinite().all())
    assert bool(out.isfinite().all())
    if switches:
        with pytest.raises(NotDecodableError, match="its code alone cannot be decoded"):
            decoder(z)
        with pytest.raises(NotFreezableError, match="its code alone cannot be decoded"):
            decoder.as_sequence()
    else:
        y = z
        for stage in decoder.as_sequence():
            y = stage(y)
        torch.testing.assert_close(y, out)
    assert_same_record(encoder(x[1:2]), h)
    assert_same_record(decoder(z[1:2], tuple(one[1:2] for one in switches)), out)

    (h.square().sum() + out.square().sum()).backward()
    missing = [name for m in (encoder, decoder) for name, weight in m.named_parameters() if weight.grad is None]
    assert not missing, f"without a gradient: {missing}"

    if widen > 1 or shape not in {SHAPES[0], SHAPES[-1]}:  # weights are drawn alike for all sizes
        return
    same, again, _ = build(part, shape, widen=widen, n_parameters=n_parameters)
    assert all(torch.equal(a, b) for a, b in zip(weights(encoder, decoder), weights(same, again), strict=True))
    other, _, _ = build(part, shape, widen=widen, n_parameters=n_parameters, seed=1)
    is_seeded = getattr(part, "theano_seed", None) is not None
    assert all(torch.equal(a, b) for a, b in zip(weights(encoder), weights(other), strict=True)) == is_seeded


def axes_of(part, shape):
    """Return kind, changed option and shape: an option that several kinds have is tried with a shape on one of them."""
    return {"kind": part.name, "change": repr(part).partition("(")[2], "shape": shape}


@pytest.mark.pairs(axes=axes_of)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_network(part, shape):
    """Several numbers for each of the code and of the values are tried with half of the shapes, another half each."""
    check_or_be_refused(part, shape, 1, 1)
    if (crc32(repr(part).encode()) + SHAPES.index(shape)) % 2:
        check_or_be_refused(part, shape, 2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_network_with_several_numbers_for_each(part, shape):
    check_or_be_refused(part, shape, 2, 2)


def check_or_be_refused(part, shape, widen, n_parameters):
    if getattr(part, "embedding", None) is not None and n_parameters == 1 and not (part.for_series and len(shape) == 3):
        with pytest.raises(InvalidParameterError, match=r"'embedding' of .* needs records of categories"):
            build(part, shape, widen=widen, n_parameters=n_parameters)
    elif getattr(part, "tied", False) and (widen, n_parameters) != (1, 1):
        with pytest.raises(InvalidParameterError, match="Tied weights need a decoder that mirrors the encoder"):
            build(part, shape, widen=widen, n_parameters=n_parameters)
    elif isinstance(part, Convolutional) and not part.channels and part.code_channels is None:
        with pytest.raises(InvalidParameterError, match="'channels' of Convolutional may be empty only with"):
            build(part, shape)
    elif isinstance(part, Strided | Temporal) and not part.channels:
        with pytest.raises(InvalidParameterError, match=r"'channels' of .* must have at least one entry"):
            build(part, shape)
    elif part.for_series and len(shape) == 3:
        with pytest.raises(InvalidParameterError, match=r"needs series.*Got records of shape \(.*network='dense'"):
            build(part, shape, widen=widen, n_parameters=n_parameters)
    elif isinstance(part, Convolutional | Strided) and not is_image(shape):
        with pytest.raises(InvalidParameterError, match=r"needs images.*Got records of shape \(17,\).*network='dense'"):
            build(part, shape, widen=widen, n_parameters=n_parameters)
    else:
        check_network(part, shape, widen, n_parameters)


def test_every_option_changes_something(option):
    kind, name, variants = option
    n_parameters = 2 if name == "embedding" else 1  # categories

    def behaviour(part):
        if name == "missing_to_decoder":
            encoder, decoder = part.build(Sizes((3,), (2,), (2,), (9,), 0, (0, 0, 0)), torch.Generator().manual_seed(0))
            x = torch.tensor([[1.0, ABSENT, 2.0]])
            return [[], decoder(torch.ones(1, 2), encoder.missing_cells(x)).flatten().tolist()]
        encoder, decoder, sizes = build(part, (9, 6), n_parameters=n_parameters)
        if part.start_at_mean:
            decoder.init_output_bias(torch.full((9, 6), 0.3))
        with torch.no_grad():
            # Wide enough that no activation is anywhere near linear.
            code, switches = encoder.with_pool_indices(torch.linspace(-3, 3, 2 * 54).reshape(2, 9, 6))
            z = torch.linspace(-3, 3, 2 * math.prod(sizes.z_shape)).reshape(2, *sizes.z_shape)
            restored = decoder(z, switches)
        return code.flatten().tolist(), restored.flatten().tolist()

    usual = behaviour(kind())
    for variant in variants:
        if getattr(variant, "channels", (1,)):
            assert behaviour(variant) != usual, variant


# Activations


FORMULAS = {
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "gelu": lambda a: a * special.ndtr(a),
    "identity": lambda a: a,
    "leaky-relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "relu": lambda a: np.maximum(a, 0),
    "selu": lambda a: 1.0507009873554805 * np.where(a > 0, a, 1.6732632423543772 * np.expm1(a)),
    "sigmoid": special.expit,
    "silu": lambda a: a * special.expit(a),
    "soft-clip": lambda a: (np.logaddexp(0, 8 * a) - np.logaddexp(0, 8 * (a - 1))) / 8,
    "softplus": lambda a: np.log1p(np.exp(a)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS.values)
def test_an_activation_is_what_its_name_says(name):
    """Hidden, code and output activation alike: each layer is that function of an affine map."""
    part = Dense(widths=(6,), activation=name, code_activation=name, output_activation=name)
    encoder, decoder, _ = build(part, (4,))
    encoder.double(), decoder.double()
    x = np.linspace(-4, 4, 20).reshape(5, 4)
    y = x
    for layer in layers(encoder, decoder):
        y = FORMULAS[name](y @ layer.weight.detach().numpy().T)
    np.testing.assert_allclose(decoder(encoder(torch.from_numpy(x))).detach(), y, rtol=1e-10, atol=1e-12)


# Where the decoder starts


@pytest.mark.parametrize("output", ["identity", "sigmoid", "soft-clip", "tanh"])
@pytest.mark.parametrize(
    "network",
    [
        Dense(widths=(8,), activation="tanh"),
        Dense(widths=(8,), activation="tanh", tied=True),
        Dense(widths=()),
    ],
    ids=repr,
)
def test_a_dense_decoder_can_start_at_any_record(network, output):
    part = network.clone().set_params(output_activation=output, start_at_mean=True)
    _, decoder, sizes = build(part, (4, 3))
    wanted = torch.linspace(0.05, 0.95, 12).reshape(4, 3)
    decoder.init_output_bias(wanted)
    torch.testing.assert_close(decoder(torch.zeros(1, *sizes.z_shape))[0], wanted)


@pytest.mark.parametrize("output", ["identity", "sigmoid", "soft-clip", "tanh"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (7, 6, 5)], ids=str)
def test_a_convolutional_decoder_can_start_at_the_mean_of_each_channel(shape, output):
    part = Convolutional(channels=(4,), output_activation=output, start_at_mean=True)
    _, decoder, sizes = build(part, shape)
    wanted = torch.linspace(0.05, 0.95, math.prod(shape)).reshape(shape)
    decoder.init_output_bias(wanted)
    places = {2: (0, 1), 3: (0, 1) if shape[-1] == 3 else (1, 2)}[len(shape)]
    flat = wanted.mean(places, keepdim=True).expand(shape)
    torch.testing.assert_close(decoder(torch.zeros(1, *sizes.z_shape))[0], flat)


@pytest.mark.parametrize("kind", [Dense, Convolutional, Strided])
def test_values_that_an_output_never_reaches_are_approached(kind):
    _, decoder, _ = build(kind(output_activation="sigmoid", start_at_mean=True), (6, 5))
    decoder.init_output_bias(torch.full((6, 5), 1.0))
    assert all(bool(weight.isfinite().all()) for weight in weights(decoder))
    assert float(decoder(torch.zeros(1, N_CODE)).detach().min()) > 0.99


@pytest.mark.parametrize("kind", [Dense, Convolutional, Strided])
def test_an_output_that_cannot_be_inverted_starts_at_zero(kind):
    with pytest.raises(
        InvalidParameterError, match=rf"'output_activation' of {kind.__name__} must be .* with start_at_mean=True"
    ):
        kind(output_activation="relu", start_at_mean=True)


# Dense


def test_the_widths_are_those_asked_for():
    encoder, decoder, _ = build(Dense(widths=(20, 10), decoder_widths=(7,)), (4, 3))
    assert [tuple(w.shape) for w in weights(encoder) if w.ndim == 2] == [(20, 12), (10, 20), (5, 10)]
    assert [tuple(w.shape) for w in weights(decoder) if w.ndim == 2] == [(7, 5), (12, 7)]
    mirrored = build(Dense(widths=(20, 10)), (4, 3))[1]
    assert [tuple(w.shape) for w in weights(mirrored) if w.ndim == 2] == [(10, 5), (20, 10), (12, 20)]


@pytest.mark.parametrize(
    ("network", "is_one"), [(Dense(widths=()), True), (Dense(), False), (Strided(), False)], ids=repr
)
def test_an_encoder_of_one_layer_says_so(network, is_one):
    assert (build(network, (8, 8))[0].single_layer is not None) == is_one


TIED = Dense(widths=(8, 6), activation="tanh", code_activation="tanh", output_activation="sigmoid", tied=True)


def by_name(module):
    return {name: weight.detach().numpy().astype(np.float64) for name, weight in module.named_parameters()}


def test_tied_weights_are_the_encoders_own():
    free, tied = build(Dense(widths=(8, 6)), (4, 3)), build(TIED, (4, 3))
    matrices = [weight for weight in weights(tied[0]) if weight.ndim == 2]
    assert all(weight.ndim == 1 for weight in weights(tied[1])), "the decoder has nothing but biases"
    n_free, n_tied = (sum(weight.numel() for weight in weights(*pair[:2])) for pair in (free, tied))
    assert n_free - n_tied == sum(weight.numel() for weight in matrices)

    z = torch.ones(1, N_CODE)
    for matrix in matrices:
        before = tied[1](z)
        with torch.no_grad():
            matrix.mul_(1.5)
        assert not torch.equal(tied[1](z), before)


def test_tied_weights_compute_what_numpy_computes_and_gradients_add_up():
    encoder, decoder, _ = build(TIED, (4, 3))
    encoder.double(), decoder.double()
    x = torch.rand(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for bias in [weight for weight in weights(encoder, decoder) if weight.ndim == 1]:
            bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(len(bias)))
    matrices = [weight for weight in weights(encoder) if weight.ndim == 2]
    there = [weight.detach().numpy() for weight in weights(encoder) if weight.ndim == 1]
    back = [weight.detach().numpy() for weight in weights(decoder)]

    def loss(up, down):
        """Return Σ x̂² for encoder matrices and decoder matrices that are given separately."""
        y = x.numpy().reshape(5, -1)
        for matrix, bias in zip(up, there, strict=True):
            y = np.tanh(y @ matrix.T + bias)
        for position, (matrix, bias) in enumerate(zip(reversed(down), back, strict=True)):
            y = y @ matrix + bias
            y = np.tanh(y) if position < len(down) - 1 else 1 / (1 + np.exp(-y))
        return np.square(y).sum()

    kept = [matrix.detach().numpy().copy() for matrix in matrices]
    ours = decoder(encoder(x)).square().sum()
    np.testing.assert_allclose(ours.item(), loss(kept, kept), rtol=1e-12)

    ours.backward()
    for position, matrix in enumerate(matrices):
        entry = (1, 2)
        slopes = []
        for side in (0, 1):  # the encoder's use of the matrix, then the decoder's
            ends = []
            for step in (1e-5, -1e-5):
                used = [[one.copy() for one in kept], [one.copy() for one in kept]]
                used[side][position][entry] += step
                ends.append(loss(*used))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        np.testing.assert_allclose(float(matrix.grad[entry]), sum(slopes), rtol=1e-6)
        assert all(abs(slope) > 1e-6 for slope in slopes), "both uses count"


@pytest.mark.parametrize("decoder_widths", [(8, 6), (6,), ()])
def test_tied_weights_refuse_a_decoder_that_is_no_mirror_image(decoder_widths):
    part = Dense(widths=(8, 6), decoder_widths=decoder_widths, tied=True)
    back = "-".join(map(str, (5, *decoder_widths, 12)))
    with pytest.raises(InvalidParameterError, match=f"Got the encoder 12-8-6-5 and the decoder {back}"):
        build(part, (12,))
    build(Dense(widths=(8, 6), decoder_widths=(6, 8), tied=True), (12,))


# How weights start


BOUNDS = {
    "fan-in": lambda n_in, n_out: 1 / math.sqrt(n_in),
    "glorot": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "glorot-sigmoid": lambda n_in, n_out: 4 * math.sqrt(6 / (n_in + n_out)),
}


def layers(*modules):
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return [layer for module in modules for layer in module.modules() if isinstance(layer, kinds)]


def fans(layer):
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels * math.prod(layer.kernel_size), layer.out_channels * math.prod(layer.kernel_size)


@pytest.mark.parametrize("scheme", ["fan-in", "glorot", "glorot-sigmoid", "he"])
@pytest.mark.parametrize(
    "network",
    [
        Dense(widths=(300, 40)),
        Dense(widths=(300, 40), theano_seed=7),
        Convolutional(channels=(24, 40), kernel=5, resampling="stride"),
        TIED,
    ],
    ids=["dense", "theano", "convolutional", "tied"],
)
def test_weights_start_as_the_scheme_says(network, scheme):
    part = network.clone().set_params(initialisation=scheme)
    encoder, decoder, _ = build(part, (20, 20))
    assert layers(encoder)
    for layer in layers(encoder, decoder):
        weight = layer.weight.detach().double()
        n_in, n_out = fans(layer)
        n = weight.numel()
        if scheme == "he":
            deviation = math.sqrt(2 / n_in)
        else:
            bound = BOUNDS[scheme](n_in, n_out)
            deviation = bound / math.sqrt(3)
            assert float(weight.abs().max()) <= bound * (1 + 1e-6)
            assert float(weight.abs().max()) >= bound * (1 - 12 / n), "the whole interval is used"
        assert abs(float(weight.mean())) < 5 * deviation / math.sqrt(n)
        assert abs(float(weight.std()) / deviation - 1) < 5 / math.sqrt(n)
    for bias in [weight for weight in weights(encoder, decoder) if weight.ndim == 1]:
        assert not bias.any()


def test_the_theano_tutorials_draw_a_number_for_their_noise_before_the_weights():
    network = Dense(widths=(4,), initialisation="glorot-sigmoid", theano_seed=123)
    encoder, decoder, _ = build(network, (3, 2))
    state = np.random.RandomState(123)
    state.randint(2**30)
    for layer, (n_in, n_out) in zip(layers(encoder, decoder), [(6, 4), (4, 5), (5, 4), (4, 6)], strict=True):
        bound = 4 * math.sqrt(6 / (n_in + n_out))
        drawn = state.uniform(low=-bound, high=bound, size=(n_in, n_out))
        np.testing.assert_array_equal(layer.weight.detach(), drawn.T.astype(np.float32))


# Convolutional


@pytest.mark.parametrize("resampling", ["pool", "stride"])
def test_a_stage_divides_the_image_by_its_stride_rounding_up(resampling):
    part = Convolutional(channels=(4,), code_channels=3, resampling=resampling, stride=3)
    assert part.code_shape((28, 28), None) == (3, 4, 4)
    assert part.code_shape((7, 13), None) == (3, 1, 2)
    assert part.code_shape((3, 9, 10), None) == (3, 1, 2)


@pytest.mark.parametrize("resampling", ["pool", "stride"])
def test_the_code_halves_the_image_rounding_up(resampling):
    part = Convolutional(channels=(4, 4), code_channels=3, resampling=resampling)
    assert part.code_shape((28, 28), None) == (3, 4, 4)
    assert part.code_shape((7, 13), None) == (3, 1, 2)
    assert part.code_shape((15, 9, 3), 3 * 2 * 2) == (3, 2, 2)
    assert part.code_shape((3, 32, 33), None) == (3, 4, 5)


def test_the_code_of_a_map_has_the_size_it_has():
    part = Convolutional(channels=(4,), code_channels=3)
    with pytest.raises(InvalidParameterError, match=r"3×7×7 = 147 numbers. Got n_latent=32. Leave n_latent unset"):
        part.code_shape((28, 28), 32)


def test_colour_channels_stay_where_they_are():
    """The two layouts of the same colour image are treated alike, and so are all its pixels' places."""
    part = Convolutional(channels=(4,), code_channels=2)
    last, first = build(part, (8, 6, 3)), build(part, (7, 8, 6))
    assert layers(last[0])[0].in_channels == 3
    assert layers(first[0])[0].in_channels == 7
    x = torch.rand(2, 8, 6, 3, generator=torch.Generator().manual_seed(0))
    for channel in range(3):
        changed = x.clone()
        changed[..., channel] += 1
        assert not torch.equal(last[0](changed), last[0](x))
    out = last[1](last[0](x))
    with torch.no_grad():
        final = layers(last[1])[-1]
        final.bias[1] += 10
    shifted = last[1](last[0](x))
    torch.testing.assert_close(shifted[..., 1], out[..., 1] + 10)
    torch.testing.assert_close(shifted[..., [0, 2]], out[..., [0, 2]])


def test_several_parameters_stand_last():
    """A convolution's outputs for one value are neighbours on the last axis: adding to one bias moves one of them."""
    _, decoder, _ = build(Convolutional(channels=(4,)), (6, 5, 3), n_parameters=2)
    z = torch.ones(1, N_CODE)
    out = decoder(z)
    with torch.no_grad():
        layers(decoder)[-1].bias[2 * 1 + 1] += 10  # of channel 1, the second parameter
    moved = (decoder(z) - out).detach()
    expected = torch.zeros_like(out)
    expected[:, :, :, 1, 1] = 10
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_a_place_in_the_image_is_restored_from_its_own_place_in_the_code():
    """With a map as code, what is far away in the code leaves a pixel alone: nothing is shifted or transposed."""
    for resampling in ("pool", "stride"):
        part = Convolutional(channels=(3,), code_channels=2, resampling=resampling)
        _, decoder, sizes = build(part, (30, 21))
        z = torch.zeros(1, *sizes.z_shape)
        changed = z.clone()
        changed[0, :, 0, -1] = 5.0  # the upper right corner
        difference = (decoder(changed) - decoder(z)).abs()[0].detach()
        assert float(difference[:8, -8:].max()) > 0
        assert float(difference[15:].max()) == 0
        assert float(difference[:, :10].max()) == 0


def test_code_bias_is_where_the_codes_biases_start():
    encoder, _ = Dense(widths=(4,), code_bias=1.5).build(Sizes((6,), (3,), (3,)), torch.Generator().manual_seed(0))
    assert encoder.layers[-1].bias.tolist() == [1.5] * 3
    assert encoder.layers[0].bias.tolist() == [0.0] * 4


def test_only_dense_networks_have_outputs_of_any_shape():
    """A likelihood with other parameters than so many for each value, such as one of columns, asks for them."""
    sizes = Sizes((6, 5), (3,), (3,), out_shape=(41,))
    _, decoder = Dense(widths=(4,)).build(sizes, torch.Generator())
    assert decoder(torch.zeros(2, 3)).shape == (2, 41)
    with pytest.raises(InvalidParameterError, match=r"needs them in the shape \(41,\)\. Use network='dense'"):
        Convolutional(channels=(4,)).build(sizes, torch.Generator())
