"""Packages that only the installation ``narrows[train]`` brings; reading archives needs none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from narrows.errors import MissingPackageError

__all__ = ["TRAIN_PACKAGES", "naming_missing"]

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
