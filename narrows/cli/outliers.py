"""``narrows outliers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, print_json, print_written
from narrows.cli.inputs import check_file_output, load_model
from narrows.cli.options import FORMAT_OPTIONS, output_option, write_options
from narrows.cli.outliers_of_records import Asked, score_records_of
from narrows.cli.outputs import READS, READS_PIPE, WRITES, Verb
from narrows.cli.progress import show_progress
from narrows.cli.text import refuse_text

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.uses.score_tables import OutlierRange
    from narrows.uses.series_scores import SeriesScores

__all__ = ["outliers"]

_SHOWN = 5

EPILOG = """
Of records, the table has one row each: index, score (high is odd), is_outlier (1 above the threshold), and top_columns,
the values that contribute most. Without -m a detector is fitted to DATA, which may contain outliers.

Of a series it has one row for each step: index or the time column, score (0 is usual), is_outlier (1 above a score of
5) and, with several channels, top_channel. Missing values have no score. A .csv file is a series if it has a column of
dates, a .npy file if it has one axis; with --window, also one of shape (steps, channels).

\b
  narrows outliers cars.npy -o scores.csv
  narrows outliers digits -o scores.csv --picture worst.png
  narrows outliers today.npy -m detector.safetensors -o scores.parquet
  narrows outliers machine.csv -o scores.csv
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.argument("data", type=READS_PIPE, metavar="DATA")
@output_option(
    "SCORES", "Output: a path that ends in .csv, .json or .parquet, or - for CSV on standard output.", pipe=True
)
@click.option(
    "-m",
    "--model",
    type=READS,
    metavar="MODEL",
    help="A detector (--save), or an autoencoder of such records or of a series' windows; by default one is fitted.",
)
@click.option(
    "--train",
    type=READS,
    metavar="DATA",
    help="Data to compare with; by default DATA is compared with itself. Those for a series must have no outliers.",
)
@click.option(
    "--contamination",
    type=float,
    metavar="SHARE",
    help="Share of outliers among the training records, at most 0.5; by default the scores decide.",
)
@click.option("--fill-value", type=float, metavar="V", help="A value of records that stands for missing ones, as nan.")
@click.option(
    "--as",
    "as",
    type=click.Choice(["image", "series", "vector"]),
    help="What a record of an array is; series are windows (steps,) or (steps, channels).  "
    "[default: image for two or three axes, else vector]",
)
@click.option("--explain", is_flag=True, help="Add a column for each value: its part of the score.")
@click.option(
    "--picture",
    type=WRITES,
    metavar="FILE",
    help="Draw the oddest records, or the series and its scores: a .png, .svg or .pdf file.",
)
@click.option("--save", type=WRITES, metavar="DETECTOR", help="Save the fitted detector: a .safetensors file.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the detector's training.")
@click.option(
    "--window",
    type=click.IntRange(4),
    metavar="N",
    help="Steps of the windows of a series that are compared. Shorter ones tell apart outliers close to each other, "
    "longer ones find what is odd only in its surroundings.  [default: 256, at most an eighth of the series]",
)
@click.option("--time", metavar="COLUMN", help="Column of times in a .csv file; by default the first column of dates.")
@click.option("--values", metavar="COLUMNS", help="Columns of values in a .csv file; by default all others.")
@click.option("--group", metavar="COLUMN", help="Column in a .csv file that names the series of each row.")
@click.option(
    "--columns",
    metavar=FORMAT_OPTIONS["columns"][0].metavar,
    help=f"{FORMAT_OPTIONS['columns'][1].capitalize()}.",
)
@write_options
def outliers(
    *,
    data: str,
    output: str,
    model: str | None,
    train: str | None,
    contamination: float | None,
    fill_value: float | None,
    explain: bool,
    picture: str | None,
    save: str | None,
    seed: int,
    window: int | None,
    time: str | None,
    values: str | None,
    group: str | None,
    columns: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **more: str | None,
) -> None:
    """Score each record of DATA, or each step of a series, by how odd it is, and write a table."""
    from narrows.uses.score_files import check_table_output

    check_table_output(output, force=force)
    loaded = None if model is None else _load(model)
    _check_contamination(contamination, loaded)
    reading = {"time": time, "values": values, "group": group}
    is_series = window is not None or any(reading.values()) or (loaded is not None and _is_of_windows(loaded))
    if columns is not None:
        reading["columns"] = columns
    source = _open(data, reading, is_series=is_series, quiet=quiet)
    trained = None if train is None else _open(train, reading, is_series=source.windows is not None, quiet=quiet)
    of_records: dict[str, Any] = {"contamination": contamination, "explain": explain, "picture": picture, "save": save}
    of_records["fill_value"] = fill_value
    is_detector = loaded is not None and loaded.kind == "outliers"
    if source.windows is None or is_detector or (loaded is not None and not _is_of_windows(loaded)):
        if save is not None and is_detector:
            raise click.UsageError("--save has no meaning with -m DETECTOR, which is saved already.")
        if is_detector and train is not None:
            raise click.UsageError("--train has no meaning with -m DETECTOR, which is fitted already.")
        for name, value in (("--fill-value", fill_value), ("--as", more["as"])):
            if loaded is not None and value is not None:
                raise click.UsageError(f"{name} has no meaning with -m, which has the one of its training.")
        asked = Asked(
            output=output, **of_records, record=more["as"], seed=seed, force=force, as_json=as_json, quiet=quiet
        )
        score_records_of(source, loaded, trained, asked)
        return
    del of_records["picture"]
    if given := [name for name, value in (of_records | more).items() if value is not None and value is not False]:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} is for records, and {source.name} is a series. Omit it."
        )
    _score_steps(source, loaded, trained, output, picture, window=window, force=force, as_json=as_json)


def _check_contamination(contamination: float | None, model: Any) -> None:
    if contamination is not None and not 0 < contamination <= 0.5:
        raise click.UsageError(f"--contamination must be a share above 0 and at most 0.5. Got {contamination:g}.")
    if contamination is not None and model is not None and model.kind == "outliers":
        raise click.UsageError(
            "--contamination has no meaning with -m DETECTOR, whose threshold was set when it was fitted."
        )


def _load(path: str) -> Any:
    """Return a detector, or an autoencoder of windows."""
    import narrows

    model = narrows.load(path)
    if model.kind == "outliers":
        return model
    autoencoder = load_model(path)
    refuse_text(autoencoder, "outliers", "The texts that a model restores worst: narrows evaluate --per-record.")
    return autoencoder


def _is_of_windows(model: Any) -> bool:
    """Return whether a model is an autoencoder of windows of a series."""
    return bool(model.kind == "autoencoder" and model.record_ == "series")


def _score_steps(
    source: Source,
    model: Any,
    train: Source | None,
    output: str,
    picture: str | None,
    *,
    window: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Score the steps of a series, write the table and the picture, and print the ranges of outliers."""
    from narrows.uses.score_tables import columns_of_scores, outlier_ranges, write_scores
    from narrows.uses.series_scores import score_series

    if picture is not None:
        check_file_output(picture, force=force)
    scores = score_series(source, model, train=train, window=window)
    write_scores(output, scores, force=force)
    if picture is not None:
        from narrows import pictures
        from narrows.evaluation.series_score_drawing import draw_series_scores

        pictures.save(draw_series_scores(scores), picture, force=force)
    found = outlier_ranges(scores)
    n_steps = scores.series.n_steps
    if as_json:
        print_json(
            {
                "path": output,
                "columns": list(columns_of_scores(scores)),
                "steps": n_steps,
                "scored": int((scores.score == scores.score).sum()),
                "outliers": int(scores.is_outlier.sum()),
                "threshold": scores.threshold,
                "windows": list(scores.windows),
                "picture": picture,
                "ranges": [_range(scores, one) for one in found],
            }
        )
        return
    lengths = " and ".join(map(str, scores.windows))
    print_written(
        f"{output}  {count(n_steps, 'step')}, {count(int(scores.is_outlier.sum()), 'outlier')} in "
        f"{count(len(found), 'range')}, by windows of {lengths} steps",
        *([f"{picture}  the picture"] if picture else []),
        *_table(scores, found[:_SHOWN]),
    )


def _open(path: str, reading: dict[str, Any], *, is_series: bool, quiet: bool) -> Source:
    """Return records, or a series with its windows."""
    import narrows.data
    from narrows.errors import DataError

    with show_progress(quiet=quiet) as progress:
        if not is_series:
            from narrows.uses.record_outliers import open_records

            return open_records(path, progress, columns=reading.get("columns"))
        source = narrows.data.open(path, window="auto", progress=progress, **reading)
    if source.windows is None:
        raise DataError(f"{source.name} holds no series. Give a .csv, .wav or .npy file.")
    return source


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
