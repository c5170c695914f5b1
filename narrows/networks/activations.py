"""Activation functions by name."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from narrows.options import Choice

__all__ = ["ACTIVATIONS", "INVERTIBLE", "SoftClip", "activation", "inverse_activation"]

_SHARPNESS = 8.0  # p of the soft clipping function


class SoftClip(nn.Module):
    """The soft clipping function: nearly u between 0 and 1, and never outside.

    s(u) = softplus_p(u) - softplus_p(u - 1) with softplus_p(u) = log(1 + e^(p u)) / p and p = 8 (Klimek and Perelstein
    2020, "Neural network-based approach to phase space integration"). It is computed as
    1/2 + 2/p · artanh(tanh(p/4) · tanh(p/2 · (u - 1/2))), which is the same number: nothing overflows or cancels for
    any u, and the slope is finite everywhere.

    Examples
    --------
    >>> import torch
    >>> SoftClip()(torch.tensor([-1e30, 0.5, 0.75, 1e30]))
    tensor([0.0000, 0.5000, 0.7344, 1.0000])
    """

    def forward(self, u: Tensor) -> Tensor:
        inner = (_SHARPNESS / 2 * (u - 0.5)).tanh()
        s = 0.5 + 2 / _SHARPNESS * (math.tanh(_SHARPNESS / 4) * inner).atanh()
        return s.clamp(0, 1)  # what rounding leaves outside

    @staticmethod
    def inverse(s: Tensor) -> Tensor:
        """Return the u that `forward` makes s of; s is strictly between 0 and 1."""
        inner = (_SHARPNESS / 2 * (s - 0.5)).tanh()
        return 0.5 + 2 / _SHARPNESS * (inner / math.tanh(_SHARPNESS / 4)).atanh()


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

# How close to the ends of their range the inverses of sigmoid, soft-clip and tanh are asked for.
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
    """Return what the activation function makes y of, kept finite; for those in `INVERTIBLE`."""
    return _INVERSES[name](y)
