"""What the values of records cost, term by term, and what is expected of them: all of a score but its unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.data.fill import is_fill
from narrows.estimators.outliers.codes import CodeDistance
from narrows.estimators.outliers.combination import Combination
from narrows.estimators.outliers.expansion import Expansion
from narrows.estimators.outliers.plain_terms import PlainTerms
from narrows.estimators.outliers.stored import stored_codes, stored_combination, stored_terms
from narrows.model.fitted import FittedModel
from narrows.model.inference import encode, reconstruct, value_costs
from narrows.numerics.batches import batch_size
from narrows.records import Columns, Schema
from narrows.records.fields import Field

__all__ = ["Scorer", "expansion_of", "flat_records", "limited_records"]

Floats = NDArray[np.float64]

_BATCH = 4096


@dataclass(frozen=True, eq=False)
class Scorer:
    """The terms of the score of a detector.

    Attributes
    ----------
    model : FittedModel
        The network.
    terms : PlainTerms
        The terms that need no network.
    codes : CodeDistance or None
        The distance of codes, for networks that were trained before.
    """

    model: FittedModel
    terms: PlainTerms
    codes: CodeDistance | None = None

    @classmethod
    def of(cls, model: FittedModel) -> Self:
        """Return the scorer of the model of a fitted detector."""
        width = _expansion(model.schema).width
        return cls(model, stored_terms(model.arrays, width), stored_codes(model.arrays, model.n_latent))

    @property
    def expansion(self) -> Expansion:
        """How the values of a record become columns of numbers."""
        return _expansion(self.model.schema)

    @property
    def names(self) -> tuple[str, ...]:
        """The terms, in the order of `Combination`."""
        return (*self.terms.names, "network", *(["codes"] if self.codes else []))

    def combination(self) -> tuple[Combination, float]:
        """Return the combination of the terms that the model has learned, and the threshold."""
        return stored_combination(self.model.arrays, self.names, int(np.prod(self.model.schema.shape)))

    def costs(self, values: NDArray[Any]) -> Iterator[dict[str, Floats]]:
        """Yield the costs of the values of records (n, *shape), batch by batch: term by term, each (b, d)."""
        chain, size = self.model.chain, batch_size(self.model.schema.shape, _BATCH)
        for start in range(0, len(values), size):
            batch = values[start : start + size]
            shown = limited_records(batch, self.terms, self.model.schema.kind)
            of_network = value_costs(chain, shown).reshape(len(batch), -1)
            of_columns = self.terms.costs(self.flat(batch))
            found = {name: self.expansion.summed(one) for name, one in of_columns.items()} | {"network": of_network}
            if self.codes is not None:
                of_codes = encode(chain, batch).astype(np.float64)
                found["codes"] = self.codes.parts(of_codes, of_network)
            yield found

    def flat(self, values: NDArray[Any]) -> Floats:
        """Return records (n, *shape) as columns of floats (n, width); missing values are NaN."""
        return flat_records(values, self.model.chain.parts.fill_value, self.expansion)

    def expected(self, values: NDArray[Any]) -> Floats:
        """Return what is expected of the values of records (n, *shape) given the others, (n, d); see `expected`."""
        found = self.terms.expected(self.flat(values))
        if found is None:
            return self._restored(values)
        expansion = self.expansion
        if any(expansion.categories):
            found = found[:, expansion.starts]
        for j in np.flatnonzero(expansion.categories):
            masked = values.copy()
            masked[:, j] = np.nan
            found[:, j] = self._restored(masked)[:, j]
        return found

    def _restored(self, values: NDArray[Any]) -> Floats:
        """Return what the network restores of records (n, *shape), as floats (n, n_values)."""
        return reconstruct(self.model.chain, values, None, dtype=np.dtype(float)).reshape(len(values), -1)


def expansion_of(shape: tuple[int, ...], fields: Sequence[Field] | None) -> Expansion:
    """Return how the values of records of a shape become columns of numbers; ``fields`` are those of tables."""
    return Expansion(tuple(one.n_categories for one in fields) if fields else (0,) * int(np.prod(shape)))


def _expansion(schema: Schema) -> Expansion:
    return expansion_of(schema.shape, schema.fields if isinstance(schema, Columns) else None)


def flat_records(values: NDArray[Any], fill_value: float | None, expansion: Expansion) -> Floats:
    """Return records (n, *shape) as columns of floats (n, width); missing values are NaN."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    if fill_value is not None:
        flat[is_fill(values.reshape(len(values), -1), fill_value)] = np.nan
    return expansion.expand(flat)


def limited_records(values: NDArray[Any], terms: PlainTerms, kind: str) -> NDArray[Any]:
    """Return vectors (n, d) as the network gets them, without values that are far away; other records as they are."""
    if values.dtype.kind != "f" or kind != "vector":
        return values
    return terms.limited(values.astype(np.float64)).astype(values.dtype)
