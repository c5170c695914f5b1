"""An entropy model that predicts each symbol from the preceding symbols, and chooses its table by the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.contract import EntropyModel, Intervals, with_escapes
from narrows.codec.entropy_models.counting import counted_by_context
from narrows.codec.entropy_models.escapes import Escapes
from narrows.codec.entropy_models.predictor import MAX_CONTEXTS, Predictor
from narrows.codec.tables import FrequencyTables
from narrows.codec.validation import check_array, stored_array, stored_number
from narrows.errors import InvalidParameterError, ModelFileError

__all__ = ["Autoregressive"]

_MAX_SLOTS = 1 << 22  # all tables together, 8 bytes each while decoding
_ARRAYS = ("weights_in", "weights_near", "biases", "weights_out", "biases_out")


class Autoregressive(EntropyModel, name="autoregressive"):
    """Code each symbol relative to its prediction from the preceding symbols, with the table of the context.

    ::

        symbols s₀ … s_(d-1) of a record ─► predictor ─► offset, context ─► table_numbers ─► table codes s_d - offset

    Parameters
    ----------
    predictor : Predictor
        Predicts the location and the scale of each symbol.
    tables : FrequencyTables
        The tables, of values relative to the prediction.
    table_numbers : ndarray of shape (n_scales · n_phases,), uint16
        The index of the table of each context.

    Raises
    ------
    ModelFileError
        If a context has no table, or there are more tables than a lookup may hold.
    """

    def __init__(self, predictor: Predictor, tables: FrequencyTables, table_numbers: NDArray[np.uint16]) -> None:
        check_array("table_numbers", table_numbers, np.uint16, (predictor.n_scales * predictor.n_phases,))
        if int(table_numbers.max()) >= len(tables):
            raise ModelFileError(f"The model refers to table {table_numbers.max()}, but has {len(tables)} tables.")
        if len(tables) << tables.precision > _MAX_SLOTS:
            raise ModelFileError(
                f"The model may have at most {_MAX_SLOTS >> tables.precision} tables of precision "
                f"{tables.precision}. Got {len(tables)}."
            )
        self.predictor, self.tables, self.table_numbers = predictor, tables, table_numbers

    @property
    def n_symbols(self) -> int:
        return self.predictor.n_symbols

    @property
    def order(self) -> NDArray[np.int64]:
        return self.predictor.order

    @classmethod
    def with_tables_counted(
        cls, predictor: Predictor, symbols: NDArray[np.int32], *, unit_scale: int, precision: int = 12
    ) -> Autoregressive:
        """Return the model with a given predictor, and with tables counted on training symbols.

        Scale k stands for a logistic distribution of scale 2^((k - unit_scale)/4) symbols around the prediction. This
        is the prior of a table; with many counts in its context, the table follows the counts. The counting uses
        floats; coding uses only the resulting integer tables.

        Parameters
        ----------
        predictor : Predictor
            The integer predictor that will be used for coding.
        symbols : ndarray of shape (n, D), int32
            Symbols of training records.
        unit_scale : int
            The scale k that stands for one symbol.
        precision : int
            P of the tables, 8 to 15.

        Raises
        ------
        InvalidParameterError
            If the symbols do not have the shape (n, D).
        """
        if symbols.ndim != 2 or symbols.shape[1] != predictor.n_symbols:
            raise InvalidParameterError(f"Symbols must have shape (n, {predictor.n_symbols}). Got {symbols.shape}.")
        columns = np.ascontiguousarray(symbols.T[predictor.order], np.int32)
        offsets, contexts = _predicted(predictor, columns)
        counted, numbers = counted_by_context(
            contexts.ravel(),
            (columns - offsets).ravel(),
            n_scales=predictor.n_scales,
            n_phases=predictor.n_phases,
            unit_scale=unit_scale,
            precision=precision,
        )
        return cls(predictor, FrequencyTables.from_counts(counted, precision=precision), numbers)

    def intervals(self, symbols: NDArray[np.int32], *, dtype: type[np.float64 | np.int64] = np.float64) -> Intervals:
        offsets, contexts = _predicted(self.predictor, symbols, dtype)
        return Intervals(*self.tables.entries(self.table_numbers[contexts], symbols - offsets))

    def pop(
        self,
        decoder: rans.Decoder,
        escapes: Escapes,
        n_records: int,
        *,
        dtype: type[np.float64 | np.int64] = np.float64,
    ) -> NDArray[np.int32]:
        symbols = np.empty((self.n_symbols, n_records), np.int32)
        run = self.predictor.start(n_records, dtype=dtype)
        for position in range(self.n_symbols):
            expected = run.predict()
            values = decoder.pop(n_records, self.tables.lookup(), self.table_numbers[expected.contexts])
            symbols[position] = with_escapes(values, escapes, expected.offsets)
            run.update(symbols[position])
        return symbols

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        settings, tensors = self.tables.to_tensors()
        p = self.predictor
        settings |= {"name": self.name, "grid": list(p.grid), "shifts": list(p.shifts)}
        settings |= {"n_scales": p.n_scales, "n_phases": p.n_phases}
        tensors |= {name: getattr(p, name) for name in _ARRAYS} | {"table_numbers": self.table_numbers}
        return settings, tensors

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        predictor = Predictor(
            **{name: stored_array(tensors, name) for name in _ARRAYS},
            grid=_pair(settings, "grid"),
            shifts=_pair(settings, "shifts"),
            n_scales=stored_number(settings, "n_scales", 1, MAX_CONTEXTS),
            n_phases=stored_number(settings, "n_phases", 1, MAX_CONTEXTS),
        )
        return cls(predictor, FrequencyTables.from_tensors(settings, tensors), stored_array(tensors, "table_numbers"))


def _pair(settings: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return a setting of two numbers; the predictor checks the numbers."""
    pair = settings.get(name)
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ModelFileError(f"The model's '{name}' must be a list of two numbers. Got {pair!r}.")
    return pair[0], pair[1]


def _predicted(
    predictor: Predictor, symbols: NDArray[np.int32], dtype: type[np.float64 | np.int64] = np.float64
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return offsets and contexts, each of shape (D, n), of known symbols (D, n) in coding order."""
    offsets, contexts = np.empty(symbols.shape, np.int32), np.empty(symbols.shape, np.int64)
    run = predictor.start(symbols.shape[1], dtype=dtype)
    for position, known in enumerate(symbols):
        expected = run.predict()
        offsets[position], contexts[position] = expected.offsets, expected.contexts
        run.update(known)
    return offsets, contexts
