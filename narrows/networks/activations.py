"""Activation functions by name."""

from __future__ import annotations

from torch import nn

from narrows.options import Choice

__all__ = ["ACTIVATIONS", "activation"]

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


def activation(name: str) -> nn.Module:
    """Return the activation function of that name, a module without parameters."""
    return _MODULES[name]()
