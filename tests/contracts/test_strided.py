"""Strided networks: grids that halve, codes that are maps, and a decoder that ends at exactly the image's size."""

import math

import pytest
import torch
from torch import nn

from narrows.errors import InvalidParameterError
from narrows.networks import Sizes, Strided

SHAPES = [(28, 28), (7, 13), (15, 9, 3), (3, 32, 33), (1, 1), (2, 5), (16, 17, 4)]


def build(part, shape, n_latent=None):
    z_shape = part.code_shape(shape, n_latent)
    return *part.build(Sizes(shape, z_shape, z_shape), torch.Generator().manual_seed(0)), z_shape


def layers(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_comes_back_as_it_was(shape, kernel):
    for part, n_latent in (
        (Strided(channels=(4, 5, 6), kernel=kernel, code_channels=2), None),
        (Strided(channels=(4,), depth=0, kernel=kernel), 3),
    ):
        encoder, decoder, z_shape = build(part, shape, n_latent)
        z = encoder(torch.rand(2, *shape))
        assert z.shape == (2, *z_shape)
        assert decoder(z).shape == (2, *shape)


def test_the_code_halves_the_image_rounding_up():
    part = Strided(channels=(4, 4), code_channels=3)
    assert part.code_shape((28, 28), None) == (3, 7, 7)
    assert part.code_shape((7, 13), None) == (3, 2, 4)
    assert part.code_shape((15, 9, 3), None) == (3, 4, 3)
    assert part.code_shape((5, 32, 33), 3 * 8 * 9) == (3, 8, 9)
    assert Strided(channels=(4, 4)).code_shape((28, 28), 11) == (11,)


def test_the_code_of_a_map_has_the_size_it_has():
    with pytest.raises(InvalidParameterError, match=r"3×7×7 = 147 numbers. Got n_latent=32. Leave n_latent unset"):
        Strided(channels=(4, 4), code_channels=3).code_shape((28, 28), 32)


def test_no_layer_but_the_last_works_at_full_size():
    """The decoder's work is done where the image is small, which is what makes it fast."""
    _, decoder, z_shape = build(Strided(channels=(4, 6), depth=2, code_channels=2), (16, 24))
    sizes = []
    for layer in layers(decoder, (nn.Conv2d, nn.ConvTranspose2d)):
        layer.register_forward_hook(lambda module, given, out: sizes.append((type(module).__name__, out.shape[1:])))
    decoder(torch.zeros(1, *z_shape))
    plain = ("Convolution", (6, 4, 6))
    assert [(kind, tuple(size)) for kind, size in sizes] == [
        plain, plain, plain, ("TransposedConvolution", (4, 8, 12)), ("TransposedConvolution", (1, 16, 24)),
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_depth_is_how_many_convolutions_keep_the_grid(depth):
    for code_channels in (None, 2):
        part = Strided(channels=(4, 6), depth=depth, code_channels=code_channels)
        encoder, decoder, _ = build(part, (8, 8), None if code_channels else 3)
        strides = [layer.stride for layer in layers(encoder, nn.Conv2d)]
        to_code = [(1, 1)] * (depth + (code_channels is not None))
        assert strides == [(2, 2), (2, 2), *to_code]
        assert len(layers(decoder, nn.Conv2d)) == len(to_code)
        assert len(layers(decoder, nn.ConvTranspose2d)) == 2
        assert len(layers(encoder, nn.Linear)) == len(layers(decoder, nn.Linear)) == (code_channels is None)


def test_a_place_in_the_image_is_restored_from_its_own_place_in_the_code():
    _, decoder, z_shape = build(Strided(channels=(3, 3), depth=1, code_channels=2), (48, 32))
    z = torch.zeros(1, *z_shape)
    changed = z.clone()
    changed[0, :, 0, -1] = 5.0  # the upper right corner
    difference = (decoder(changed) - decoder(z)).abs()[0].detach()
    assert float(difference[:4, -4:].max()) > 0
    assert float(difference[24:].max()) == 0
    assert float(difference[:, :8].max()) == 0


@pytest.mark.parametrize(("shape", "channels"), [((8, 6), 1), ((8, 6, 3), 3), ((7, 8, 6), 7)])
def test_colour_goes_in_and_out_as_channels(shape, channels):
    encoder, decoder, z_shape = build(Strided(channels=(4,), code_channels=2), shape)
    assert layers(encoder, nn.Conv2d)[0].in_channels == channels
    last = layers(decoder, nn.ConvTranspose2d)[-1]
    assert last.out_channels == channels
    z = torch.zeros(1, *z_shape)
    before = decoder(z)
    with torch.no_grad():
        last.bias[-1] += 10
    moved = (decoder(z) - before)[0].detach()
    of_last = moved if channels == 1 else moved[..., -1] if shape[-1] == 3 else moved[-1]
    torch.testing.assert_close(of_last, torch.full_like(of_last, 10))
    assert float(moved.sum()) == pytest.approx(10 * math.prod(shape) / channels, rel=1e-5), "no other channel moved"


@pytest.mark.parametrize("output", ["identity", "sigmoid", "soft-clip", "tanh"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (7, 6, 5)], ids=str)
def test_the_decoder_can_start_at_the_mean_of_each_channel(shape, output):
    _, decoder, z_shape = build(Strided(channels=(4,), output_activation=output, start_at_mean=True), shape, 3)
    wanted = torch.linspace(0.05, 0.95, math.prod(shape)).reshape(shape)
    decoder.init_output_bias(wanted)
    places = {2: (0, 1), 3: (0, 1) if shape[-1] == 3 else (1, 2)}[len(shape)]
    flat = wanted.mean(places, keepdim=True).expand(shape)
    torch.testing.assert_close(decoder(torch.zeros(1, *z_shape))[0], flat)
