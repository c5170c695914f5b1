"""Modules in eval mode for a while, whatever mode they are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_eval_mode"]


@contextmanager
def in_eval_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules and all modules in them in eval mode for the block, and each back into its own mode.

    Nothing is written to modules that are in eval mode, so several threads may use these at the same time.
    """
    in_train_mode = [one for module in modules for one in module.modules() if one.training]
    if in_train_mode:
        for module in modules:
            module.eval()
    try:
        yield
    finally:
        for one in in_train_mode:
            one.training = True
