"""How weights start: named schemes, drawn from a generator that is passed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, nn
from torch.nn.utils import skip_init

from narrows.options import Choice

__all__ = ["INITIALISATIONS", "initialise", "undrawn"]

INITIALISATIONS = Choice("fan-in", "glorot", "glorot-sigmoid", "he")


def undrawn(layer: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Return a layer whose weights are not drawn yet, so that PyTorch's global generator is left alone."""
    device = torch.get_default_device()  # "meta", where a model is only sketched to see what it would need
    made: nn.Module = skip_init(layer, *args, device=device, **kwargs)  # type: ignore[no-untyped-call]
    return made


def initialise(module: nn.Module, scheme: str, generator: Generator) -> None:
    """Draw every weight matrix and convolution kernel of a module, and set every bias to zero.

    Parameters
    ----------
    module : Module
        Changed in place. Its layers are visited in order of construction.
    scheme : str
        "fan-in": U(±1/√in) (LeCun et al. 1998, and document 0's TensorFlow original);
        "glorot": U(±√(6 / (in + out))) (Glorot and Bengio 2010; what Keras does);
        "glorot-sigmoid": four times as wide, for sigmoid units (the Theano tutorials);
        "he": N(0, 2 / in) (He et al. 2015), for relu and its kin.
    generator : Generator
        Where the draws come from; no global seed is touched.
    """
    for layer in module.modules():
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(weight, nn.Parameter):
            # A transposed convolution keeps (in, out, ...), everything else (out, in, ...).
            transposed = isinstance(layer, nn.ConvTranspose2d)
            kernel = math.prod(weight.shape[2:])
            fan_out, fan_in = (n * kernel for n in (weight.shape[:2][::-1] if transposed else weight.shape[:2]))
            _draw(weight, scheme, fan_in, fan_out, generator)
        if isinstance(bias, nn.Parameter):
            with torch.no_grad():
                bias.zero_()


def _draw(weight: nn.Parameter, scheme: str, fan_in: int, fan_out: int, generator: Generator) -> None:
    with torch.no_grad():
        if scheme == "he":
            weight.normal_(0.0, math.sqrt(2 / fan_in), generator=generator)
            return
        glorot = math.sqrt(6 / (fan_in + fan_out))
        bound = {"fan-in": 1 / math.sqrt(fan_in), "glorot": glorot, "glorot-sigmoid": 4 * glorot}[scheme]
        weight.uniform_(-bound, bound, generator=generator)
