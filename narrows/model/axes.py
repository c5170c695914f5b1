"""A table of all axes of parts, by name. Code that iterates over axes uses this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from narrows.adversaries import Adversary
from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.networks import Network
from narrows.parts.part import Part, as_part
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing
from narrows.training import Optimiser, Schedule, Training
from narrows.training.pretraining import Pretraining

__all__ = ["AXES", "PARAMETERS", "SEQUENCES", "with_user_parts"]

AXES: dict[str, type[Part]] = {
    axis.axis: axis
    for axis in (
        Preprocessing,
        Corruption,
        Network,
        Bottleneck,
        Penalty,
        Likelihood,
        Adversary,
        Residual,
        Pretraining,
        Training,
        Optimiser,
        Schedule,
    )
}

SEQUENCES = {"preprocessing": AXES["preprocessing"], "penalties": AXES["penalty"]}
"""The parameters of estimators that are sequences of parts, each with its axis."""

PARAMETERS = {
    **{name: AXES[name] for name in ("network", "bottleneck", "likelihood", "corruption")},
    **{name: AXES[name] for name in ("adversary", "pretraining", "residual")},
    **SEQUENCES,
}
"""The parameters of estimators that are parts or sequences of parts, each with its axis."""


def with_user_parts(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's parameters with parts in the place of functions and modules of users."""
    return {name: _with_parts(name, value) for name, value in params.items()}


def _with_parts(name: str, value: Any) -> Any:
    axis = PARAMETERS.get(name)
    if axis is None or axis.user_part is None:
        return value
    if name in SEQUENCES and isinstance(value, (list, tuple)):
        return tuple(_with_part(axis, one) for one in value)
    return _with_part(axis, value)


def _with_part(axis: type[Part], value: Any) -> Any:
    is_code = axis.user_part is not None and not isinstance(value, (str, Part)) and axis.user_part.stands_for(value)
    return as_part(axis, value) if is_code else value
