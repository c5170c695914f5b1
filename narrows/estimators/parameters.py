"""The allowed values of an autoencoder's parameters, and changes of the options inside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.lossless import CausalNetwork
from narrows.model.artefacts import Artefact
from narrows.model.axes import PARAMETERS, SEQUENCES
from narrows.parts.part import as_part, split_nested
from narrows.training import resolve_training

__all__ = ["artefacts_of", "has_option", "with_options"]


def with_options(parameter: str, current: Any, options: dict[str, Any]) -> Any:
    """Return a parameter's value with some of the options inside it changed."""
    if parameter == "training":
        return resolve_training(current).clone().set_params(**options)
    is_auto = isinstance(current, str) and current == "auto"
    if parameter in SEQUENCES and current and not is_auto:
        given = current if isinstance(current, (list, tuple)) else [current]
        parts = [as_part(SEQUENCES[parameter], one) for one in given]
        names = [part.name for part in parts]
        whole, nested = split_nested(options)
        for name in [*whole, *nested]:
            if name not in names or name in whole:
                raise UnknownNameError(f"option of the {parameter} of Autoencoder", name, _option_names(parts))
        return tuple(part.clone().set_params(**nested.get(part.name, {})) for part in parts)
    if parameter in PARAMETERS and current is not None and not is_auto and parameter not in SEQUENCES:
        return as_part(PARAMETERS[parameter], current).clone().set_params(**options)
    if parameter == "residual" and is_auto:  # there is one residual model, of which "auto" chooses the size
        return CausalNetwork().set_params(**options)
    named = PARAMETERS.get(parameter)
    hint = f" To set options, choose one of: {', '.join(sorted(named.registry))}." if named is not None else ""
    raise InvalidParameterError(
        f"The '{parameter}' of Autoencoder is {current!r}, which has no options. "
        f"Got '{parameter}__{next(iter(options))}'.{hint}"
    )


def has_option(parameter: str, current: Any, option: str) -> bool:
    """Return whether the part that is a parameter's value has an option; "auto" and None have no options.

    Examples
    --------
    >>> has_option("likelihood", "constrained-normal", "psnr"), has_option("likelihood", "normal", "psnr")
    (True, False)
    """
    if current is None or (isinstance(current, str) and current == "auto"):
        return False
    return option in as_part(PARAMETERS[parameter], current).get_params(deep=False)


def _option_names(parts: list[Any]) -> list[str]:
    return [f"{part.name}__{option}" for part in parts for option in part.get_params()]


def artefacts_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the artefacts that a parameter 'artefacts' selects, in the order in which they are measured.

    Raises
    ------
    InvalidParameterError
        If the value is neither.
    UnknownNameError
        If there is no such artefact; the nearest is suggested.
    """
    if isinstance(value, str) and value == "all":
        return tuple(Artefact.registry)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple | set) or not all(isinstance(name, str) for name in names):
        raise InvalidParameterError(
            f"The 'artefacts' of Autoencoder must be 'all' or a sequence of {', '.join(Artefact.registry)}. "
            f"Got {value!r}."
        )
    for name in names:
        if name not in Artefact.registry:
            raise UnknownNameError("artefact", str(name), Artefact.registry)
    return tuple(name for name in Artefact.registry if name in names)
