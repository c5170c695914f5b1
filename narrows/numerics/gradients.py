"""Whether a gradient flows from one tensor to another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["lacks_gradient"]


def lacks_gradient(result: Tensor, argument: Tensor) -> bool:
    """Return whether a tensor needs a gradient that a result does not give it.

    Parameters
    ----------
    result : Tensor
        What was computed. It may depend on other tensors that need a gradient.
    argument : Tensor
        The tensor; a result of other operations.
    """
    if not torch.is_grad_enabled() or argument.grad_fn is None:
        return False
    searched: set[Any] = set()
    left = [result.grad_fn]
    while left:
        node = left.pop()
        if node is argument.grad_fn:
            return False
        if node is not None and node not in searched:
            searched.add(node)
            left.extend(before for before, _ in node.next_functions)
    return True
