"""Pictures of rows of a table: what a model restores of them, and which rows are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.tables.restored import values_in_place, words_of
from narrows.model.inference import corrupt, reconstruct
from narrows.pictures.table_rows import CLOSE, DIFFERENT, FILLED, SAME, table_rows
from narrows.records import Columns, Field

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["draw_alike_rows", "draw_masked_rows", "draw_restored_rows"]

Floats = NDArray[np.float64]
_NEAR = 0.25  # of a column's scale, up to which a number is a little different
_MISSING = "–"


def draw_restored_rows(model: Autoencoder, values: NDArray[Any]) -> Figure:
    """Return a picture of rows (n, n_columns) above what the model restores of them."""
    given = np.asarray(values, np.float64)
    return _drawn(model, {"original": given, "restored": _restored(model, given)})


def draw_masked_rows(model: Autoencoder, values: NDArray[Any], seed: int) -> Figure:
    """Return a picture of rows (n, n_columns): original, with cells missing as in training, and restored from these."""
    given = np.asarray(values, np.float64)
    masked = corrupt(model.chain_, given, seed, dtype=np.dtype(np.float64))
    return _drawn(model, {"original": given, "missing": masked, "restored": _restored(model, masked)})


def draw_alike_rows(model: Autoencoder, states: dict[str, Floats]) -> Figure:
    """Return a picture of rows (n, n_columns) below others; cells that differ from the first are marked."""
    return _drawn(model, states)


def _restored(model: Autoencoder, values: Floats) -> Floats:
    return values_in_place(_fields(model), reconstruct(model.chain_, values))


def _fields(model: Autoencoder) -> tuple[Field, ...]:
    schema = model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    return schema.fields


def _drawn(model: Autoencoder, states: dict[str, Floats]) -> Figure:
    fields, first = _fields(model), next(iter(states.values()))
    words = {state: list(zip(*map(_words, fields, values.T), strict=True)) for state, values in states.items()}
    unit = model.chain_.preprocessor.unit.expand(model.chain_.shape).cpu().numpy()
    marks = {state: _marks(fields, unit, first, values) for state, values in states.items() if values is not first}
    return table_rows(words, [one.name for one in fields], {n: one for n, one in marks.items() if n != "missing"})


def _words(field: Field, column: Floats) -> list[str]:
    if field.kind == "float":
        return [_MISSING if np.isnan(one) else f"{one:.5g}" for one in column.tolist()]
    return [_MISSING if word is None else word for word in words_of(field, column)]


def _marks(fields: tuple[Field, ...], unit: Floats, first: Floats, values: Floats) -> NDArray[np.int_]:
    """Return for each cell of values (n, n_columns) what it is beside that of the first state."""
    are_categories = np.array([bool(one.n_categories) for one in fields])
    apart = np.abs(values - first)
    different = np.where((apart > _NEAR * unit) | are_categories, DIFFERENT, CLOSE)
    same = (values == first) | (np.isnan(values) & np.isnan(first))
    marks: NDArray[np.int_] = np.where(same, SAME, np.where(np.isnan(first), FILLED, different))
    return marks
