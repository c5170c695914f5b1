"""Metrics of a model of a table, column by column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.data.tables.restored import values_in_place
from narrows.errors import InvalidParameterError
from narrows.model.artefacts import ColumnBaselines
from narrows.model.columns import from_others
from narrows.model.inference import losses, reconstruct, value_costs
from narrows.records import Columns

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["column_metrics"]

Floats = NDArray[np.float64]

_CELLS, _LEAST_ROWS = 1 << 18, 256  # that are predicted from the other columns, each by a pass of the network


def column_metrics(model: Autoencoder, source: Source, *, per_record: bool = False, **others: Any) -> dict[str, Any]:
    """Return the metrics of a model of a table, those of `narrows.evaluate`.

    Parameters
    ----------
    model : Autoencoder
        A fitted model of a table.
    source : Source
        Rows with the columns of the model.
    per_record : bool
        Also return the bits of each row, in all and by column.
    **others
        What other models are asked for.

    Returns
    -------
    dict
        ``columns`` is a list with an entry for each column: its ``name`` and ``kind``, the number of cells that are
        there (``known``), and

        - ``right``: of categories, the share that is restored, and ``mean_error`` of numbers, the mean distance;
        - ``bits``: the bits of a cell given the code of its row; ``own_bits`` given nothing, by a histogram of the
          training data; ``bits_from_others`` given the other columns of its row, without its code;
        - the same as ``right`` and ``mean_error`` by PCA (``pca_…``) and from the other columns (``…_from_others``).

        Bits of numbers are those of the interval ``resolution``.

    Raises
    ------
    InvalidParameterError
        If something else is asked for.
    """
    asked = next((name for name, value in others.items() if value), None)
    if asked is not None:
        raise InvalidParameterError(f"The '{asked}' of evaluate has no meaning for a model of a table. Leave it out.")
    schema = model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    chain, values, fields = model.chain_, np.asarray(source.values, np.float64), schema.fields
    bits = value_costs(chain, values) / math.log(2)
    restored = values_in_place(fields, reconstruct(chain, values))
    some = values[:: -(-len(values) // max(_CELLS // len(fields) ** 2, _LEAST_ROWS))]
    nats, predicted = from_others(chain, some)
    predicted = values_in_place(fields, predicted)
    known, base = ~np.isnan(values), _baselines(model)
    own = None if base is None else base.bits(chain, values)
    by_pca = None if base is None else values_in_place(fields, base.restored(chain, values))
    columns = []
    for f, field in enumerate(fields):
        there, some_there = known[:, f], ~np.isnan(some[:, f])
        facts: dict[str, Any] = {"name": field.name, "kind": field.kind, "known": int(there.sum())}
        facts |= _compared(field.n_categories, "", values[there, f], restored[there, f])
        facts |= _compared(field.n_categories, "pca_", values[there, f], None if by_pca is None else by_pca[there, f])
        facts |= _compared(field.n_categories, "", some[some_there, f], predicted[some_there, f], "_from_others")
        facts |= {
            "bits": _mean(bits[there, f]),
            "own_bits": None if own is None else _mean(own[there, f]),
            "bits_from_others": _mean(-nats[some_there, f] / math.log(2)),
        }
        columns.append(facts)
    of_rows = losses(chain, values)
    detail = {f"bits of {one.name}": bits[:, f] for f, one in enumerate(fields)}
    return {
        "records": len(values),
        "missing_values": int((~known).sum()),
        "bits_per_record": float(bits.sum(1).mean()),
        "own_bits_per_record": None if own is None else float(own.sum(1).mean()),
        "nats_per_record": _mean(of_rows[~np.isnan(of_rows)]),
        "columns": columns,
        **({"per_record": {"index": np.arange(len(values)), "bits": bits.sum(1), **detail}} if per_record else {}),
    }


def _baselines(model: Autoencoder) -> ColumnBaselines | None:
    found = model.model_.measured(ColumnBaselines.name)
    return found if isinstance(found, ColumnBaselines) else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _compared(
    n_categories: int, before: str, values: Floats, restored: Floats | None, after: str = ""
) -> dict[str, float | None]:
    """Return the share of categories that are right, or the mean distance of numbers, by the name of the metric."""
    name = f"{before}{'right' if n_categories else 'mean_error'}{after}"
    if restored is None or not len(values):
        return {name: None}
    return {name: float((values == restored).mean() if n_categories else np.abs(values - restored).mean())}
