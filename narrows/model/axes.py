"""A table of all axes of parts, by name. Code that iterates over axes uses this table."""

from __future__ import annotations

from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.networks import Network
from narrows.parts.part import Part
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing
from narrows.training import Optimiser, Schedule, Training
from narrows.training.pretraining import Pretraining

__all__ = ["AXES", "PARAMETERS", "SEQUENCES"]

AXES: dict[str, type[Part]] = {
    axis.axis: axis
    for axis in (
        Preprocessing,
        Corruption,
        Network,
        Bottleneck,
        Penalty,
        Likelihood,
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
    **{name: AXES[name] for name in ("network", "bottleneck", "likelihood", "corruption", "pretraining", "residual")},
    **SEQUENCES,
}
"""The parameters of estimators that are parts or sequences of parts, each with its axis."""
