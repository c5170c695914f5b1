"""PyArrow, which the extra ``tables`` brings."""

from __future__ import annotations

from typing import Any

from narrows.errors import MissingPackageError

__all__ = ["arrow_package"]


def arrow_package(what: str) -> Any:
    """Return the module `pyarrow`; ``what`` needs it, at the beginning of the message.

    Raises
    ------
    MissingPackageError
        If PyArrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingPackageError(
            f"{what} needs PyArrow. To install it: pip install 'narrows[tables]'", name="pyarrow"
        ) from error
    return pa
