"""Activation functions by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from narrows.numerics.onnx_export import is_exporting
from narrows.parts.options import Choice

__all__ = ["ACTIVATIONS", "INVERTIBLE", "SoftClip", "activation", "inverse_activation"]

_SHARPNESS = 8.0  # p of the soft clipping function
_SCALE = math.tanh(_SHARPNESS / 4)


class _SoftClipping(Function):
    """The soft clipping function and its derivative in few operators, since it is applied to every value."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        inner = (u - 0.5).mul_(_SHARPNESS / 2).tanh_()
        ctx.save_for_backward(inner)
        s = (_SCALE * inner).atanh_().mul_(2 / _SHARPNESS).add_(0.5)
        return s.clamp_(0, 1)  # against rounding

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        square: Tensor = ctx.saved_tensors[0].square()
        return (1 - square).mul_(_SCALE).div_(1 - _SCALE**2 * square).mul_(gradient)


class SoftClip(nn.Module):
    """The soft clipping function: nearly u between 0 and 1, and never outside [0, 1].

    s(u) = softplus_p(u) - softplus_p(u - 1) with softplus_p(u) = log(1 + e^(p u)) / p and p = 8 (Klimek and Perelstein
    2020, "Neural network-based approach to phase space integration"). It is computed as
    1/2 + 2/p · artanh(tanh(p/4) · tanh(p/2 · (u - 1/2))), which is equal, does not overflow or cancel for any u, and
    has a finite slope everywhere.

    Examples
    --------
    >>> import torch
    >>> SoftClip()(torch.tensor([-1e30, 0.5, 0.75, 1e30]))
    tensor([0.0000, 0.5000, 0.7344, 1.0000])
    """

    def forward(self, u: Tensor) -> Tensor:
        if is_exporting():
            return self._by_logarithms(u)
        s: Tensor = _SoftClipping.apply(u)  # type: ignore[no-untyped-call]
        return s

    @staticmethod
    def _by_logarithms(u: Tensor) -> Tensor:
        """Return `forward` in operators that ONNX files have: artanh(a) = (log(1 + a) - log(1 - a)) / 2."""
        a = _SCALE * torch.tanh(_SHARPNESS / 2 * (u - 0.5))  # |a| < 0.97, so no logarithm is inaccurate
        return (0.5 + ((1 + a).log() - (1 - a).log()) / _SHARPNESS).clamp(0, 1)

    @staticmethod
    def inverse(s: Tensor) -> Tensor:
        """Return the inverse of `forward`, for s strictly between 0 and 1."""
        inner = (_SHARPNESS / 2 * (s - 0.5)).tanh()
        return 0.5 + 2 / _SHARPNESS * (inner / _SCALE).atanh()


_MODULES: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky-relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "soft-clip": SoftClip,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

ACTIVATIONS = Choice(*_MODULES)

# Arguments of the inverses of sigmoid, soft-clip and tanh keep this distance from the ends of the range.
_MARGIN = 1e-3
_INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda y: y,
    "sigmoid": lambda y: y.clamp(_MARGIN, 1 - _MARGIN).logit(),
    "soft-clip": lambda y: SoftClip.inverse(y.clamp(_MARGIN, 1 - _MARGIN)),
    "tanh": lambda y: y.clamp(_MARGIN - 1, 1 - _MARGIN).atanh(),
}
INVERTIBLE = Choice(*_INVERSES)


def activation(name: str) -> nn.Module:
    """Return the activation function of that name, a module without parameters."""
    return _MODULES[name]()


def inverse_activation(name: str, y: Tensor) -> Tensor:
    """Return the inverse of an activation function in `INVERTIBLE` at y, limited to finite values."""
    return _INVERSES[name](y)
