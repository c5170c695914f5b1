"""Packages that only the installation ``narrows[train]`` brings; reading archives needs none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from narrows.errors import MissingPackageError

__all__ = ["TRAIN_PACKAGES", "naming_missing", "submodules"]

TRAIN_PACKAGES = {
    "PIL": "Pillow",
    "matplotlib": "matplotlib",
    "platformdirs": "platformdirs",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "threadpoolctl": "threadpoolctl",
    "torch": "PyTorch",
}
"""Names of the packages by the names of their modules."""


def submodules(package: str, names: Sequence[str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a package that imports its submodules of these names when they are first used."""

    def of(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        with naming_missing(f"{package}.{name}"):
            return import_module(f"{package}.{name}")

    return of


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
