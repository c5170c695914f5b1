"""The largest output magnitude of each stage of a decoder, including stages within branches."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn

from narrows.errors import NotFreezableError
from narrows.networks.branches import Branches

__all__ = ["Ranged", "magnitude", "ranged", "stage_name"]


class Ranged:
    """A stage, and the largest magnitude of its outputs so far.

    Attributes
    ----------
    module : Module
        The stage.
    branches : list of list of Ranged
        The stages of each of its branches; empty if it has none.
    largest : float
        The largest magnitude; 0 before the first run.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self.largest = module, 0.0
        branches = module.branches if isinstance(module, Branches) else ()
        self.branches = [ranged(branch) for branch in branches if isinstance(branch, nn.Sequential)]

    def run(self, y: Tensor) -> Tensor:
        """Return the output of the stage, and record its magnitude.

        Raises
        ------
        NotFreezableError
            If the output is not finite.
        """
        if self.branches:
            total: Tensor | None = None
            for branch in self.branches:
                x = y
                for stage in branch:
                    x = stage.run(x)
                total = x if total is None else total + x
            assert total is not None
            output = total
        else:
            output = self.module(y)
        self.largest = max(self.largest, magnitude(f"the output of its {stage_name(self.module)}", output))
        return output


def ranged(stages: Iterable[nn.Module]) -> list[Ranged]:
    """Return the stages, before their first run."""
    return [Ranged(stage) for stage in stages]


def magnitude(what: str, y: Tensor) -> float:
    """Return the largest magnitude of y; raises NotFreezableError, which names ``what``, if it is not finite."""
    found = float(y.abs().max())
    if not math.isfinite(found):
        raise NotFreezableError(
            f"The decoder cannot be frozen: {what} must be finite. Got {found}. Train again with a lower learning rate."
        )
    return found


def stage_name(stage: nn.Module) -> str:
    """Return the name of a stage for messages."""
    return type(stage).__name__.lstrip("_")
