"""Convolutions as layers with PyTorch's weights, computed faster on a CPU.

oneDNN, which computes PyTorch's convolutions there, is slow in two cases that most decoders of images have:

- It computes the gradient of a bias together with that of the weights. In a transposed convolution with the channels
  last this takes three to five times as long as both apart; the gradient of the weights is the same to the bit.
- It computes outputs in blocks of 16 channels, so an image of one channel takes as long as 16. Instead one product
  computes what every pixel adds to the pixels around it, and these images are added with an offset for each position
  of the kernel. The gradients are those of a transposed convolution, for which oneDNN reads a single channel.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from narrows.numerics.onnx_export import is_exporting

__all__ = ["Convolution", "TransposedConvolution"]

_Pair = tuple[int, int]
_FEW, _SMALL = 3, 25  # channels of the output, and positions of the kernel, up to which one product is faster


class _Geometry(NamedTuple):
    """Of a transposed convolution, each for height and width."""

    stride: _Pair
    padding: _Pair
    output_padding: _Pair


class Convolution(nn.Conv2d):
    """A convolution (n, in, H, W) → (n, out, H', W'), see `torch.nn.Conv2d`."""

    def forward(self, x: Tensor) -> Tensor:
        is_faster = self.stride == (1, 1) and not isinstance(self.padding, str)
        if not (is_faster and _has_few(self.out_channels, self.weight) and _is_plain(x, self)):
            return super().forward(x)
        # With a stride of 1 it is a transposed convolution by the mirrored kernel.
        height, width = (k - 1 - p for k, p in zip(self.kernel_size, _pair(self.padding), strict=True))
        if min(height, width) < 0:
            return super().forward(x)
        geometry = _Geometry((1, 1), (height, width), (0, 0))
        return _transposed(x, self.weight.flip(2, 3).transpose(0, 1), self.bias, geometry)


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution (n, in, H, W) → (n, out, H', W'), see `torch.nn.ConvTranspose2d`."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _is_plain(x, self):
            return super().forward(x, output_size)
        geometry = _Geometry(_pair(self.stride), _pair(self.padding), _pair(self.output_padding))
        return _transposed(x, self.weight, self.bias, geometry)


def _is_plain(x: Tensor, layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Return whether a layer computes a plain tensor on a CPU, without groups, dilation or padding by other values."""
    is_dense = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    is_here = x.device.type == "cpu" and type(x) is Tensor and x.ndim == 4
    return is_here and is_dense and layer.bias is not None and not is_exporting()


def _has_few(n_out: int, weight: Tensor) -> bool:
    return n_out <= _FEW and weight[0, 0].numel() <= _SMALL


def _pair(values: Any) -> _Pair:
    height, width = values
    return int(height), int(width)


def _transposed(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    y: Tensor = _Transposed.apply(x, weight, bias, geometry)  # type: ignore[no-untyped-call]
    return y


class _Transposed(Function):
    """The transposed convolution of x (n, in, H, W) by weights (in, out, height, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        if _has_few(weight.shape[1], weight):
            return _sum_of_products(x, weight, bias, geometry)
        return functional.conv_transpose2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        stride, padding, output_padding = ctx.geometry
        in_x, in_weight, _ = torch.ops.aten.convolution_backward(
            *(gradient, x, weight, None, stride, padding, (1, 1), True, output_padding, 1),
            output_mask=[of_x, of_weight, False],
        )
        return in_x, in_weight, gradient.sum((0, 2, 3)) if of_bias else None, None


def _sum_of_products(x: Tensor, weight: Tensor, bias: Tensor, geometry: _Geometry) -> Tensor:
    """Return a transposed convolution by one product and a sum over the positions of the kernel."""
    n_in, n_out, *kernel = weight.shape
    n, _, *size = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, n_in)
    images = torch.mm(weight.permute(2, 3, 1, 0).reshape(-1, n_in), rows.t()).view(-1, n_out, n, *size)
    stride, padding, more = geometry
    reach = [(at - 1) * step + k for at, step, k in zip(size, stride, kernel, strict=True)]
    out = [at - 2 * p + m for at, p, m in zip(reach, padding, more, strict=True)]
    height, width = (max(at, o + p) for at, o, p in zip(reach, out, padding, strict=True))
    y = bias.view(-1, 1, 1, 1).expand(n_out, n, height, width).contiguous()
    steps = (n * height * width, height * width, stride[0] * width, stride[1])
    for image, (i, j) in zip(images.unbind(), itertools.product(*map(range, kernel)), strict=True):
        y.as_strided(image.shape, steps, i * width + j).add_(image)
    kept = y[:, :, padding[0] : padding[0] + out[0], padding[1] : padding[1] + out[1]]
    return kept.movedim(0, 1).contiguous(memory_format=torch.channels_last)
