"""The largest output magnitude of each stage of a decoder, including stages within branches."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn

from narrows.errors import NotFreezableError
from narrows.networks.branches import Branches

__all__ = ["Ranged", "magnitude", "ranged", "stage_name"]


class Ranged:
    """A stage, and the largest magnitude that came out of it so far.

    Attributes
    ----------
    module : Module
        The stage.
    branches : list of list of Ranged
        The stages of each of its branches; empty where it has none.
    largest : float
        0 before anything came out.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self.largest = module, 0.0
        branches = module.branches if isinstance(module, Branches) else ()
        self.branches = [ranged(branch) for branch in branches if isinstance(branch, nn.Sequential)]

    def run(self, y: Tensor) -> Tensor:
        """Return what comes out of the stage.

        Raises
        ------
        NotFreezableError
            If that is not finite.
        """
        if self.branches:
            total: Tensor | None = None
            for branch in self.branches:
                x = y
                for stage in branch:
                    x = stage.run(x)
                total = x if total is None else total + x
            assert total is not None
            found = total
        else:
            found = self.module(y)
        self.largest = max(self.largest, magnitude(f"what comes out of its {stage_name(self.module)}", found))
        return found


def ranged(stages: Iterable[nn.Module]) -> list[Ranged]:
    """Return each stage with nothing come out of it yet."""
    return [Ranged(stage) for stage in stages]


def magnitude(what: str, y: Tensor) -> float:
    """Return the largest magnitude; NotFreezableError if it is not finite, which says what it is of."""
    found = float(y.abs().max())
    if not math.isfinite(found):
        raise NotFreezableError(f"The decoder cannot be frozen: {what} is not finite.")
    return found


def stage_name(stage: nn.Module) -> str:
    """Return what to call a stage in messages."""
    return type(stage).__name__.lstrip("_")
