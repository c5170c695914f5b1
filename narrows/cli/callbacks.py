"""Progress of a training run: a bar on a terminal, lines in files and pipes, nothing when quiet."""

from __future__ import annotations

import sys

from narrows.cli.log import current_log, logged
from narrows.training import Callback
from narrows.training.callbacks import Several
from narrows.training.display import MOST_LINES, Bar, Lines

__all__ = ["Bar", "Lines", "callback"]


def callback(*, quiet: bool) -> Callback:
    """Return the callback that shows a training run on standard error, and writes its epochs to the log."""
    shown: list[Callback] = []
    if not quiet:
        shown.append(Bar() if sys.stderr.isatty() else Lines(most=MOST_LINES))
    if current_log() is not None:
        shown.append(Lines(write=lambda line: logged("epoch", line)))
    return shown[0] if len(shown) == 1 else Several(shown)
