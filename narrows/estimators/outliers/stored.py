"""What a detector has learned besides its network, as the arrays of a model file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.estimators.outliers.codes import CodeDistance
from narrows.estimators.outliers.combination import Combination
from narrows.estimators.outliers.plain_terms import PlainTerms
from narrows.model.fitted import FittedModel

__all__ = [
    "CODES",
    "COMBINED",
    "TERMS",
    "combined_arrays",
    "joined",
    "network_of",
    "prefixed",
    "stored_codes",
    "stored_combination",
    "stored_terms",
]

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

TERMS, COMBINED, CODES = "terms.", "combined.", "codes."
_LEARNED = ("floors", "usual", "medians", "units")


def network_of(model: FittedModel, kind: str, parameters: Mapping[str, Any]) -> FittedModel:
    """Return the network of a trained autoencoder as the model of a detector, without what only archives need."""
    none: Any = {"classes": None, "residual": None, "residual_part": None, "race": None}
    empty: Any = {name: {} for name in ("arrays", "artefacts", "pending", "measured_with", "unmeasured")}
    return replace(model, kind=kind, parameters=parameters, **none, **empty)


def combined_arrays(combined: Combination, threshold: float) -> dict[str, NDArray[Any]]:
    """Return the arrays of a combination of terms, and of a threshold."""
    learned = {name: getattr(combined, name) for name in _LEARNED}
    return prefixed(COMBINED, learned | {"threshold": np.array([threshold])})


def prefixed(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return arrays with a prefix before their names."""
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def stored_terms(arrays: Arrays, width: int) -> PlainTerms:
    """Return the terms of records of as many columns."""
    return PlainTerms.from_arrays(_without(TERMS, arrays), width)


def stored_codes(arrays: Arrays, k: int) -> CodeDistance | None:
    """Return the distance of codes of k values; None for detectors that have trained their network themselves."""
    found = _without(CODES, arrays)
    return CodeDistance.from_arrays(found, k) if found else None


def stored_combination(arrays: Arrays, names: tuple[str, ...], d: int) -> tuple[Combination, float]:
    """Return the combination of terms of these names, of records of d values, and the threshold.

    Raises
    ------
    ValueError
        If the arrays do not have the shapes that it needs.
    """
    found, n = _without(COMBINED, arrays), len(names)
    shapes = {"floors": (n, d), "usual": (n, d), "medians": (n,), "units": (n,), "threshold": (1,)}
    for name, shape in shapes.items():
        if name not in found or found[name].shape != shape:
            raise ValueError(f"the scores of outliers need an array {name} of shape {shape}")
    return Combination(names, *(found[name] for name in _LEARNED)), float(found["threshold"][0])


def joined(batches: Iterable[dict[str, Floats]]) -> dict[str, Floats]:
    """Return the costs of batches as those of all records."""
    given = list(batches)
    return {name: np.concatenate([one[name] for one in given]) for name in given[0]}


def _without(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
