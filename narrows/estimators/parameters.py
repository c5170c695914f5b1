"""What the parameters of an autoencoder may be, and how options inside them are changed."""

from __future__ import annotations

from typing import Any

import torch

from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.data.arrays import guess_record
from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.networks import Network
from narrows.parts.options import Choice, check
from narrows.parts.part import Part, as_part, split_nested
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing
from narrows.training import Training
from narrows.training.pretraining import Pretraining

__all__ = ["device_of", "pretraining_of", "record_of", "residual_of", "training_of", "with_options"]

_SINGLE: dict[str, type[Part]] = {
    "network": Network,
    "bottleneck": Bottleneck,
    "likelihood": Likelihood,
    "corruption": Corruption,
    "pretraining": Pretraining,
    "residual": Residual,
}
_SEVERAL: dict[str, type[Part]] = {"preprocessing": Preprocessing, "penalties": Penalty}


def training_of(settings: Training | None) -> Training:
    """Return the settings that a parameter 'training' means."""
    if settings is None:
        return Training()
    if not isinstance(settings, Training):
        raise InvalidParameterError(f"The 'training' of Autoencoder must be a Training or None. Got {settings!r}.")
    return settings


def record_of(value: str, shape: tuple[int, ...]) -> str:
    """Return what a parameter 'record' means for records of a shape: "image" or "vector"."""
    check("Autoencoder", "record", value, Choice("auto", "image", "vector"))
    guessed = guess_record(shape)
    if value == "image" and guessed != "image":
        raise InvalidParameterError(
            "Images are records of shape (H, W), (H, W, channels) or (channels, H, W). "
            f"Got record='image' for records of shape {shape}: set record='vector'."
        )
    return guessed if value == "auto" else value


def pretraining_of(value: str | Pretraining | None) -> Pretraining | None:
    """Return the part that a parameter 'pretraining' means."""
    return None if value is None else as_part(Pretraining, value)  # type: ignore[type-abstract]


def residual_of(value: str | Residual | None) -> Residual | None:
    """Return the part that a parameter 'residual' means."""
    return None if value is None else as_part(Residual, value)  # type: ignore[type-abstract]


def device_of(settings: Training | None) -> torch.device:
    """Return the device that the settings mean on this machine."""
    settings = training_of(settings)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InvalidParameterError("The device 'cuda' was asked for, but PyTorch sees none here. Use 'auto' or 'cpu'.")
    wanted = settings.device if settings.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def with_options(parameter: str, current: Any, options: dict[str, Any]) -> Any:
    """Return a parameter's value with some of the options inside it changed."""
    if parameter == "training":
        return training_of(current).clone().set_params(**options)
    is_auto = isinstance(current, str) and current == "auto"
    if parameter in _SEVERAL and current and not is_auto:
        given = [current] if isinstance(current, (str, Part)) else current
        parts = [as_part(_SEVERAL[parameter], one) for one in given]
        names = [part.name for part in parts]
        whole, nested = split_nested(options)
        for name in [*whole, *nested]:
            if name not in names or name in whole:
                raise UnknownNameError(
                    f"option of a part in the {parameter} of Autoencoder", name, _option_names(parts)
                )
        return tuple(part.clone().set_params(**nested.get(part.name, {})) for part in parts)
    if parameter in _SINGLE and current is not None and not is_auto:
        return as_part(_SINGLE[parameter], current).clone().set_params(**options)
    named = {**_SINGLE, **_SEVERAL}.get(parameter)
    hint = f" Choose one first: {', '.join(sorted(named.registry))}." if named is not None else ""
    raise InvalidParameterError(
        f"The '{parameter}' of Autoencoder is {current!r} and has no options to set. "
        f"Got '{parameter}__{next(iter(options))}'.{hint}"
    )


def _option_names(parts: list[Any]) -> list[str]:
    return [f"{part.name}__{option}" for part in parts for option in part.get_params()]
