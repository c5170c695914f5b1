"""The layers compute what PyTorch's layers with the same weights compute, with all gradients."""

import pytest
import torch
from torch import nn

from narrows.networks import Convolutional, Sizes
from narrows.networks.convolutions import Convolution, TransposedConvolution

# A few output channels or many; a kernel of 1, 3 or 5; a stride that leaves pixels out; padding; kernels along time.
LAYERS = {
    "one channel": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 1}),
    "three channels, not padded": (Convolution, nn.Conv2d, (4, 3, (1, 5)), {}),
    "one channel, more padded than the kernel reaches": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 3}),
    "one channel, stride 2": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 1, "stride": 2}),
    "few inputs": (Convolution, nn.Conv2d, (3, 20, 3), {"padding": 1}),
    "few inputs, not padded, stride 2": (Convolution, nn.Conv2d, (1, 20, (3, 5)), {"stride": 2}),
    "many channels": (Convolution, nn.Conv2d, (4, 20, 3), {"padding": 1}),
    "dilated": (Convolution, nn.Conv2d, (4, 2, 3), {"padding": 2, "dilation": 2}),
    "transposed to one channel": (
        *(TransposedConvolution, nn.ConvTranspose2d, (4, 1, 3)),
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    "transposed, the output is larger than the kernels reach": (
        *(TransposedConvolution, nn.ConvTranspose2d, (4, 2, 1)),
        {"stride": (3, 2), "output_padding": (2, 1)},
    ),
    "transposed to many channels": (
        *(TransposedConvolution, nn.ConvTranspose2d, (4, 20, 3)),
        {"stride": 2, "padding": 1, "output_padding": (1, 0)},
    ),
    "transposed without a bias": (TransposedConvolution, nn.ConvTranspose2d, (4, 2, 3), {"bias": False}),
}


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_values_and_gradients_are_those_of_pytorchs_layer(case, memory_format):
    ours, theirs, arguments, options = LAYERS[case]
    theirs = theirs(*arguments, **options).double().to(memory_format=memory_format)
    ours = ours(*arguments, **options).double().to(memory_format=memory_format)
    ours.load_state_dict(theirs.state_dict())
    torch.manual_seed(0)
    x = torch.randn(3, arguments[0], 6, 5, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    pulled = torch.randn_like(theirs(x))
    expected = [theirs(x), *torch.autograd.grad(theirs(x), [x, *theirs.parameters()], pulled)]
    got = [ours(x), *torch.autograd.grad(ours(x), [x, *ours.parameters()], pulled)]
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [Convolution(2, 1, 3, padding=1), Convolution(2, 4, 3, padding=1), TransposedConvolution(2, 4, 3, stride=2)],
)
def test_gradients_have_gradients(layer):
    layer = layer.double()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, x, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 20), (4, 1)])
def test_no_records_are_none(shape):
    layer = Convolution(*shape, 3, padding=1)
    x = torch.randn(0, shape[0], 4, 4, requires_grad=True)
    assert layer(x).shape == (0, shape[1], 4, 4)
    assert layer.of_repeated(x).shape == (0, shape[1], 8, 8)
    layer(x).sum().backward()
    assert not layer.weight.grad.any()


def gradients_of(y, layer, x):
    torch.manual_seed(0)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], torch.randn(y.shape, dtype=y.dtype))]


@pytest.mark.parametrize(("n_out", "kernel"), [(1, 3), (20, 3), (2, 5), (20, 1)])
def test_a_convolution_of_repeated_values_is_one_step(n_out, kernel):
    layer = Convolution(4, n_out, kernel, padding=kernel // 2).double()
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    assert layer.can_be_of_repeated(x)
    expected = gradients_of(layer(nn.Upsample(scale_factor=2)(x)), layer, x)
    for one, other in zip(gradients_of(layer.of_repeated(x), layer, x), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": (8,), "code_channels": 4},
        {"channels": (8, 6)},
        {"channels": (8,), "resampling": "stride"},
        {"channels": (8, 6), "unpooling": "switches"},
        {"channels": (8, 6), "activation": "tanh"},
    ],
    ids=str,
)
def test_networks_compute_in_training_what_they_compute_otherwise(settings, monkeypatch):
    part = Convolutional(**settings)
    shape = (12, 10)  # of which pooling makes 6×5 and 3×3, so that one map is repeated in part only
    code = part.code_shape(shape, None if "code_channels" in settings else 5)
    networks = part.connect(Sizes(shape, code, code, shape), torch.Generator().manual_seed(0))
    encoder, decoder = (network.double() for network in networks)
    x = torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)

    def values_and_gradients():
        h, switches = encoder.with_pool_indices(x)
        y = decoder(h, switches)
        return [y, *torch.autograd.grad(y.square().sum(), [x, *encoder.parameters(), *decoder.parameters()])]

    got = values_and_gradients()
    for module in ("convolutions", "convolutional"):
        monkeypatch.setattr(f"narrows.networks.{module}.is_training", lambda weight: False)
    for one, other in zip(got, values_and_gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_bias_changes_no_bit_of_that_of_the_weights():
    theirs, ours = nn.ConvTranspose2d(8, 16, 3, stride=2), TransposedConvolution(8, 16, 3, stride=2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 8, 7, 7).to(memory_format=torch.channels_last)
    for layer in (theirs, ours):
        layer(x).square().sum().backward()
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.weight.grad, theirs.weight.grad)
