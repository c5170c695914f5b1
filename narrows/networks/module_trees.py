"""Modules of users as JSON values, from which modules of the same structure are built, without their weights.

A module is described by its class and the arguments of its constructor, which are read from attributes of the same
names, as in scikit-learn. The classes are layers of `torch.nn`, and classes of users that are registered
(`narrows.parts.user_code`). No other class is ever built from a description.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.numerics.foreign_draws import NoDrawsWithoutMemory
from narrows.parts.user_code import check_registered, reference, registered

__all__ = ["check_describable", "describe_module", "module_from"]

_LAYERS = frozenset(
    name
    for names in (
        "Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        "BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d LayerNorm GroupNorm RMSNorm",
        "MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d",
        "Upsample PixelShuffle PixelUnshuffle Flatten Unflatten Identity ZeroPad2d ReflectionPad2d ReplicationPad2d",
        "Dropout Dropout1d Dropout2d AlphaDropout",
        "ReLU ReLU6 LeakyReLU PReLU ELU CELU SELU GELU SiLU Mish Sigmoid Tanh Softplus Softsign Hardtanh Hardsigmoid",
        "Hardswish LogSigmoid Softmax LogSoftmax GLU Tanhshrink Softshrink Hardshrink",
    )
    for name in names.split()
)
_RESERVED = {"name", "axis", "layers"}
_NOT_DESCRIBED = {"device", "dtype"}
_HOW = (
    "Build it from layers of torch.nn; or decorate its class with @narrows.register, and store each argument of the "
    "constructor under its own name (self.width = width); or give network= a registered function (shape, n_latent) -> "
    "(encoder, decoder)."
)


def describe_module(module: nn.Module) -> dict[str, Any]:
    """Return a module as JSON values: its class as ``name``, and its arguments.

    Arguments that JSON cannot represent are described by their classes. `check_describable` refuses such modules.
    """
    if type(module) is nn.Sequential:
        return {"name": "Sequential", "layers": [describe_module(layer) for layer in module]}
    described: dict[str, Any] = {"name": type(module).__name__ if _is_layer(module) else reference(module)}
    for name in _arguments(module):
        if hasattr(module, name):
            value = getattr(module, name)
            # An argument such as 'bias' of a layer says whether there is a weight of its name.
            described[name] = value is not None if name in module._parameters else _to_json(value)
    return described


def module_from(described: Any) -> nn.Module:
    """Return a module of the described structure, with initial weights.

    Raises
    ------
    CodeNotImportedError
        If a class of a user is not registered; the message names it.
    InvalidParameterError
        If it describes no module.
    """
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise InvalidParameterError(f"The description of a module must have the entry 'name'. Got {described!r}.")
    arguments = {name: _from_json(value) for name, value in described.items() if name != "name"}
    name = described["name"]
    if name == "Sequential":
        return nn.Sequential(*arguments.get("layers", ()))
    if not _NOT_DESCRIBED.isdisjoint(arguments):  # they would build weights in memory, whatever their size
        raise InvalidParameterError(
            f"The description of a module must not have {', '.join(sorted(_NOT_DESCRIBED))}. Got {name}."
        )
    kind: Any = getattr(nn, name) if name in _LAYERS else registered(name)
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise InvalidParameterError(f"The description of a module must name a class of modules. Got {name!r}.")
    return kind(**arguments)


def check_describable(module: nn.Module, what: str) -> None:
    """Check that a module of the same structure can be built from the description of a module.

    Raises
    ------
    InvalidParameterError
        If it cannot; the message begins with ``what``, and says what to do.
    """
    for one in _described_modules(module):
        if not _is_layer(one) and type(one) is not nn.Sequential:
            _check_class(one, what)
    try:
        with torch.device("meta"), NoDrawsWithoutMemory():
            built = module_from(describe_module(module))
    except (InvalidParameterError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidParameterError(f"{what} cannot be described in a model file: {error}. {_HOW}") from error
    if repr(built) != repr(module) or _shapes(built) != _shapes(module):
        raise InvalidParameterError(
            f"{what} cannot be described in a model file: {type(module).__name__} with the same arguments has other "
            f"layers or weights. {_HOW}"
        )


def _is_layer(module: nn.Module) -> bool:
    kind = type(module)
    return kind.__name__ in _LAYERS and getattr(nn, kind.__name__, None) is kind


def _described_modules(module: nn.Module) -> list[nn.Module]:
    """Return a module and the modules in its description: layers of sequences, and arguments."""
    if type(module) is nn.Sequential:
        inner = list(module)
    else:
        values = [getattr(module, name, None) for name in _arguments(module)]
        inner = [value for value in values if isinstance(value, nn.Module)]
    return [module, *(one for layer in inner for one in _described_modules(layer))]


def _check_class(module: nn.Module, what: str) -> None:
    check_registered(type(module), f"{what} contains a module whose class")
    label = type(module).__name__
    for name in _arguments(module):
        value = getattr(module, name, None)
        if not hasattr(module, name) or name in _RESERVED:
            raise InvalidParameterError(
                f"{what} cannot be described in a model file: {label} has no attribute for the argument '{name}' of "
                f"its constructor, or the name is reserved. {_HOW}"
            )
        if not _is_plain(value):
            raise InvalidParameterError(
                f"{what} cannot be described in a model file: the argument '{name}' of {label} is {value!r}, which is "
                f"neither a number, a text, a module nor a sequence of them. {_HOW}"
            )


def _arguments(module: nn.Module) -> list[str]:
    """Return the names of the arguments of a module's constructor."""
    parameters = inspect.signature(type(module).__init__).parameters.values()
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in list(parameters)[1:] if one.kind not in skipped and one.name not in _NOT_DESCRIBED]


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int, str, nn.Module))


def _to_json(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return describe_module(value)
    if isinstance(value, (list, tuple)):
        return [_to_json(one) for one in value]
    return value if _is_plain(value) else type(value).__name__


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return module_from(value)
    return tuple(map(_from_json, value)) if isinstance(value, list) else value


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in module.state_dict().items() if isinstance(t, Tensor)}
