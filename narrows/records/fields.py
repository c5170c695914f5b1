"""Fields: what one column of a table is for a model, and how its cells are numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["CATEGORIES", "NUMBERS", "TEXTS", "Field"]

NUMBERS = ("integer", "decimal", "float", "date", "time", "datetime")
"""Kinds of fields whose cells are numbers."""

CATEGORIES = ("boolean", "category")
"""Kinds of fields whose cells are numbers of categories."""

TEXTS = ("identifier", "text")
"""Kinds of fields that no network learns."""

_KINDS = (*NUMBERS, *CATEGORIES, *TEXTS)


@dataclass(frozen=True)
class Field:
    """One column of a table.

    A cell is a float64: a number, the number of a category from 0, or NaN for one that is missing. Dates and times are
    numbers of units since 1970, or since midnight.

    Attributes
    ----------
    name : str
        The name of the column.
    kind : str
        One of `NUMBERS`, `CATEGORIES` and `TEXTS`.
    categories : tuple of str
        The categories. Those of booleans are "false" and "true".
    low, high : float
        The smallest and the largest number of the training data.
    start, step : float
        Numbers are ``start + step · k`` for whole numbers k; a step of 0: any number.
    atoms : tuple of float
        Frequent numbers.
    written : str
        How numbers are written: digits after the point of a decimal ("2"), the pattern of a date or time.
    nulls : float
        The share of cells that are missing.
    place : int
        The number of the column in the training table.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    start: float = 0.0
    step: float = 0.0
    atoms: tuple[float, ...] = ()
    written: str = ""
    nulls: float = 0.0
    place: int = 0

    @property
    def is_text(self) -> bool:
        """Whether the column has texts, which are no values of a record."""
        return self.kind in TEXTS

    @property
    def n_categories(self) -> int:
        """The number of categories, at least 2; 0 for numbers."""
        return max(2, len(self.categories)) if self.kind in CATEGORIES else 0

    def possible(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the nearest values (n,) that the column of the training data may have; NaN stays.

        Examples
        --------
        >>> Field("age", "integer", low=17, high=90, step=1).possible(np.array([17.4, 200.0])).tolist()
        [17.0, 90.0]
        """
        if self.n_categories:
            return np.clip(np.round(values), 0, max(len(self.categories) - 1, 0))
        stepped = self.start + np.round((values - self.start) / self.step) * self.step if self.step else values
        if self.kind == "decimal" and self.written:
            stepped = np.round(stepped, int(self.written.split(".")[0]))
        return np.clip(stepped, self.low, self.high)

    def are_possible(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which values (n,) the column may have: categories, and numbers near the training data's range."""
        if self.n_categories:
            return np.asarray((values >= 0) & (values < len(self.categories)))
        margin = _MARGIN * (self.high - self.low)
        return np.asarray((values >= self.low - margin) & (values <= self.high + margin))

    def measured(self, values: npt.NDArray[np.float64]) -> Self:
        """Return the field with the range and the nulls of values (n,), in which NaN is missing."""
        known = values[~np.isnan(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        nulls = 1 - len(known) / max(len(values), 1)
        return replace(self, low=low, high=high, nulls=nulls)

    def to_json(self) -> dict[str, Any]:
        """Return the field as JSON values, without what it has by default."""
        usual = asdict(Field(self.name, self.kind))
        found = {name: value for name, value in asdict(self).items() if value != usual[name]}
        return {"name": self.name, "kind": self.kind, **found}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the field of `to_json`; raises KeyError, TypeError or ValueError for other values."""
        numbers = {name: float(values.get(name, 0.0)) for name in ("low", "high", "start", "step", "nulls")}
        if values["kind"] not in _KINDS or not all(map(math.isfinite, numbers.values())) or numbers["step"] < 0:
            raise ValueError("a column of the model is not valid")
        categories = tuple(str(one) for one in values.get("categories", ()))
        atoms = tuple(float(one) for one in values.get("atoms", ()))
        if not all(map(math.isfinite, atoms)):
            raise ValueError("a column of the model is not valid")
        shared = {"written": str(values.get("written", "")), "place": int(values.get("place", 0))}
        return cls(str(values["name"]), values["kind"], categories, atoms=atoms, **shared, **numbers)  # type: ignore[arg-type]


_MARGIN = 0.1  # of the range of the training data, beyond which a number is impossible
