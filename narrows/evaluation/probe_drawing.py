"""A picture of the accuracies of probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows import pictures
from narrows.uses.probing import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_probe"]


def draw_probe(found: Probe) -> Figure:
    """Return a picture with a panel for each classifier and a line for each kind of features.

    Parameters
    ----------
    found : Probe
        The result of `narrows.uses.probe_codes`.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in found.rows:
        lines = panels.setdefault(row.probe, {})
        lines.setdefault(row.features, []).append((100 * row.mean, 100 * (row.spread or 0.0)))
    steps = ["all" if n is None else str(n) for n in dict.fromkeys(row.labels_per_class for row in found.rows)]
    return pictures.spreads(panels, steps, x="labels of each class", y="accuracy, %")
