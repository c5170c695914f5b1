"""Convolutions as layers with PyTorch's weights, computed faster on a CPU.

oneDNN, which computes PyTorch's convolutions there, is slow in three cases that most networks of images have:

- It computes the gradient of a bias together with that of the weights. In a transposed convolution with the channels
  last this takes three to five times as long as both apart; the gradient of the weights is the same to the bit.
- It computes outputs in blocks of 16 channels, so an image of one channel takes as long as 16. Instead one product
  computes what every pixel adds to the pixels around it, and these images are added with an offset for each position
  of the kernel. The gradients are two products with the patches that each position of the input has added to.
- Of an input of one channel it computes a step with gradients slower than two products with its patches.

In training a convolution of values that are repeated in windows of 2×2 is one step, see `Convolution.of_repeated`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from narrows.numerics.onnx_export import is_exporting

__all__ = ["Convolution", "TransposedConvolution", "is_training"]

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
        if isinstance(self.padding, str) or not _is_plain(x, self):
            return super().forward(x)
        if not (self.stride == (1, 1) and _has_few(self.out_channels, self.weight)):
            return self._of_few(x, self.bias) if self._has_few_inputs else super().forward(x)
        # With a stride of 1 it is a transposed convolution by the mirrored kernel.
        height, width = (k - 1 - p for k, p in zip(self.kernel_size, _pair(self.padding), strict=True))
        if min(height, width) < 0:
            return super().forward(x)
        geometry = _Geometry((1, 1), (height, width), (0, 0))
        return _transposed(x, self.weight.flip(2, 3).transpose(0, 1), self.bias, geometry)

    def pooled(self, x: Tensor, pool: nn.Module) -> Tensor:
        """Return pool(self(x)) for max-pooling: a bias that all values of a window get is added to their maximum."""
        if not (_is_plain(x, self) and self._has_few_inputs):
            return pool(self(x))  # type: ignore[no-any-return]
        assert self.bias is not None, "plain layers have a bias"
        y: Tensor = pool(self._of_few(x, None)) + self.bias.view(-1, 1, 1)
        return y

    @property
    def _has_few_inputs(self) -> bool:
        is_small = self.in_channels <= _FEW and self.weight[0, 0].numel() <= _SMALL
        return is_small and not isinstance(self.padding, str) and is_training(self.weight)

    def _of_few(self, x: Tensor, bias: Tensor | None) -> Tensor:
        geometry = _Geometry(_pair(self.stride), _pair(self.padding), (0, 0))
        y: Tensor = _OfFew.apply(x, self.weight, bias, geometry)  # type: ignore[no-untyped-call]
        return y

    def of_repeated(self, x: Tensor) -> Tensor:
        """Return the convolution of x (n, in, h, w) after each value is repeated in a window of 2×2: (n, out, 2h, 2w).

        Each repeated value is multiplied by up to four weights of the kernel. Their sums are the weights of a
        transposed convolution with a stride of 2 and a kernel that is one larger, which computes the same from the
        values themselves: for a kernel of 3×3 by 16 products instead of 36, and without the repeated values.
        """
        weight = self.weight.flip(2, 3).transpose(0, 1)
        weight = functional.pad(weight, (0, 1)) + functional.pad(weight, (1, 0))
        weight = functional.pad(weight, (0, 0, 0, 1)) + functional.pad(weight, (0, 0, 1, 0))
        geometry = _Geometry((2, 2), _pair(self.padding), (0, 0))
        return _transposed(x, weight.contiguous(memory_format=torch.channels_last), self.bias, geometry)

    def can_be_of_repeated(self, x: Tensor) -> bool:
        """Return whether `of_repeated` computes this layer for x: in training, on a CPU, for maps that keep size."""
        is_same = self.stride == (1, 1) and _pair(self.padding) == tuple((k - 1) // 2 for k in self.kernel_size)
        is_odd = all(k % 2 for k in self.kernel_size)
        return is_same and is_odd and is_training(self.weight) and _is_plain(x, self)


def is_training(weight: Tensor) -> bool:
    """Return whether the gradient of a weight will be computed: only then sums may be in another order."""
    return torch.is_grad_enabled() and weight.requires_grad


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
        x = x.contiguous(memory_format=torch.channels_last)  # as the weights are; of a dense layer's output it is not
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
        in_bias = gradient.sum((0, 2, 3)) if of_bias else None
        if _has_few(weight.shape[1], weight):
            seen = _patches(gradient, weight.shape[2:], stride, padding, x.shape[2:])
            in_x = _as_maps(seen.t() @ weight.flatten(1).t(), x) if of_x else None
            return in_x, (seen @ _as_rows(x)).t().reshape(weight.shape) if of_weight else None, in_bias, None
        in_x, in_weight, _ = torch.ops.aten.convolution_backward(
            *(gradient, x, weight, None, stride, padding, (1, 1), True, output_padding, 1),
            output_mask=[of_x, of_weight, False],
        )
        return in_x, in_weight, in_bias, None


class _OfFew(Function):
    """The convolution of x (n, in, H, W) with few channels by weights (out, in, height, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        stride, padding, _ = geometry
        size = [
            (at + 2 * p - k) // step + 1
            for at, p, k, step in zip(x.shape[2:], padding, weight.shape[2:], stride, strict=True)
        ]
        seen = _patches(x, weight.shape[2:], stride, padding, size)
        ctx.save_for_backward(x, weight, seen)
        ctx.geometry = geometry
        y = torch.empty((len(x), len(weight), *size), dtype=x.dtype, memory_format=torch.channels_last)
        rows, weight = y.permute(0, 2, 3, 1).view(-1, len(weight)), weight.flatten(1).t()
        torch.mm(seen.t(), weight, out=rows) if bias is None else torch.addmm(bias, seen.t(), weight, out=rows)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, seen = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        stride, padding, _ = ctx.geometry
        in_x, in_weight, in_bias = None, None, gradient.sum((0, 2, 3)) if of_bias else None
        if of_x or torch.is_grad_enabled():  # whose gradient is asked for: that of the patches is not known
            in_x, in_weight, _ = torch.ops.aten.convolution_backward(
                *(gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), 1),
                output_mask=[of_x, of_weight, False],
            )
        elif of_weight:
            in_weight = (seen @ _as_rows(gradient)).t().reshape(weight.shape)
        return in_x, in_weight, in_bias, None


def _patches(x: Tensor, kernel: Sequence[int], stride: _Pair, padding: _Pair, size: Sequence[int]) -> Tensor:
    """Return what each position of a kernel sees of x (n, c, H, W): (c · positions, n · h · w) for outputs (h, w)."""
    edges = []
    for at, k, step, p, out in zip(x.shape[2:], kernel, stride, padding, size, strict=True):
        edges += [[p, (out - 1) * step + k - at - p]]
    padded = functional.pad(x, (*edges[1], *edges[0]))
    windows = padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])  # (n, c, h, w, *kernel)
    return windows.permute(1, 4, 5, 0, 2, 3).reshape(x.shape[1] * kernel[0] * kernel[1], -1)


def _as_rows(x: Tensor) -> Tensor:
    """Return maps (n, c, H, W) as rows (n · H · W, c)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_maps(rows: Tensor, like: Tensor) -> Tensor:
    """Return rows (n · H · W, c) as maps of another's shape (n, c, H, W), with the channels last in memory."""
    n, c, height, width = like.shape
    return rows.view(n, height, width, c).permute(0, 3, 1, 2)


def _sum_of_products(x: Tensor, weight: Tensor, bias: Tensor, geometry: _Geometry) -> Tensor:
    """Return a transposed convolution by one product and a sum over the positions of the kernel."""
    n_in, n_out, *kernel = weight.shape
    n, _, *size = x.shape
    images = torch.mm(weight.permute(2, 3, 1, 0).reshape(-1, n_in), _as_rows(x).t()).view(
        math.prod(kernel), n_out, n, *size
    )
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
