"""Tables of few cells or rows: their text by the model of bytes, in the place of the model; columns are found again.

::

    number of bytes · kind u8 · STORED: the text · BYTES: bits u8 · the text as a session of the model of bytes

The number is written by `narrows.codec.fields.leb128`. What columns have would take more bytes than such rows.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np

from narrows.archive.table_model import TableModel
from narrows.codec.columns.model import ColumnsModel
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.codec.text.frozen import FrozenBytes
from narrows.data.tables.csv_table import CsvForm, CsvSource, text_of
from narrows.data.tables.dialect import BOM, Dialect
from narrows.data.tables.form import Group, TableSource
from narrows.data.tables.opening import csv_of_bytes
from narrows.data.tables.rules import Stepped
from narrows.errors import CorruptArchiveError, NarrowsError
from narrows.records.columns import Numbers

__all__ = ["LONG_ROWS", "MOST_TEXT", "PLAIN_ROWS", "PlainTable", "is_only_text", "is_wide", "plain_table"]

PLAIN_ROWS = "plain_rows"
"""The entry of the metadata: how the text is read, as far as that is not found."""
MOST_TEXT = 1 << 17
"""The most bytes of a text that is stored in this way: it is decoded in some four tenths of a second."""
LONG_ROWS = "long_rows"
"""The entry of the metadata if the text has more bytes than the first readers of such tables take."""

_MOST_BYTES, _MOST_LONG_BYTES = 1 << 20, 1 << 22  # a mebibyte takes some four seconds
_MOST_COLUMNS = 1 << 16  # which takes some ten seconds; a text of empty cells has as many columns as bytes
_MOST_ROWS, _FEW_ROWS = 256, 64  # with few, telling how columns are predicted always takes more than it saves
_STORED, _BYTES = 0, 1
_OPTIONS = {"delimiter": str, "encoding": str, "header": bool, "kinds": dict, "skipped": list}


class PlainTable(TableModel):
    """The rows of a table of few rows, all in one group.

    Attributes
    ----------
    text : bytes
        The file of text.
    form : CsvForm
    group : Group
        Its rows.
    """

    form: CsvForm
    text: bytes
    group: Group

    @classmethod
    def of(cls, text: bytes, options: dict[str, Any], about: dict[str, Any]) -> Self:
        """Return the table in a text, which is read with some options of `open_csv`.

        What columns are said to have is not checked: earlier versions wrote archives of tables that `open_csv` refuses.

        Raises
        ------
        NarrowsError
            If it is none.
        """
        data = np.frombuffer(text, np.uint8)
        source = csv_of_bytes(data, "its table", must_fit=False, most_columns=_MOST_COLUMNS, **options)
        made = cls(source.form, ColumnsModel.of([], group=1), source.facts, about)
        found = next(source.groups(source.n_rows))
        _add_ranges(source, found)
        # A frozen class, whose other attributes are those of all models.
        made.__dict__.update(text=text, group=found)
        return made

    @cached_property
    def blob(self) -> bytes:
        """The text as bytes."""
        model, way = FrozenBytes.of([self.text]), _BYTES
        coded = bytes((model.bits,)) + model.coded
        if len(coded) >= len(self.text):
            coded, way = self.text, _STORED
        return pack_number(len(self.text)) + bytes((way,)) + coded

    @property
    def metadata(self) -> dict[str, Any]:
        """Further entries of the metadata."""
        return {LONG_ROWS: True} if len(self.text) > _MOST_BYTES else {}

    @property
    def dictionaries(self) -> bytes:
        """None: categories are in the text."""
        return b""

    @classmethod
    def read(cls, blob: bytes, options: Any, *, is_long: bool = False) -> Self:
        """Return the table of `blob`.

        Parameters
        ----------
        blob : bytes
        options : JSON value
            The entry ``plain_rows`` of the metadata.
        is_long : bool
            Whether the text may have more than a mebibyte.

        Raises
        ------
        CorruptArchiveError
            If it cannot be read.
        """
        reader = NumberReader(blob)
        n, way = reader.number(1, _MOST_LONG_BYTES if is_long else _MOST_BYTES), reader.number(_STORED, _BYTES)
        if way == _STORED:
            text = reader.rest
        else:
            bits = reader.take(1)[0]
            text = FrozenBytes(reader.rest, n, 1, bits).sample()[0]
        if len(text) != n or not _are_options(options):
            raise CorruptArchiveError("the text of its table, or how it is read, is damaged")
        try:
            given = {name: one for name, one in options.items() if name != "skipped"}
            return cls.of(text, given, {"skipped": options.get("skipped", [])})
        except NarrowsError as error:
            raise CorruptArchiveError(f"the text of its table cannot be read: {error}") from error


def _are_options(options: Any) -> bool:
    """Return whether a value of the metadata has the form of options."""
    if not isinstance(options, dict) or not all(isinstance(options[key], _OPTIONS.get(key, ())) for key in options):
        return False
    return all(isinstance(kind, str) for kind in options.get("kinds", {}).values())


def _add_ranges(source: TableSource, group: Group) -> None:
    """Set the smallest and the largest value of columns of numbers and dates."""
    for fact, rule, one in zip(source.facts, source.form.rules, group.columns, strict=True):
        if isinstance(rule, Stepped) and isinstance(one.column, Numbers):
            values, missing = rule.numbers(one.column), one.column.missing
            present = values if missing is None else values[~missing]
            if len(present):
                low, high = rule.written(np.array([present.min(), present.max()])).texts()
                fact.low, fact.high = low.decode("ascii"), high.decode("ascii")


def is_wide(source: TableSource) -> bool:
    """Return whether a table has so many columns for its few rows that it may be smaller as a text than in columns."""
    return source.n_rows <= min(len(source.form.names), _MOST_ROWS) and len(source.form.names) <= _MOST_COLUMNS


def is_only_text(source: TableSource) -> bool:
    """Return whether a table that may be a text is smaller as one, so that columns need not be tried."""
    return is_wide(source) and source.n_rows <= _FEW_ROWS and source.n_bytes > MOST_TEXT


def plain_table(source: TableSource, about: dict[str, Any]) -> tuple[PlainTable, dict[str, Any]] | None:
    """Return a small or wide table with how its text is read; None if it is large, or its text is read as another."""
    if not isinstance(source, CsvSource) or source.bounds:
        return None
    if source.n_bytes > (_MOST_LONG_BYTES if is_wide(source) else MOST_TEXT):
        return None
    text = text_of(source.form, source.groups(source.n_rows))
    for options in ({}, _said(source.form)):
        try:
            made = PlainTable.of(text, options, about)
        except NarrowsError:
            continue
        if _are_same(made.form, source.form) and text_of(made.form, [made.group]) == text:
            return made, options | ({"skipped": list(source.skipped)} if source.skipped else {})
    return None


def _said(form: CsvForm) -> dict[str, Any]:
    """Return options by which the columns of a file are found as they are."""
    dialect = form.dialect
    return {
        "delimiter": chr(dialect.delimiter),
        "encoding": dialect.encoding,
        "header": len(dialect.head.removeprefix(BOM)) > 0,
        "kinds": {name: rule.kind for name, rule in zip(form.names, form.rules, strict=True)},
    }


def _are_same(one: Any, other: CsvForm) -> bool:
    are_read: tuple[Dialect, ...] = one.dialect, other.dialect
    return are_read[0] == are_read[1] and [rule.kind for rule in one.rules] == [rule.kind for rule in other.rules]
