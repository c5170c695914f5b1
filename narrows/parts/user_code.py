"""Code of users in models: functions and classes that a model file names, and that are never imported from it.

A model file cannot contain functions. It contains their names, as module:name. Reading a file looks a name up among the
functions and classes that were registered in this process (`register`), and does nothing else with it. A file can
therefore neither import a module, nor call a function that its user has not offered for models.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from narrows.errors import CodeNotImportedError, InvalidParameterError

__all__ = [
    "check_arguments",
    "check_registered",
    "is_code",
    "reference",
    "register",
    "registered",
    "signature_of",
]

Code = TypeVar("Code", bound=Callable[..., Any])

_REGISTERED: dict[str, Callable[..., Any]] = {}


def register(code: Code) -> Code:
    """Register a function or a class, so that models that use it can be saved and loaded.

    It is a decorator for losses, penalties and functions that build networks, and for classes of modules. A model file
    contains the name of the function, not its code: import the module that defines it before you load the model.

    Parameters
    ----------
    code : function or class
        Defined at the top level of a module, a script or a notebook.

    Returns
    -------
    function or class
        The same.

    Raises
    ------
    InvalidParameterError
        If it has no name by which it can be found again: a lambda, or a function inside a function.

    Examples
    --------
    >>> import narrows
    >>> @narrows.register
    ... def absolute(x_hat, x):
    ...     return (x_hat - x).abs().flatten(1).sum(1)
    """
    if not (inspect.isfunction(code) or inspect.isclass(code)) or "<" in code.__qualname__:
        raise InvalidParameterError(
            "register needs a function or a class that is defined at the top level of a module. "
            f"Got {reference(code)}. Define it there with 'def' or 'class'."
        )
    _REGISTERED[reference(code)] = code
    return code


def is_code(value: object) -> bool:
    """Return whether a value is a function or another object that can be called, but not a class."""
    return callable(value) and not inspect.isclass(value)


def signature_of(code: Callable[..., Any]) -> inspect.Signature | None:
    """Return the arguments of a function, of a module's ``forward``; None for some functions written in C."""
    try:
        return inspect.signature(code if inspect.isroutine(code) else getattr(code, "forward", code))
    except (TypeError, ValueError):
        return None


def check_arguments(code: Callable[..., Any], names: str, what: str) -> None:
    """Refuse a function that cannot be called with positional arguments, before it is.

    Parameters
    ----------
    code : callable
        The function.
    names : str
        The names of the arguments, separated by commas, as the message shows them.
    what : str
        What the function is, within a sentence.

    Raises
    ------
    InvalidParameterError
        If it takes other arguments.

    Examples
    --------
    >>> check_arguments(lambda x_hat, x, scale=1.0: ..., "x_hat, x", "the loss")
    """
    signature = signature_of(code)
    if signature is None:
        return
    try:
        signature.bind(*filter(None, names.split(",")))
    except TypeError:
        raise InvalidParameterError(
            f"{what[0].upper()}{what[1:]} must be a function that can be called with the arguments ({names}). "
            f"Got a function with the arguments {signature}."
        ) from None


def reference(code: object) -> str:
    """Return the name of a function or class as it is written in model files: module:name."""
    named = code if hasattr(code, "__qualname__") else type(code)
    return f"{getattr(named, '__module__', '?')}:{getattr(named, '__qualname__', '?')}"


def check_registered(code: object, what: str) -> None:
    """Refuse to write code to a model file that could not be found when the file is read.

    Raises
    ------
    InvalidParameterError
        If it is not registered; the message begins with ``what``.
    """
    name = reference(code)
    if _REGISTERED.get(name) is not code:
        raise InvalidParameterError(
            f"{what} is {name}, which is not registered, so a saved model could not be loaded. Define it at the top "
            "level of a module, decorate it with @narrows.register, and train again with it."
        )


def registered(name: object) -> Callable[..., Any]:
    """Return the registered function or class of a name; nothing is imported.

    Raises
    ------
    CodeNotImportedError
        If no function or class of that name is registered.
    """
    found = _REGISTERED.get(name) if isinstance(name, str) else None
    if found is None:
        module, _, qualname = str(name).partition(":")
        where = "in this script or notebook" if module == "__main__" else f"in the module {module}"
        raise CodeNotImportedError(
            f"The model uses {qualname or 'code'!r} {where}, which is not registered. Models contain no code, and "
            f"reading them imports nothing. Import your module first (it decorates {qualname} with @narrows.register), "
            "then load the model."
        )
    return found
