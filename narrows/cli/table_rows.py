"""Rows of a table as files, for verbs that restore or generate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["has_rows", "parse_given", "restored_rows", "rows_line", "texts_in", "write_rows"]

_ARROW = {".parquet", ".pq", ".feather", ".arrow", ".ipc"}


def has_rows(model: Autoencoder, output: str) -> bool:
    """Return whether a model's records are written as rows of a table; not to a .npy file, which gets numbers."""
    return model.record_ == "columns" and Path(output).suffix.lower() != ".npy"


def texts_in(model: Autoencoder, source: Source) -> dict[str, Sequence[str | None]]:
    """Return the columns of texts of a table, which a model does not restore."""
    from narrows.records import Columns

    table, schema = source.table, model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    if table is None:
        return {}
    found = {one.name: table.column(one.name).words for one in schema.texts if one.name in table.names}
    return {name: words for name, words in found.items() if words is not None}


def restored_rows(model: Autoencoder, values: NDArray[Any]) -> NDArray[Any]:
    """Return restored rows (n, n_columns) with the nearest values that the columns may have."""
    from narrows.data.tables.restored import values_in_place
    from narrows.records import Columns

    schema = model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    return values_in_place(schema.fields, values)


def write_rows(
    output: str,
    model: Autoencoder,
    values: NDArray[Any],
    texts: Mapping[str, Sequence[str | None]],
    *,
    force: bool,
) -> None:
    """Write rows (n, n_columns) to a CSV file, a Parquet or Feather file, or as CSV to standard output (``-``).

    Raises
    ------
    click.UsageError
        If the output is something else.
    """
    from narrows.data.tables.restored import csv_of, frame_of, in_order, words_of
    from narrows.io.files import write_atomically
    from narrows.io.pipes import is_pipe, to_standard_output
    from narrows.records import Columns

    schema = model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    ending = Path(output).suffix.lower()
    if ending in _ARROW:
        _write_arrow(output, frame_of(schema.fields, values, texts, None), force=force)
        return
    if not is_pipe(output) and ending != ".csv":
        raise click.UsageError(
            f"Rows of a table are written to .csv, .parquet, .feather or .npy files. Got '{output}'."
        )
    columns: dict[str, Any] = {one.name: words_of(one, values[:, f]) for f, one in enumerate(schema.fields)}
    pieces = csv_of(in_order(schema.fields, texts, {**columns, **texts}), {**columns, **texts})
    if is_pipe(output):
        with to_standard_output() as file:
            file.writelines(pieces)
        return
    write_atomically(output, lambda file: file.writelines(pieces), force=force)


def _write_arrow(output: str, frame: Any, *, force: bool) -> None:
    from narrows.data.tables.arrow_files import arrow_of_frame
    from narrows.io.files import write_atomically

    table = arrow_of_frame(frame)

    def write(file: Any) -> None:
        if Path(output).suffix.lower() in {".parquet", ".pq"}:
            from pyarrow import parquet

            parquet.write_table(table, file)
            return
        from pyarrow import feather

        feather.write_feather(table, file)

    write_atomically(output, write, force=force)


def rows_line(output: str, values: NDArray[Any], n_texts: int) -> str:
    """Return a line with path and number of what was written."""
    return f"{output}  {count(len(values), 'row')} of {count(values.shape[1] + n_texts, 'column')}"


def parse_given(given: Sequence[str]) -> dict[str, str]:
    """Return columns and their values, from texts such as ``country=Peru``.

    Raises
    ------
    click.UsageError
        If a text has another form.
    """
    found = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise click.UsageError(
                f"--given must have the form COLUMN=VALUE, for example --given country=Peru. Got '{one}'."
            )
        found[name] = value
    return found
