"""Saves figures as files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.errors import InvalidParameterError
from narrows.io.files import write_atomically
from narrows.pictures.style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["png_bytes", "save"]

_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: str | os.PathLike[str], *, force: bool = False, dpi: float | None = None) -> Path:
    """Write a figure as PNG, SVG or PDF, atomically.

    The same figure gives the same bytes: files contain no dates and no versions.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure.
    path : path-like
        Its suffix determines the format: ``.png``, ``.svg`` or ``.pdf``.
    force : bool
        Replace an existing file.
    dpi : float, optional
        Dots per inch. Default: that of the figure, at which image pixels are whole numbers of dots.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InvalidParameterError
        Another suffix, or `dpi` not above 0.
    OutputExistsError
        The file exists and `force` is False.
    DataNotFoundError
        The folder does not exist.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _METADATA:
        raise InvalidParameterError(
            f"A picture is saved as one of {', '.join(_METADATA)}. Got '{Path(path).name}', with suffix '{suffix}'."
        )
    if dpi is not None and not dpi > 0:
        raise InvalidParameterError(f"The 'dpi' of save must be > 0. Got {dpi}.")
    return write_atomically(path, lambda file: _write(figure, file, suffix, dpi), force=force)


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file, at its own resolution."""
    buffer = io.BytesIO()
    _write(figure, buffer, ".png", None)
    return buffer.getvalue()


def _write(figure: Figure, file: Any, suffix: str, dpi: float | None) -> None:
    with style():
        figure.savefig(file, format=suffix[1:], dpi="figure" if dpi is None else dpi, metadata=_METADATA[suffix])
