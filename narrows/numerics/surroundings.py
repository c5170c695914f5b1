"""Settings of the calling thread that would change what narrows computes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

__all__ = ["usual_settings"]


@contextmanager
def usual_settings() -> Iterator[None]:
    """Compute in the block as in a new thread, whatever the caller has set.

    Programs that use PyTorch often call other code without gradients, in inference mode, in mixed precision, or with
    another default device. With these settings training would fail, and codes would depend on them. NumPy's settings
    can turn an underflow that does not matter into an error. Also a decorator.

    Examples
    --------
    >>> with np.errstate(under="raise"), usual_settings():
    ...     float(np.exp(np.float64(-1000.0)))
    0.0
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if "torch" in sys.modules:  # the code that restores archives does not need PyTorch
            _enter_torch(stack)
        yield


def _enter_torch(stack: ExitStack) -> None:
    import torch

    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
    if torch.get_default_device() != torch.device("cpu"):
        stack.enter_context(torch.device("cpu"))
