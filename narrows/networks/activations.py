"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from narrows.options import Choice

__all__ = ["ACTIVATIONS", "INVERTIBLE", "activation", "inverse_activation"]

_MODULES: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky-relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

ACTIVATIONS = Choice(*_MODULES)

# How close to the ends of their range the inverses of sigmoid and tanh are asked for.
_MARGIN = 1e-3
_INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda y: y,
    "sigmoid": lambda y: y.clamp(_MARGIN, 1 - _MARGIN).logit(),
    "tanh": lambda y: y.clamp(_MARGIN - 1, 1 - _MARGIN).atanh(),
}
INVERTIBLE = Choice(*_INVERSES)


def activation(name: str) -> nn.Module:
    """Return the activation function of that name, a module without parameters."""
    return _MODULES[name]()


def inverse_activation(name: str, y: Tensor) -> Tensor:
    """Return what the activation function makes y of, kept finite; for those in `INVERTIBLE`."""
    return _INVERSES[name](y)
