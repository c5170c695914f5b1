"""Initial weights: named schemes, drawn from a given generator."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Generator, nn

from narrows.errors import InvalidParameterError
from narrows.parts.options import Choice

__all__ = ["INITIALISATIONS", "initialise", "theano_generator", "undrawn"]

INITIALISATIONS = Choice("fan-in", "glorot", "glorot-sigmoid", "he")


def undrawn(layer: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Return a layer without initial weights, so that PyTorch's global generator is not used."""
    as_it_is = type(layer.__name__, (layer,), {"reset_parameters": lambda self: None})  # uninitialised memory
    made: nn.Module = as_it_is(*args, **kwargs)
    made.__class__ = layer
    return made


def theano_generator(seed: int) -> np.random.RandomState:
    """Return NumPy's old generator in the state in which the Theano tutorials draw their first weights.

    Their programs first draw one whole number, the seed of the noise. Without that draw the denoising autoencoder of
    RandomState(123) starts from other weights than those of the published costs.
    """
    generator = np.random.RandomState(seed)
    generator.randint(2**30)
    return generator


def initialise(
    module: nn.Module, scheme: str, generator: Generator | np.random.RandomState, *, keep: Collection[str] = ()
) -> None:
    """Draw every weight matrix and convolution kernel of a module, and set every bias to zero.

    Parameters are recognised by name: ``weight`` and ``bias``, or lists of parameters called ``weights`` and
    ``biases``. Any other could be uninitialised memory (`undrawn`), and is refused.

    Parameters
    ----------
    module : Module
        Changed in place. Its layers are initialised in order of construction.
    scheme : str
        "fan-in": U(±1/√in) (LeCun et al. 1998, and the TensorFlow original of document 0);
        "glorot": U(±√(6 / (in + out))) (Glorot and Bengio 2010; the default of Keras);
        "glorot-sigmoid": four times as wide, for sigmoid units (the Theano tutorials);
        "he": N(0, 2 / in) (He et al. 2015), for relu and similar functions.
    generator : Generator or RandomState
        Source of the draws; no global seed is used. NumPy's generator draws matrices as (in, out) in float64, and is
        for dense layers only.
    keep : collection of str
        Names of parameters that keep the values set by the module.

    Raises
    ------
    InvalidParameterError
        If the initial value of a parameter is not known.
    """
    for path, layer in module.named_modules():
        for name, parameter in layer.named_parameters(path, recurse=False):
            kind = _kind(name)
            if kind == "weight" and parameter.ndim >= 2:
                # A transposed convolution stores (in, out, ...), all other layers (out, in, ...).
                transposed = isinstance(layer, nn.ConvTranspose2d)
                kernel = math.prod(parameter.shape[2:])
                sizes = parameter.shape[:2][::-1] if transposed else parameter.shape[:2]
                fan_out, fan_in = (n * kernel for n in sizes)
                _draw(parameter, scheme, fan_in, fan_out, generator)
            elif kind == "bias":
                with torch.no_grad():
                    parameter.zero_()
            elif name not in keep:
                raise InvalidParameterError(
                    f"The parameter '{name}' of {type(module).__name__.lstrip('_')} with shape "
                    f"{tuple(parameter.shape)} has no initial value. Matrices and kernels called 'weight' are drawn, "
                    "and 'bias' is set to zero. For other parameters, set the values in the network, and add the name "
                    "to the argument 'keep' of initialise."
                )


def _kind(name: str) -> str:
    """Return a parameter's kind, weight or bias. In a list of parameters, a number follows the name."""
    *_, last = (word for word in name.split(".") if not word.isdigit())
    return {"weights": "weight", "biases": "bias"}.get(last, last)


def _draw(
    weight: nn.Parameter, scheme: str, fan_in: int, fan_out: int, generator: Generator | np.random.RandomState
) -> None:
    if weight.is_meta:
        return  # nothing is drawn for a module without storage, for which PyTorch would import its decompositions
    glorot = math.sqrt(6 / (fan_in + fan_out))
    deviation = math.sqrt(2 / fan_in)
    bound = {"fan-in": 1 / math.sqrt(fan_in), "glorot": glorot, "glorot-sigmoid": 4 * glorot}.get(scheme)
    with torch.no_grad():
        if isinstance(generator, Generator):
            if bound is None:
                weight.normal_(0.0, deviation, generator=generator)
            else:
                weight.uniform_(-bound, bound, generator=generator)
        else:
            size = (fan_in, fan_out)
            drawn = generator.normal(0.0, deviation, size) if bound is None else generator.uniform(-bound, bound, size)
            weight.copy_(torch.from_numpy(drawn.T))
