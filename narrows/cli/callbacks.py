"""Progress of a training run: a bar on a terminal, lines in files and pipes, nothing when quiet."""

from __future__ import annotations

import sys

from narrows.training import Callback
from narrows.training.display import MOST_LINES, Bar, Lines

__all__ = ["Bar", "Lines", "callback"]


def callback(*, quiet: bool) -> Callback:
    """Return the callback that shows a training run on standard error."""
    if quiet:
        return Callback()
    return Bar() if sys.stderr.isatty() else Lines(most=MOST_LINES)
