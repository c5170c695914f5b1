"""How far the code of a record is from those of usual records, for detectors of trained autoencoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.nearest_usual import NearestUsual

__all__ = ["CodeDistance"]

Floats = NDArray[np.float64]

_USUAL = 0.75  # share of the records among whose codes the nearest are looked for


@dataclass(frozen=True, eq=False)
class CodeDistance:
    """The distance of codes to the nearest codes of usual records.

    Attributes
    ----------
    centre, unit : ndarray of shape (k,)
        Mean and standard deviation of codes.
    nearest : NearestUsual
        Codes of the records that the autoencoder restores best, in standard deviations.
    """

    centre: Floats
    unit: Floats
    nearest: NearestUsual

    @classmethod
    def fit(cls, codes: Floats, costs: Floats) -> Self:
        """Return the distance for the codes (n, k) of records whose restored values cost as much (n,)."""
        centre, unit = codes.mean(axis=0), codes.std(axis=0)
        unit = np.where(unit > 0, unit, 1.0)
        usual = codes[costs <= np.quantile(costs, _USUAL)]
        return cls(centre, unit, NearestUsual.fit((usual - centre) / unit))

    def parts(self, codes: Floats, costs: Floats) -> Floats:
        """Return the squared distances of codes (n, k), each divided among values in proportion to their costs (n, d).

        A code has no part for each value. Values that are restored badly are those that it does not describe.
        """
        distances = self.nearest.costs((codes - self.centre) / self.unit).sum(axis=1)
        above = costs - costs.min(axis=1, keepdims=True)
        above += above.mean(axis=1, keepdims=True) * 1e-6 + np.finfo(float).tiny
        return np.asarray(distances[:, None] * above / above.sum(axis=1, keepdims=True))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file."""
        return {"centre": self.centre, "unit": self.unit, "nearest": self.nearest.references}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], k: int) -> Self:
        """Return the distance of the arrays of a file, for codes of k values.

        Raises
        ------
        ValueError
            If the arrays do not have the shapes that it needs.
        """
        m = max(len(arrays.get("nearest", ())), 1)
        for name, shape in {"centre": (k,), "unit": (k,), "nearest": (m, k)}.items():
            if name not in arrays or arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"the scores of outliers need an array codes.{name} of shape {shape}")
        return cls(arrays["centre"], arrays["unit"], NearestUsual(arrays["nearest"]))
