"""Tables of Arrow, from Parquet and Feather files or data frames: their columns, and the same table again."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from narrows.data.source import check_limit
from narrows.data.tables.arrow_columns import decode_column, encode_column, rule_of
from narrows.data.tables.arrow_package import arrow_package
from narrows.data.tables.arrow_scales import scale_of
from narrows.data.tables.form import Facts, Form, Group, TableSource
from narrows.data.tables.inference import SKIP, check_kinds
from narrows.data.tables.rules import Rule
from narrows.errors import DataError
from narrows.records.columns import Texts

__all__ = ["ArrowForm", "ArrowSource", "source_of_arrow"]


@dataclass(frozen=True, eq=False)
class ArrowForm(Form, entry="arrow"):
    """The columns of an Arrow table.

    Attributes
    ----------
    schema : bytes
        Names, types and metadata of the columns, as Arrow serialises them.
    names : tuple of str
    rules : tuple of Rule
        One for each column.
    """

    schema: bytes
    names: tuple[str, ...]
    rules: tuple[Rule, ...]

    def types(self) -> Any:
        """Return the `pyarrow.Schema`."""
        pa = arrow_package("An archive of an Arrow table")
        return pa.ipc.read_schema(pa.py_buffer(self.schema))

    def encode(self, table: Any) -> Group:
        """Return the rows of a `pyarrow.Table` as columns."""
        columns = [_one(table.column(number)) for number in range(len(self.rules))]
        return Group([encode_column(rule, column) for rule, column in zip(self.rules, columns, strict=True)])

    def checksum(self, group: Group) -> int:
        crc = 0
        for one in group.columns:
            column = one.column
            absent = np.zeros(len(column.values), bool) if column.missing is None else column.missing
            if isinstance(column, Texts):
                texts = [b"" if gone else text for text, gone in zip(column.values, absent.tolist(), strict=True)]
                lengths = np.array([len(text) for text in texts], "<i8")
                parts = [lengths.tobytes(), b"".join(texts)]
            else:
                parts = [np.where(absent, 0, column.values).astype("<i8").tobytes()]
            for part in (absent.tobytes(), *parts, one.rows.astype("<i8").tobytes(), *one.texts):
                crc = zlib.crc32(part, crc)
        return crc

    def values(self, group: Group, column: int) -> list[Any]:
        found: list[Any] = self._array(self.types().field(column).type, group, column).to_pylist()
        return found

    def arrow(self, groups: Iterable[Group], columns: Sequence[int]) -> Any:
        pa = arrow_package("An archive of an Arrow table")
        schema = self.types()
        found: dict[int, list[Any]] = {column: [] for column in columns}
        for group in groups:
            for column, pieces in found.items():
                pieces.append(self._array(schema.field(column).type, group, column))
        arrays = [pa.chunked_array(pieces, schema.field(column).type) for column, pieces in found.items()]
        whole = list(columns) == list(range(len(self.names)))
        chosen = schema if whole else pa.schema([schema.field(column) for column in columns])
        return pa.table(arrays, schema=chosen)

    def _array(self, kind: Any, group: Group, column: int) -> Any:
        return decode_column(self.rules[column], kind, group.columns[column])

    def with_rules(self, rules: Sequence[Rule]) -> Self:
        return type(self)(self.schema, self.names, tuple(rules))

    def to_json(self) -> dict[str, Any]:
        return {"schema": base64.b64encode(self.schema).decode()}

    @classmethod
    def from_json(cls, values: dict[str, Any], names: tuple[str, ...], rules: tuple[Rule, ...]) -> Self:
        return cls(base64.b64decode(values["schema"], validate=True), names, rules)


def _one(column: Any) -> Any:
    """Return a column of a table as one array."""
    found = column.combine_chunks()
    if hasattr(found, "num_chunks"):
        return found.chunk(0) if found.num_chunks else found
    return found


@dataclass(eq=False)
class ArrowSource(TableSource):
    """An Arrow table to compress."""

    form: ArrowForm
    table: Any = None
    format: str = "arrow"

    @property
    def kind(self) -> str:
        return self.format

    def scale(self, column: int) -> tuple[float, int]:
        return scale_of(self.form.rules[column], self.table.schema.field(column).type)

    def groups(self, size: int) -> Iterator[Group]:
        for start in range(0, self.n_rows, size):
            yield self.form.encode(self.table.slice(start, size))


def source_of_arrow(
    table: Any, name: str, kind: str = "arrow", limit: int | None = None, kinds: Mapping[str, str] | None = None
) -> ArrowSource:
    """Return a `pyarrow.Table`, or its first rows up to a limit, as a table to compress.

    Parameters
    ----------
    table : pyarrow.Table
    name : str
        Its name in messages.
    kind : str
        The format that it was read from.
    limit : int, optional
        Only the first rows up to this number.
    kinds : dict of str to str, optional
        What columns have, by their names: ``skip`` to leave them out; ``category``, ``text`` or ``identifier`` for
        columns of texts, and ``float`` for floats. By default, and for all others, their types say it.

    Raises
    ------
    DataError
        If it has no rows or columns, two columns of one name, or a column of a type that holds no single values.
    UnknownNameError, InvalidParameterError
        If ``kinds`` has no name of a column, or what its type cannot be.
    """
    kinds, names = kinds or {}, tuple(table.column_names)
    if not table.num_rows or not names:
        raise DataError(f"{name} has {table.num_rows:,} rows and {len(names):,} columns. A table needs both.")
    repeated = next((one for place, one in enumerate(names) if one in names[:place]), None)
    if repeated is not None:
        raise DataError(f"{name} has more than one column named {repeated!r}. Rename them.")
    check_kinds(kinds, names, name)
    skipped = tuple(one for one in names if kinds.get(one) == SKIP)
    if skipped:
        table = table.drop_columns(list(skipped))
        names = tuple(table.column_names)
    table = (table if limit is None else table.slice(0, check_limit(limit))).unify_dictionaries()
    columns = [_one(table.column(number)) for number in range(len(names))]
    rules = tuple(rule_of(one, column, kinds.get(one)) for one, column in zip(names, columns, strict=True))
    facts = [Facts(column.null_count, len(column.unique())) for column in columns]
    form = ArrowForm(table.schema.serialize().to_pybytes(), names, rules)
    return ArrowSource(name, form, table.num_rows, table.nbytes, facts, skipped=skipped, table=table, format=kind)
