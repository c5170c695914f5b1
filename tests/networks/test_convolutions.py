"""The layers compute what PyTorch's layers with the same weights compute, with all gradients."""

import pytest
import torch
from torch import nn

from narrows.networks.convolutions import Convolution, TransposedConvolution

# A few output channels or many; a kernel of 1, 3 or 5; a stride that leaves pixels out; padding; kernels along time.
LAYERS = {
    "one channel": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 1}),
    "three channels, not padded": (Convolution, nn.Conv2d, (4, 3, (1, 5)), {}),
    "one channel, more padded than the kernel reaches": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 3}),
    "one channel, stride 2": (Convolution, nn.Conv2d, (4, 1, 3), {"padding": 1, "stride": 2}),
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
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    pulled = torch.randn_like(theirs(x))
    expected = [theirs(x), *torch.autograd.grad(theirs(x), [x, *theirs.parameters()], pulled)]
    got = [ours(x), *torch.autograd.grad(ours(x), [x, *ours.parameters()], pulled)]
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", [Convolution(2, 1, 3, padding=1), TransposedConvolution(2, 4, 3, stride=2)])
def test_gradients_have_gradients(layer):
    layer = layer.double()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, x, atol=1e-6)


def test_the_gradient_of_the_bias_changes_no_bit_of_that_of_the_weights():
    theirs, ours = nn.ConvTranspose2d(8, 16, 3, stride=2), TransposedConvolution(8, 16, 3, stride=2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 8, 7, 7).to(memory_format=torch.channels_last)
    for layer in (theirs, ours):
        layer(x).square().sum().backward()
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.weight.grad, theirs.weight.grad)
