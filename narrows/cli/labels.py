"""Labels of DATA for the verbs that need them: their own, those in a file, or a column of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from narrows.cli.inputs import open_data
from narrows.cli.outputs import READS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.base import RecordsEstimator

__all__ = ["label_options", "open_labelled"]

Command = TypeVar("Command", bound=Callable[..., Any])


def label_options(command: Command) -> Command:
    """Add the options ``labels`` and ``label_column``."""
    column = click.option("--label-column", metavar="NAME", help="The column of a table that holds the labels.")
    file = click.option(
        "--labels",
        type=READS,
        metavar="FILE",
        help="Labels in a .npy or IDX file, or on the lines of a text, empty where one is missing.  [default: those "
        "that come with DATA]",
    )
    return file(column(command))


def open_labelled(
    data: str,
    labels: str | None,
    label_column: str | None,
    *,
    model: RecordsEstimator | None = None,
    limit: int | None = None,
    quiet: bool = False,
    **reading: Any,
) -> tuple[Source, NDArray[Any] | None]:
    """Return the records of DATA and their labels, None where one is missing; no labels if there are none.

    Raises
    ------
    click.UsageError
        If both options are given.
    DataError
        If a file has another number of labels than there are records, or the data have no such column.
    """
    if labels is not None and label_column is not None:
        raise click.UsageError("--labels and --label-column both give the labels. Give one of them.")
    from narrows.data.label_files import read_label_file
    from narrows.data.tables.label_column import without_label_column
    from narrows.errors import DataError

    shape = None if model is None or label_column is not None else model.shape_
    source = open_data(data, shape=shape, limit=limit, quiet=quiet, **reading)
    if label_column is not None:
        return without_label_column(source, label_column)
    if labels is None:
        return source, source.named_labels
    found = read_label_file(labels, may_miss=True)
    if limit is not None:
        found = found[: len(source)]
    if len(found) != len(source):
        raise DataError(
            f"Each record needs one label. {labels} has {len(found):,} labels, and {source.name} {len(source):,} "
            "records. A line of a text is left empty where a label is missing."
        )
    return source, found
