"""Temporal networks: steps that divide, codes along time, and a decoder that ends at exactly the series' length."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from narrows.codec.freezing.translation import Translation
from narrows.codec.program import Program
from narrows.errors import InvalidParameterError
from narrows.networks import Sizes, Temporal

SHAPES = [(1,), (2,), (17,), (140,), (7, 3), (33, 1), (64, 5)]


def build(part, shape, n_latent=None):
    z_shape = part.code_shape(shape, n_latent)
    return *part.build(Sizes(shape, z_shape, z_shape), torch.Generator().manual_seed(0)), z_shape


def layers(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("stride", "kernel"), [(2, 3), (2, 5), (3, 5), (5, 5), (4, 9)])
def test_any_length_comes_back_as_it_was(shape, stride, kernel):
    for part, n_latent in (
        (Temporal(channels=(4, 5), stride=stride, kernel=kernel, code_channels=2), None),
        (Temporal(channels=(4,), stride=stride, kernel=kernel, dilations=()), 3),
    ):
        encoder, decoder, z_shape = build(part, shape, n_latent)
        z = encoder(torch.rand(2, *shape))
        assert z.shape == (2, *z_shape)
        assert decoder(z).shape == (2, *shape)


def test_a_stage_divides_the_steps_rounding_up():
    part = Temporal(channels=(4, 4), code_channels=3)
    assert part.code_shape((140,), None) == (3, 1, 35)
    assert part.code_shape((7, 13), None) == (3, 1, 2)
    assert Temporal(channels=(4, 4), code_channels=3, stride=3).code_shape((28,), 3 * 4) == (3, 1, 4)
    assert Temporal(channels=(4, 4)).code_shape((28,), 11) == (11,)


def test_the_code_along_time_has_the_size_it_has():
    with pytest.raises(InvalidParameterError, match=r"3×1×35 = 105 numbers. Got n_latent=32. Leave n_latent unset"):
        Temporal(channels=(4, 4), code_channels=3).code_shape((140,), 32)


def test_a_stride_that_would_leave_steps_out_is_refused():
    with pytest.raises(InvalidParameterError, match=r"'stride' of Temporal must be at most its 'kernel'.*stride=4"):
        Temporal(stride=4, kernel=3)


def test_a_step_is_restored_from_its_own_part_of_the_code():
    _, decoder, z_shape = build(Temporal(channels=(3, 3), dilations=(1,), code_channels=2), (160, 2))
    z = torch.zeros(1, *z_shape)
    changed = z.clone()
    changed[0, :, 0, -1] = 5.0  # the last steps
    difference = (decoder(changed) - decoder(z)).abs()[0].detach()
    assert float(difference[-4:].min()) > 0
    assert float(difference[:120].max()) == 0


def test_dilated_layers_see_as_far_as_their_dilations():
    """A tap of distance 1, 2 and 4 on steps that were halved once: 2 · (1 + 2 + 4) steps and the kernels' own."""
    encoder, _, _ = build(Temporal(channels=(3,), kernel=3, dilations=(1, 2, 4), code_channels=1), (200,))
    x = torch.rand(1, 200, requires_grad=True)
    encoder(x)[0, 0, 0, 50].backward()
    seen = x.grad[0].nonzero().flatten()
    # The code's own kernel sees one further step, of two of the series; the first one a step to each side.
    assert (int(seen.min()), int(seen.max())) == (100 - 2 * 8 - 1, 100 + 2 * 8 + 1)


@pytest.mark.parametrize(("shape", "channels"), [((12,), 1), ((12, 3), 3), ((12, 1), 1)])
def test_channels_of_a_series_are_those_of_the_layers(shape, channels):
    encoder, decoder, z_shape = build(Temporal(channels=(4,), code_channels=2), shape)
    assert layers(encoder, nn.Conv2d)[0].in_channels == channels
    last = layers(decoder, nn.ConvTranspose2d)[-1]
    assert last.out_channels == channels
    z = torch.zeros(1, *z_shape)
    before = decoder(z)
    with torch.no_grad():
        last.bias[-1] += 10
    moved = (decoder(z) - before)[0].detach()
    torch.testing.assert_close(moved.reshape(12, channels)[:, -1], torch.full((12,), 10.0))
    assert float(moved.sum()) == pytest.approx(120, rel=1e-5), "no other channel moved"


@pytest.mark.parametrize("output", ["identity", "sigmoid", "soft-clip", "tanh"])
@pytest.mark.parametrize("shape", [(9,), (9, 4)], ids=str)
def test_the_decoder_can_start_at_the_mean_of_each_channel(shape, output):
    _, decoder, z_shape = build(Temporal(channels=(4,), output_activation=output, start_at_mean=True), shape, 3)
    wanted = torch.linspace(0.05, 0.95, math.prod(shape)).reshape(shape)
    decoder.init_output_bias(wanted)
    torch.testing.assert_close(decoder(torch.zeros(1, *z_shape))[0], wanted.mean(0, keepdim=True).expand(shape))


@pytest.mark.parametrize("dilation", [(1, 2), (1, 5), (3, 2)])
def test_dilated_convolutions_freeze_to_the_value(dilation):
    """Whole numbers in, whole numbers out: the kernel with zeros between its taps is the same sum."""
    generator = torch.Generator().manual_seed(0)
    layer = nn.Conv2d(3, 2, 3, padding=dilation, dilation=dilation)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-9, 10, layer.weight.shape, generator=generator))
        layer.bias.copy_(torch.tensor([5.0, -7.0]))
    x = torch.randint(-20, 21, (4, 3, 7, 11), generator=generator)
    so_far = Translation((3, 7, 11), 0)
    so_far.add(layer, float(layer(x.float()).detach().abs().max()))
    with torch.no_grad():
        wanted = layer(x.float()).movedim(1, 3).numpy()
    operation = so_far.operations[-1]
    run = Program((3, 7, 11), so_far.operations).run(x.numpy().astype(np.int16))
    np.testing.assert_array_equal(run * 2.0**-so_far.shift, wanted)
    assert operation.weights.shape[2:] == tuple(2 * d + 1 for d in dilation)
