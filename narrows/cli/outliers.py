"""``narrows outliers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, print_json, print_written
from narrows.cli.inputs import load_model
from narrows.cli.options import output_option, write_options
from narrows.cli.outputs import READS, READS_PIPE, Verb
from narrows.cli.progress import show_progress
from narrows.cli.text import refuse_text

if TYPE_CHECKING:
    from narrows.data.series import WholeSeries
    from narrows.uses.score_tables import OutlierRange
    from narrows.uses.series_scores import SeriesScores

__all__ = ["outliers"]

_SHOWN = 5

EPILOG = """
The table has one row for each step: index or the time column, score (high is odd; 0 is usual), is_outlier (1 above a
score of 5) and, with several channels, top_channel, the one that contributes most. Missing values have no score.

\b
  narrows outliers machine.csv -o scores.csv
  narrows outliers today.csv --train last-month.csv -o scores.csv
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.argument("data", type=READS_PIPE, metavar="SERIES")
@output_option("SCORES.csv", "Output: a path that ends in .csv, or - for standard output.", pipe=True)
@click.option(
    "-m",
    "--model",
    type=READS,
    metavar="MODEL",
    help="A model of windows of such series (train --window); by default linear autoencoders are fitted.",
)
@click.option(
    "--train",
    type=READS,
    metavar="SERIES",
    help="A series without outliers to compare with; by default SERIES is compared with itself.",
)
@click.option(
    "--window",
    type=click.IntRange(4),
    metavar="N",
    help="Steps of the windows that are compared. Shorter ones tell apart outliers close to each other, longer ones "
    "find what is odd only in its surroundings.  [default: 256, at most an eighth of the series]",
)
@click.option("--time", metavar="COLUMN", help="Column of times in a .csv file; by default the first column of dates.")
@click.option("--values", metavar="COLUMNS", help="Columns of values in a .csv file; by default all others.")
@click.option("--group", metavar="COLUMN", help="Column in a .csv file that names the series of each row.")
@write_options
def outliers(
    *,
    data: str,
    output: str,
    model: str | None,
    train: str | None,
    window: int | None,
    time: str | None,
    values: str | None,
    group: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score each step of SERIES by how odd it is, and write a table.

    SERIES is a .csv file, a .wav file, or a .npy file of shape (steps,) or (steps, channels).
    """
    from narrows.uses.score_tables import check_table_output, columns_of_scores, outlier_ranges, write_scores
    from narrows.uses.series_scores import score_series

    check_table_output(output, force=force)
    reading = {"time": time, "values": values, "group": group}
    loaded = None if model is None else load_model(model)
    if loaded is not None:
        refuse_text(loaded, "outliers", "The texts that a model restores worst: narrows evaluate --per-record.")
    series = _open(data, reading, quiet=quiet)
    trained = None if train is None else _open(train, reading, quiet=quiet)
    scores = score_series(series, loaded, train=trained, window=window)
    write_scores(output, scores, force=force)
    found = outlier_ranges(scores)
    if as_json:
        print_json(
            {
                "path": output,
                "columns": list(columns_of_scores(scores)),
                "steps": series.n_steps,
                "scored": int((scores.score == scores.score).sum()),
                "outliers": int(scores.is_outlier.sum()),
                "threshold": scores.threshold,
                "windows": list(scores.windows),
                "ranges": [_range(scores, one) for one in found],
            }
        )
        return
    lengths = " and ".join(map(str, scores.windows))
    print_written(
        f"{output}  {count(series.n_steps, 'step')}, {count(int(scores.is_outlier.sum()), 'outlier')} in "
        f"{count(len(found), 'range')}, by windows of {lengths} steps",
        *_table(scores, found[:_SHOWN]),
    )


def _open(path: str, reading: dict[str, Any], *, quiet: bool) -> WholeSeries:
    """Return the series in a file."""
    import narrows.data
    from narrows.errors import DataError

    with show_progress(quiet=quiet) as progress:
        source = narrows.data.open(path, window="auto", progress=progress, **reading)
    if source.windows is None:
        raise DataError(f"{source.name} holds no series. Give a .csv, .wav or .npy file.")
    return source.windows.series


def _range(scores: SeriesScores, one: OutlierRange) -> dict[str, Any]:
    """Return a range as JSON: its steps as they are written in the table."""
    first, last, highest = _names(scores, one.first, one.last, one.highest)
    found = {"first": first, "last": last, "highest": highest, "score": one.score}
    if scores.top_channel is not None:
        found["top_channel"] = _channel(scores, one.highest)
    return found


def _table(scores: SeriesScores, found: list[OutlierRange]) -> list[str]:
    """Return a table of ranges."""
    if not found:
        return []
    has_channels = scores.top_channel is not None
    rows = [("", "highest score", "from", "to", "at", *(["top channel"] if has_channels else []))]
    for one in found:
        steps = map(str, _names(scores, one.first, one.last, one.highest))
        more = [_channel(scores, one.highest)] if has_channels else []
        rows.append(("", f"{one.score:.1f}", *steps, *more))
    return ["", *aligned(rows, right=[1])]


def _names(scores: SeriesScores, *steps: int) -> list[Any]:
    """Return steps as they are written in the table: times, or indices within their series."""
    series = scores.series
    if series.times is not None:
        return list(series.times.take(list(steps)).texts())
    starts = series.starts
    return [step - max(start for start in starts if start <= step) for step in steps]


def _channel(scores: SeriesScores, step: int) -> str:
    """Return the name of the top channel at a step."""
    assert scores.top_channel is not None
    channel = int(scores.top_channel[step])
    return str(channel) if scores.series.channels is None else scores.series.channels[channel]
