"""``narrows outliers`` on records: images, rows of tables, texts, windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.inputs import check_file_output
from narrows.cli.processes import refuse_processes
from narrows.io.text import printable

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.outliers.detector import AutoencoderOutlier
    from narrows.uses.record_outliers import RecordOutliers

__all__ = ["Asked", "score_records_of"]

_WORST = 5
_WIDEST = 60


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes
    ----------
    output : str
        The table.
    contamination : float, optional
        The share of outliers.
    explain : bool
        Whether the table has a column for each value.
    picture, save : str, optional
        Paths of the picture and of the detector.
    fill_value : float, optional
        The value that stands for missing ones.
    record : str, optional
        What a record is.
    seed : int
        Of the training.
    """

    output: str
    contamination: float | None
    explain: bool
    picture: str | None
    save: str | None
    fill_value: float | None
    record: str | None
    seed: int
    force: bool
    as_json: bool
    quiet: bool


def score_records_of(source: Source, model: Any, train: Source | None, asked: Asked) -> None:
    """Score records, write the table, the picture and the detector that were asked for, and print the oddest.

    The model is a detector, an autoencoder, or None; a detector is fitted if it is none.
    """
    from narrows.uses.record_outliers import find_outliers, write_record_scores

    for path in (asked.picture, asked.save):
        if path is not None:
            check_file_output(path, force=asked.force)
    if asked.picture is not None and source.record == "text":
        raise click.UsageError("--picture has no meaning for text. The table has the texts' scores.")
    if model is not None and model.kind == "outliers":
        detector = model
    else:
        detector = _fitted(source if train is None else train, model, asked)
    found = find_outliers(detector, source)
    write_record_scores(asked.output, found, explain=asked.explain, force=asked.force)
    if asked.save is not None:
        detector.save(asked.save, force=asked.force)
    if asked.picture is not None:
        from narrows import pictures
        from narrows.evaluation.outlier_drawing import draw_outliers

        pictures.save(draw_outliers(detector, source, found=found), asked.picture, force=asked.force)
    worst = _worst(detector, source, found)
    if asked.as_json:
        print_json(_as_json(detector, found, worst, asked))
        return
    n_outliers = int(found.is_outlier.sum())
    also = [f"{path}  {what}" for path, what in ((asked.save, "the detector"), (asked.picture, "the picture")) if path]
    print_written(
        f"{asked.output}  {count(len(source), 'record')}, {count(n_outliers, 'outlier')}: scores above "
        f"{number(found.threshold)}, {detector.threshold_reason_}",
        *also,
        *_table(worst, detector.record_),
    )


def _fitted(source: Source, autoencoder: Any, asked: Asked) -> AutoencoderOutlier:
    import narrows
    from narrows.cli.callbacks import callback

    refuse_processes("A detector")
    contamination = "auto" if asked.contamination is None else asked.contamination
    detector = narrows.AutoencoderOutlier(
        contamination=contamination,
        record=asked.record or "auto",
        fill_value=asked.fill_value,
        random_state=asked.seed,
    )
    return detector.fit(source, callback=callback(quiet=asked.quiet), trained=autoencoder)


def _worst(detector: AutoencoderOutlier, source: Source, found: RecordOutliers) -> list[dict[str, Any]]:
    """Return the oddest records: index, score, and the values that make them odd, with those that were expected."""
    import numpy as np

    from narrows.data.text.pieces import texts_of
    from narrows.uses.outlier_words import shown_value

    indices = found.worst(_WORST)
    some = source.take(indices)
    values = some.values.reshape(len(some), -1)
    worst: list[dict[str, Any]] = []
    expected = np.asarray(detector.expected(some), np.float64).reshape(len(some), -1)
    fields = detector.fields_ or [None] * len(found.names)

    for row, index in enumerate(indices.tolist()):
        one: dict[str, Any] = {"index": index, "score": float(found.score[index])}
        one["is_outlier"] = bool(found.is_outlier[index])
        if source.text is not None:
            one["text"] = texts_of(some.values[row : row + 1])[0]
        one["top"] = [
            {
                "column": found.names[i],
                "part": float(found.parts[index, i]),
                "value": shown_value(fields[i], float(values[row, i])),
                "expected": shown_value(fields[i], float(expected[row, i])),
            }
            for i in found.top(index)
        ]
        worst.append(one)
    return worst


def _as_json(
    detector: AutoencoderOutlier, found: RecordOutliers, worst: list[dict[str, Any]], asked: Asked
) -> dict[str, Any]:
    columns = ["index", "score", "is_outlier", "top_columns"]
    return {
        "path": asked.output,
        "columns": columns + [f"part of {name}" for name in found.names] * asked.explain,
        "records": len(found.score),
        "outliers": int(found.is_outlier.sum()),
        "threshold": found.threshold,
        "threshold_reason": detector.threshold_reason_,
        "picture": asked.picture,
        "detector": asked.save,
        "worst": worst,
    }


def _table(worst: list[dict[str, Any]], kind: str) -> list[str]:
    """Return a table of the oddest records."""
    header = ("", "index", "score", "text" if kind == "text" else "because of")
    rows = [header]
    for one in worst:
        if "text" in one:
            why = printable(one["text"], lines=False)[:_WIDEST]
        else:
            why = ", ".join(_why(top) for top in one["top"])
        rows.append(("", str(one["index"]), f"{one['score']:.1f}", why))
    return ["", *aligned(rows, right=[1, 2])]


def _why(top: dict[str, Any]) -> str:
    """Return a value and what was expected."""
    from narrows.uses.outlier_words import note_of, value_text

    return f"{top['column']} = {value_text(top['value'])} ({note_of(top['value'], top['expected'])})"
