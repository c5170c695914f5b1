"""Packages that only the installation ``narrows[train]`` brings, and modules that are imported at first use."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from narrows.errors import MissingPackageError

__all__ = ["TRAIN_PACKAGES", "imported", "names_from", "naming_missing", "submodules_of"]

TRAIN_PACKAGES = {
    "PIL": "Pillow",
    "matplotlib": "matplotlib",
    "platformdirs": "platformdirs",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
}
"""Names of the packages by the names of their modules."""


@contextmanager
def naming_missing(what: str) -> Iterator[None]:
    """Turn the error of an import inside the block into one that says how to install the missing package.

    Parameters
    ----------
    what : str
        What needs the package, at the beginning of the message.

    Raises
    ------
    MissingPackageError
        If a package of ``narrows[train]`` is missing. Errors of other imports pass.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in TRAIN_PACKAGES:
            raise
        raise MissingPackageError(
            f"{what} needs {TRAIN_PACKAGES[missing]}, which this installation of narrows does not have: it can read "
            "archives only. To install everything: pip install 'narrows[train]'",
            name=missing,
        ) from error


def names_from(homes: Mapping[str, str], package: str) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` of a package, which imports names from their modules at first use.

    Parameters
    ----------
    homes : mapping
        The modules by the names that they define.
    package : str
        The package that has these names.

    Examples
    --------
    >>> names_from({"Progress": "narrows.io.progress"}, "narrows.io")("Progress").__name__
    'Progress'
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        with naming_missing(f"{package}.{name}"):
            return getattr(imported(homes[name]), name)

    return find


def submodules_of(package: str) -> Callable[[str], ModuleType]:
    """Return the function ``__getattr__`` of a package, which imports its modules when they are first used.

    ``import narrows`` then suffices for ``narrows.evaluation.scorers``, and takes no longer.

    Examples
    --------
    >>> submodules_of("narrows.io")("bars").__name__
    'narrows.io.bars'
    """

    def find(name: str) -> ModuleType:
        module = f"{package}.{name}"
        if name.startswith("_") or find_spec(module) is None:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        with naming_missing(module):
            return imported(module)

    return find


def imported(module: str) -> ModuleType:
    """Import a module without collecting garbage meanwhile.

    An import of PyTorch and scikit-learn allocates a million objects that stay, and the collector looks at all of them
    again and again: that takes a tenth of the time.
    """
    if not gc.isenabled():
        return import_module(module)
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.enable()
