"""Compression of tables: a coder learns from the rows, and each group of rows is coded by it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from narrows.archive.blocks import BlockWriter
from narrows.archive.layout import MAX_CHUNK_RECORDS, Coding, pack_header
from narrows.archive.layouts import TableLayout
from narrows.archive.metadata import Metadata, header_entries
from narrows.archive.packing import pack
from narrows.archive.plain_table import PLAIN_ROWS, PlainTable, is_only_text, is_wide, plain_table
from narrows.archive.table_chunks import pack_rows
from narrows.archive.table_model import TableModel
from narrows.archive.table_summary import TableSummary
from narrows.codec.columns.model import ColumnsModel
from narrows.data.tables.bounds import bound_in_units
from narrows.data.tables.form import Group, TableSource
from narrows.data.tables.rules import Rule, Stepped
from narrows.errors import recorded
from narrows.io.files import as_path, check_output, naming_output, replacing
from narrows.io.progress import Progress
from narrows.numerics.pool import Pool
from narrows.records.columns import Column, Ids, Numbers, Texts

__all__ = ["compress_table", "group_rows", "learn_table"]

_GROUP_BYTES = 400_000  # of the text of a group, which is read in about a tenth of a second
_MOST_CELLS = 1 << 23  # that a coder learns from: flights and what is smaller whole, others in some 500 MB of memory
_WORK_BYTES = 16  # of memory for each cell of a group
_MOST_BLOCK = 8  # groups of a sample that follow each other


def group_rows(source: TableSource) -> int:
    """Return the number of rows of a group: a power of two, of about 400 kB of text.

    Smaller groups make single rows faster to read, and archives larger.
    """
    rows = _GROUP_BYTES * source.n_rows // max(1, source.n_bytes)
    return min(1 << max(rows, 1).bit_length() - 1, MAX_CHUNK_RECORDS)


def compress_table(
    source: TableSource,
    path: str | os.PathLike[str],
    *,
    table: TableModel | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> TableSummary:
    """Write a table to an archive, from which it is restored exactly.

    Parameters
    ----------
    source : TableSource
        The table.
    path, force, threads, progress
        As for `narrows.compress`.
    table : TableModel, optional
        A model that was learned from another table; it is not stored in the archive. By default one is learned from
        this table and stored.
    """
    check_output(path, force=force)
    is_inside, order = table is None, () if table is None or table.order is None else table.order
    with recorded() as warned:
        size = group_rows(source)
        may_be_text = is_inside and (source.n_rows <= size or is_wide(source))
        plain = plain_table(source, _about(source)) if may_be_text else None
        if table is not None:
            model = table
        else:
            model = plain[0] if plain and is_only_text(source) else learn_table(source, size, progress)
            source.form = model.form
    layout = TableLayout(
        len(source.form.names), source.form.entry, source.n_bytes, None if is_inside else source.form.to_json(), order
    )
    target = Path(os.path.realpath(as_path(path)))
    with naming_output(os.fspath(path)), replacing(target, force=force) as file, Pool(threads) as pool:
        write = partial(_write, source, layout, size, pool=pool, progress=progress)
        if is_inside and (plain or source.n_rows <= size):
            made, model = _write_smallest(file, write, model, plain)
        else:
            made = write(file, model, is_inside=is_inside)
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned)}
    return TableSummary(
        path=os.fspath(path),
        rows=made.n_rows,
        columns=len(source.form.names),
        n_bytes=made.n_bytes,
        raw_bytes=source.n_bytes,
        model_bytes=len(model.blob),
        model_embedded=is_inside,
        dictionary_bytes=len(model.dictionaries),
        groups=made.n_groups,
        group_rows=max(size, made.n_rows) if made.n_groups == 1 else size,
        exceptions=made.n_exceptions,
        kinds={name: rule.kind for name, rule in zip(source.form.names, source.form.rules, strict=True)},
        warnings=tuple(warnings.values()),
    )


@dataclass(frozen=True)
class _Made:
    """What was written."""

    n_bytes: int
    n_rows: int
    n_groups: int
    n_exceptions: int


def _write(
    source: TableSource,
    layout: TableLayout,
    size: int,
    file: BinaryIO,
    model: TableModel,
    *,
    pool: Pool,
    progress: Progress | None,
    is_inside: bool = True,
    options: dict[str, Any] | None = None,
) -> _Made:
    """Write an archive; ``options`` are those of a table as a text."""
    size = size if options is None else source.n_rows
    header = pack_header(header_entries(_metadata(source, layout, model, size, options)))
    n_rows = n_groups = n_exceptions = 0
    file.write(header)
    blocks = BlockWriter(file, b"" if is_inside and source.n_rows <= size else header, len(header))
    if is_inside:
        blocks.model(model.blob)
    memory = size * len(source.form.names) * _WORK_BYTES
    for one in pool.map(partial(_encoded, model), source.groups(size), memory):
        blocks.records(one.payload, n_rows, one.n_rows, Coding.RESIDUAL)
        n_rows, n_groups, n_exceptions = n_rows + one.n_rows, n_groups + 1, n_exceptions + one.n_exceptions
        if progress is not None:
            progress("compressing", n_rows, source.n_rows, "rows")
    blocks.finish(n_rows)
    return _Made(blocks.offset, n_rows, n_groups, n_exceptions)


def _write_smallest(
    file: BinaryIO, write: Callable[..., _Made], model: TableModel, plain: tuple[PlainTable, dict[str, Any]] | None
) -> tuple[_Made, TableModel]:
    """Write an archive by columns or as a text, whichever is smaller; return its model, too."""
    ways: list[tuple[TableModel, dict[str, Any] | None]] = [(model, None), *([] if plain is None else [plain])]
    ways = ways[1:] if isinstance(model, PlainTable) else ways
    found = []
    for one, options in ways:
        made = write(buffer := io.BytesIO(), one, options=options)
        data = pack(buffer.getvalue()) or buffer.getvalue()
        found.append((data, replace(made, n_bytes=len(data)), one))
    data, made, model = min(found, key=lambda one: len(one[0]))
    file.write(data)
    return made, model


@dataclass(frozen=True)
class _Coded:
    """A group that is ready to be written."""

    payload: bytes
    n_rows: int
    n_exceptions: int


def _encoded(table: TableModel, group: Group) -> _Coded:
    return _Coded(pack_rows(table, group), len(group), group.n_exceptions)


def _metadata(
    source: TableSource, layout: TableLayout, table: TableModel, size: int, options: dict[str, Any] | None
) -> Metadata:
    from narrows import __version__

    plain = {PLAIN_ROWS: options} | table.metadata if isinstance(table, PlainTable) else {}

    return Metadata.from_json(
        {
            **plain,
            "table": layout.to_json(),
            "model": table.digest,
            "chunk_records": MAX_CHUNK_RECORDS if plain else size,
            "container": {"kind": source.kind},
            "narrows": __version__,
        }
    )


# --------------------------------------------------------------------------------------------------------- learning


def learn_table(source: TableSource, size: int, progress: Progress | None = None) -> TableModel:
    """Return the model of a table: rules with their steps, and a coder that has learned from the rows.

    Of a table with many cells, the coder learns from groups of rows that are spread over it.
    """
    kept, ranges = _sample(source, size)
    rules = [
        _fitted(name, rule, found, source.bounds.get(name), source.scale(number))
        for number, (name, rule, found) in enumerate(zip(source.form.names, source.form.rules, ranges, strict=True))
    ]
    columns = [
        _in_steps(_joined([group.columns[number].column for group in kept]), rule) for number, rule in enumerate(rules)
    ]
    for fact, found, rule in zip(source.facts, ranges, source.form.rules, strict=True):
        if found is not None and isinstance(rule, Stepped):
            low, high = rule.written(np.array([found.low, found.high])).texts()
            fact.low, fact.high = low.decode("ascii"), high.decode("ascii")
    if progress is not None:
        progress("learning", len(columns[0].values), len(columns[0].values), "rows")
    coder = ColumnsModel.of(columns, group=size, n_rows=source.n_rows)
    return TableModel(source.form.with_rules(rules), coder, source.facts, _about(source))


def _about(source: TableSource) -> dict[str, Any]:
    """Return what a table was, for people."""
    skipped = {"skipped": list(source.skipped)} if source.skipped else {}
    return {"name": os.path.basename(source.name), "rows": source.n_rows} | skipped


def _fitted(name: str, rule: Rule, found: _Range | None, bound: str | None, scale: tuple[float, int]) -> Rule:
    """Return the rule of a column with the steps of its numbers, or of their bound."""
    if bound is not None:
        low, high = (0, 0) if found is None else (found.low, found.high)
        units = bound_in_units(name, rule, bound, (low, high), scale)
        return rule.within(units, low) if units and isinstance(rule, Stepped) else rule
    return rule.fitted(found.values()) if isinstance(rule, Stepped) and found is not None else rule


class _Range:
    """The smallest and the largest of whole numbers, and the divisor of their distances."""

    def __init__(self, first: int) -> None:
        self.first = self.low = self.high = first
        self.step = 0

    def add(self, values: np.ndarray) -> None:
        """Take further numbers."""
        low, high = int(values.min()), int(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.step != 1 and self.high - self.low < 1 << 62:
            self.step = int(np.gcd(np.gcd.reduce(values - self.first), self.step))
        else:
            self.step = 1

    def values(self) -> np.ndarray:
        """Return numbers with the same range and the same divisor."""
        return np.array([self.low, self.high, self.low + (self.step or 0), self.first], np.int64)


def _sample(source: TableSource, size: int) -> tuple[list[Group], list[_Range | None]]:
    """Return groups that a coder learns from, and the ranges of the columns of numbers."""
    ranges: list[_Range | None] = [None] * len(source.form.rules)
    kept: list[Group] = []
    is_kept = _spread(source, size)
    for number, group in enumerate(source.groups(size)):
        for place, one in enumerate(group.columns):
            column = one.column
            if isinstance(column, Numbers):
                present = column.values if column.missing is None else column.values[~column.missing]
                if len(present):
                    found = ranges[place] = ranges[place] or _Range(int(present[0]))
                    found.add(present)
        if is_kept(number):
            kept.append(group)
    return kept, ranges


def _spread(source: TableSource, size: int) -> Callable[[int], bool]:
    """Return whether the coder learns from the group of a number: runs of groups, spread over all."""
    n_groups = -(-source.n_rows // size)
    most = max(1, _MOST_CELLS // (size * len(source.form.names)))
    if n_groups <= most:
        return lambda number: True
    run = min(_MOST_BLOCK, most)
    starts = np.linspace(0, n_groups - run, most // run).astype(int)
    chosen = {start + i for start in starts.tolist() for i in range(run)}
    return chosen.__contains__


def _joined(columns: Sequence[Column]) -> Column:
    """Return columns of some rows one after the other."""
    first = columns[0]
    missing = None
    if any(one.missing is not None for one in columns):
        missing = np.concatenate(
            [np.zeros(len(one.values), bool) if one.missing is None else one.missing for one in columns]
        )
    if isinstance(first, Texts):
        return Texts([text for one in columns for text in one.values], missing)
    values = np.concatenate([np.asarray(one.values) for one in columns])
    return Ids(values, missing, first.n_known) if isinstance(first, Ids) else Numbers(values, missing)


def _in_steps(column: Column, rule: Any) -> Column:
    """Return whole numbers as those that are coded."""
    if not isinstance(rule, Stepped) or not isinstance(column, Numbers):
        return column
    return replace(column, values=rule.coded(column.values))
