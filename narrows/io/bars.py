"""Bars of progress on terminals and in notebooks."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["can_draw_bars", "new_bar"]

_WIDEST = 100  # largest width of the display in columns


def new_bar(*columns: Any) -> Progress:
    """Return an empty progress display: on standard error, or below the cell of a notebook."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    console.width = min(console.width, _WIDEST)
    return Progress(*columns, console=console, expand=True)


def can_draw_bars() -> bool:
    """Return whether standard error is a terminal, or the program runs in a notebook that can draw bars.

    In a notebook, rich needs the package ipywidgets.
    """
    from rich.console import Console

    if Console().is_jupyter:
        return find_spec("ipywidgets") is not None
    return sys.stderr.isatty()
