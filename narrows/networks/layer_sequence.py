"""Modules of users as sequences of simple layers, which archives can compute."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from narrows.errors import NotFreezableError
from narrows.networks.images import Reshape

__all__ = ["layer_sequence"]

_INACTIVE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


def layer_sequence(module: nn.Module, x: Tensor) -> list[nn.Module]:
    """Return simple layers that compute in sequence what a module computes in eval mode.

    Nested sequences are joined, dropout is left out, batch normalisation becomes part of the layer before it, and
    changes of shape get the shapes that an example has.

    Parameters
    ----------
    module : Module
        Not changed.
    x : Tensor of shape (n, ...)
        An example of its input.

    Raises
    ------
    NotFreezableError
        If it is not a sequence of layers.
    """
    layers = _without_normalisation(_layers(copy.deepcopy(module).eval()))
    found: list[nn.Module] = []
    y = x
    for layer in layers:
        with torch.no_grad():
            y = layer(y)
        found.append(_with_shape(layer, tuple(y.shape[1:])))
    return found


def _layers(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, _INACTIVE):
        return []
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [layer for child in module for layer in _layers(child)]
    if any(True for _ in module.children()):
        raise NotFreezableError(
            f"The decoder cannot be frozen for archives: {type(module).__name__} is not a sequence of layers. Build "
            "the decoder with torch.nn.Sequential, or define a method 'as_sequence' that returns its layers in order."
        )
    return [module]


def _without_normalisation(layers: list[nn.Module]) -> list[nn.Module]:
    """Return layers in which batch normalisation is part of the layer before it, where that is possible."""
    found: list[nn.Module] = []
    for layer in layers:
        before = found[-1] if found else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            found[-1] = fuse_conv_bn_eval(before, layer)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
            found[-1] = fuse_conv_bn_eval(before, layer, transpose=True)
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            found[-1] = fuse_linear_bn_eval(before, layer)
        else:
            found.append(layer)
    return found


def _with_shape(layer: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return a layer with the shape of its output, if it only changes shapes."""
    if isinstance(layer, (nn.Flatten, nn.Unflatten)):
        return Reshape(shape)
    if isinstance(layer, nn.Upsample) and layer.mode == "nearest" and len(shape) == 3:
        return nn.Upsample(size=shape[1:], mode="nearest")
    return layer
