"""Modules in eval mode for a while, whatever mode they are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_eval_mode"]


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module and all modules in it in eval mode for the block, and each back into its own mode.

    Nothing is written to modules that are in eval mode, so several threads may use these at the same time.
    """
    in_train_mode = [one for one in module.modules() if one.training]
    if in_train_mode:
        module.eval()
    try:
        yield
    finally:
        for one in in_train_mode:
            one.training = True
