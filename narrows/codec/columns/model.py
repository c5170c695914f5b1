"""A lossless model of the rows of a table: chosen for it, stored with it, and used for groups of its rows.

::

    1 · number of columns, for each: kind · has a mask · base · step · is a clock · streams of low bits · entries
    for each column of texts: its words and model of bytes (`columns.texts`)
    the streams in the order of coding, the logarithm of the number of buckets · plans (`columns.plan_bytes`)
    with an even version: lookups of plans

Versions are 1 to 4; with 3 and 4, each column of texts has a limit.

Groups are coded one by one, each from an empty state (`columns.groups`, `columns.coder`): any group is read alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.coder import Table, decode_rows, encode_rows, measure_rows
from narrows.codec.columns.contract import Column, Ids, Numbers, Texts
from narrows.codec.columns.groups import Escapes, check_columns, columns_of, filled, matrix_of, numbers_of
from narrows.codec.columns.packing import pack_signed_numbers, take_signed_numbers
from narrows.codec.columns.plan import ColumnPlan, Layout
from narrows.codec.columns.plan_bytes import MOST_COLUMNS, pack_lookups, pack_plans, take_lookups, take_plans
from narrows.codec.columns.streams import MOST_PARTS, ColumnKind, Scale, StreamSchema, streams_of
from narrows.codec.columns.texts import TextModel, limited
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.errors import CorruptArchiveError

__all__ = ["ColumnsModel"]

_VERSION, _WITH_LOOKUPS, _WITH_LIMITS = 1, 1, 2  # the first, and what is added to it
_LEAST_BITS, _MOST_BITS = 8, 22
_NUMBERS_PER_BUCKET = 4
_MOST_ESCAPES = 1 << 28
_MOST_CODED = 1 << 40


@dataclass(eq=False)
class ColumnsModel:
    """A lossless model of rows.

    Attributes
    ----------
    schemas : list of StreamSchema
        The columns.
    texts : list of TextModel or None
        For each column that has texts, what is known of them.
    order : list of int
        The streams, in the order of coding.
    plans : list of ColumnPlan
        The plan of each, in this order.
    bits : int
        A group learns in 2^bits buckets.

    Examples
    --------
    >>> import numpy as np
    >>> from narrows.codec.columns.contract import Numbers
    >>> table = [Numbers(np.arange(1000)), Numbers(np.arange(1000) * 7 % 10)]
    >>> model = ColumnsModel.of(table, group=1000)
    >>> [column.values[5] for column in model.decode(model.encode(table), 1000)]
    [np.int64(5), np.int64(5)]
    """

    schemas: list[StreamSchema]
    texts: list[TextModel | None]
    order: list[int]
    plans: list[ColumnPlan]
    bits: int
    _layout: Layout = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._layout = Layout(self.plans)

    @classmethod
    def of(cls, columns: Sequence[Column], *, group: int, n_rows: int | None = None) -> ColumnsModel:
        """Learn from the rows of a table.

        Parameters
        ----------
        columns : sequence of Column
            The columns of rows.
        group : int
            The number of rows that are coded together, at least 1.
        n_rows : int, optional
            The number of rows of the table, if the columns have only some of them.
        """
        from narrows.codec.columns.fitting.fit import fit_plans  # readers need no module of `fitting`

        models = limited(
            [TextModel.of(one.values, one.missing, n_rows) if isinstance(one, Texts) else None for one in columns]
        )
        schemas = [
            StreamSchema.of(one, len(model.words) if model else 0) for one, model in zip(columns, models, strict=True)
        ]
        n = check_columns(schemas, columns)
        numbers = [
            values if one.missing is None else filled(values, one.missing)
            for one, values in zip(columns, numbers_of(columns, models), strict=True)
        ]
        streams = streams_of(schemas, numbers, [one.missing for one in columns])
        if not n or not streams:
            return cls(schemas, models, *_empty(len(streams)), _LEAST_BITS)
        order, plans = fit_plans(streams, min(group, n))
        most = sum(len(plan.contexts) for plan in plans) * min(group, n) // _NUMBERS_PER_BUCKET
        return cls(schemas, models, order, plans, min(max(most.bit_length(), _LEAST_BITS), _MOST_BITS))

    def encode(self, columns: Sequence[Column]) -> bytes:
        """Return a group of rows as bytes. ValueError: the columns are not those of the model."""
        n, escapes = check_columns(self.schemas, columns), Escapes()
        numbers = numbers_of(columns, self.texts)
        values = matrix_of(self.schemas, columns, numbers, n, escapes)
        values = np.ascontiguousarray(values[:, self.order])
        coded, exceptions = encode_rows(self._layout, self.bits, values)
        escapes.put(exceptions[:, 0], exceptions[:, 1])
        parts = [pack_signed_numbers(escapes.numbers), pack_number(len(coded)), coded]
        for column, model, found in zip(columns, self.texts, numbers, strict=True):
            if model and isinstance(column, Texts):
                parts.append(model.encode(self._others(column, found, model)))
        return b"".join(parts)

    def bytes_of_columns(self, columns: Sequence[Column]) -> NDArray[np.float64]:
        """Return about how many bytes each column of a group of rows takes (number of columns,)."""
        numbers = numbers_of(columns, self.texts)
        values = matrix_of(self.schemas, columns, numbers, check_columns(self.schemas, columns), Escapes())
        bits = np.zeros(len(self.order))
        bits[self.order] = measure_rows(self._layout, self.bits, Table.of(np.ascontiguousarray(values[:, self.order])))
        starts = np.cumsum([0, *(schema.n_streams for schema in self.schemas)])[:-1]
        found: NDArray[np.float64] = np.add.reduceat(bits, starts) / 8
        for k, (column, model) in enumerate(zip(columns, self.texts, strict=True)):
            if model and isinstance(column, Texts):
                found[k] += len(model.encode(self._others(column, numbers[k], model)))
        return found

    def _others(self, column: Texts, numbers: NDArray[np.int64], model: TextModel) -> list[bytes]:
        """Return the texts that are no words."""
        is_other = numbers == len(model.words)
        if column.missing is not None:
            is_other &= ~column.missing
        return [column.values[i] for i in np.flatnonzero(is_other)]

    def decode(self, data: bytes, n: int) -> list[Column]:
        """Return the n rows of a group. CorruptArchiveError: the bytes are damaged."""
        reader = NumberReader(data)
        escapes = Escapes(take_signed_numbers(reader, _MOST_ESCAPES))
        absent, wrong = list[NDArray[np.int64] | None](), list[tuple[NDArray[np.int64], NDArray[np.int64]] | None]()
        for schema in self.schemas:
            absent.append(None if schema.has_mask else escapes.take_rows(n))
            is_number = schema.kind == ColumnKind.NUMBERS
            wrong.append((rows := escapes.take_rows(n), escapes.take_values(len(rows))) if is_number else None)
        places = escapes.take_rows(n * len(self.order))
        exceptions = np.stack([places, escapes.take_values(len(places))], 1)
        escapes.finish()
        coded = reader.take(reader.number(0, _MOST_CODED))
        values = decode_rows(self._layout, self.bits, n, coded, exceptions)
        streams = values.T[np.argsort(self.order)]
        found = columns_of(self.schemas, list(streams), absent, wrong)
        columns = [self._column(k, *one, reader) for k, one in enumerate(found)]
        if reader.rest:
            raise CorruptArchiveError(f"A group of rows has {len(reader.rest):,} bytes too many.")
        return columns

    def _column(
        self, k: int, values: NDArray[np.int64], missing: NDArray[np.bool_] | None, reader: NumberReader
    ) -> Column:
        schema, model = self.schemas[k], self.texts[k]
        if schema.kind == ColumnKind.NUMBERS:
            return Numbers(values, missing)
        if model is None:
            return Ids(values, missing, schema.n_known)
        is_other = values == len(model.words)
        if missing is not None:
            is_other &= ~missing
        others = iter(model.decode(reader, int(is_other.sum())))
        texts = [
            next(others) if other else model.words[i] if i < len(model.words) else b""
            for other, i in zip(is_other, values.tolist(), strict=True)
        ]
        if missing is not None:
            texts = [b"" if no else text for text, no in zip(texts, missing.tolist(), strict=True)]
        return Texts(texts, missing)

    def to_bytes(self) -> bytes:
        """Return the bytes of the model."""
        lookups = pack_lookups(self.plans)
        has_limits = any(model and model.limit is not None for model in self.texts)
        version = _VERSION + _WITH_LOOKUPS * bool(lookups) + _WITH_LIMITS * has_limits
        numbers = [version, len(self.schemas)]
        for one in self.schemas:
            scale = one.scale
            numbers += [one.kind, one.has_mask, scale.base, scale.step, scale.is_clock, one.n_low, one.n_known]
        texts = b"".join(model.to_bytes() for model in self.texts if model)
        order = pack_signed_numbers([*self.order, self.bits])
        return pack_signed_numbers(numbers) + texts + order + pack_plans(self.plans) + lookups

    @classmethod
    def from_bytes(cls, data: bytes) -> ColumnsModel:
        """Return the model of `to_bytes`. CorruptArchiveError: the bytes are damaged."""
        reader = NumberReader(data)
        numbers = take_signed_numbers(reader, 2 + 7 * MOST_COLUMNS)
        schemas = _schemas(numbers)
        parts = numbers[0] - _VERSION
        has_limits = bool(parts & _WITH_LIMITS)
        texts = [
            TextModel.take(reader, is_limited=has_limits) if one.kind == ColumnKind.TEXTS else None for one in schemas
        ]
        *order, bits = take_signed_numbers(reader, MOST_COLUMNS + 1, 0, MOST_COLUMNS) or [0]
        plans = take_plans(reader)
        if parts & _WITH_LOOKUPS:
            plans = take_lookups(reader, plans)
        n = sum(one.n_streams for one in schemas)
        known = all(one.n_known == len(model.words) for one, model in zip(schemas, texts, strict=True) if model)
        if (
            sorted(order) != list(range(n))
            or len(plans) != n
            or not 1 <= bits <= _MOST_BITS
            or reader.rest
            or not known
        ):
            raise CorruptArchiveError("A model of columns is damaged: its parts do not fit each other.")
        return cls(schemas, texts, order, plans, bits)


def _schemas(numbers: list[int]) -> list[StreamSchema]:
    version, n = (*numbers, 0, 0)[:2]
    last = _VERSION + _WITH_LOOKUPS + _WITH_LIMITS
    if not _VERSION <= version <= last or n < 0 or len(numbers) != 2 + 7 * n:
        raise CorruptArchiveError(
            f"A model of columns must have a version from {_VERSION} to {last}. Got {version}, or it is damaged."
        )
    schemas = []
    for at in range(2, len(numbers), 7):
        kind, has_mask, base, step, is_clock, n_low, n_known = numbers[at : at + 7]
        if not (
            0 <= kind <= max(ColumnKind)
            and has_mask in (0, 1)
            and is_clock in (0, 1)
            and step >= 1
            and 0 <= n_low <= (MOST_PARTS if kind == ColumnKind.NUMBERS else 0)
            and n_known >= 0
        ):
            raise CorruptArchiveError("A model of columns is damaged: the description of a column is not valid.")
        scale = Scale(base, step, bool(is_clock))
        schemas.append(StreamSchema(ColumnKind(kind), bool(has_mask), scale, n_low, n_known))
    return schemas


def _empty(n: int) -> tuple[list[int], list[ColumnPlan]]:
    from narrows.codec.columns.fitting.sample import NO_LEAVES

    return list(range(n)), [ColumnPlan(NO_LEAVES)] * n
