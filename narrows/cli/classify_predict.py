"""``narrows classify predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from narrows.cli.console import aligned, count, print_json, print_written
from narrows.cli.file_names import PICTURE_ENDINGS
from narrows.cli.inputs import check_file_output
from narrows.cli.labels import label_options, open_labelled
from narrows.cli.options import data_argument, data_options, device_option, output_option, write_options
from narrows.cli.outputs import READS, WRITES, Verb

if TYPE_CHECKING:
    from narrows.estimators.classifier import AutoencoderClassifier
    from narrows.uses.classification import Predictions

__all__ = ["predict"]

EPILOG = """
The table has one row for each record: index, file (of images), label if it is known, predicted, and p(CLASS) for each
class. With labels, the share of errors is printed, and --picture shows which classes are taken for which.

\b
  narrows classify predict mnist:test -m digits.safetensors -o classes.csv --picture confusion.png
  narrows classify predict photos/ -m animals.safetensors -o - | sort -t, -k3
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@click.option(
    "-m", "--model", type=READS, required=True, metavar="MODEL", help="A classifier of `narrows classify train`."
)
@output_option(
    "OUT", "Output: a path that ends in .csv, .json or .parquet, or - for CSV on standard output.", pipe=True
)
@label_options
@click.option("--picture", type=WRITES, metavar="FILE", help="Draw the confusions: a .png, .svg or .pdf file.")
@data_options
@device_option
@write_options
def predict(
    *,
    data: str,
    model: str,
    output: str,
    labels: str | None,
    label_column: str | None,
    picture: str | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the most probable class of each record of DATA, and the probabilities of all classes."""
    from narrows.uses.score_files import check_table_output

    check_table_output(output, force=force)
    if picture is not None:
        if Path(picture).suffix.lower() not in PICTURE_ENDINGS:
            raise click.UsageError(f"The picture must end in {', '.join(PICTURE_ENDINGS)}. Got '{picture}'.")
        check_file_output(picture, force=force)
    from narrows.uses.classification import predict_classes

    loaded = _load(model, device)
    source, y = open_labelled(data, labels, label_column, model=loaded, limit=limit, quiet=quiet, **reading)
    found = predict_classes(loaded, source, y)
    if picture is not None:
        from narrows import pictures

        counts, title = found.confusion(), f"{source.name}: {100 * (found.error or 0):.2f} % errors"
        pictures.save(pictures.confusion(counts, found.classes.tolist(), title=title), picture, force=force)
    found.write(output, force=force)
    if as_json:
        print_json(_as_json(found, output, picture))
        return
    print_written(*_report(found, output))


def _load(path: str, device: str) -> AutoencoderClassifier:
    import narrows
    from narrows.errors import ModelFileError

    model = narrows.load(path, device=device)
    if model.kind != "classifier":
        raise ModelFileError(
            f"This command needs a classifier, which `narrows classify train` writes. {path} is the model of "
            f"{'bytes' if model.kind == 'bytes' else 'an ' + model.kind}."
        )
    return cast("AutoencoderClassifier", model)


def _counts(found: Predictions) -> list[tuple[Any, int]]:
    predicted = found.probabilities.argmax(axis=1)
    return [(one, int((predicted == i).sum())) for i, one in enumerate(found.classes.tolist())]


def _as_json(found: Predictions, output: str, picture: str | None) -> dict[str, Any]:
    return {
        "path": output,
        "columns": found.columns,
        "records": len(found.source),
        "labelled": len(found.known),
        "error": found.error,
        "classes": [str(one) for one in found.classes.tolist()],
        "predicted": [n for _, n in _counts(found)],
        "picture": picture,
    }


def _report(found: Predictions, output: str) -> list[str]:
    error, rows = found.error, [(str(one), f"{n:,}") for one, n in _counts(found)]
    lines = [f"{output}  {count(len(found.source), 'record')}"]
    if error is not None:
        wrong = round(error * len(found.known))
        lines.append(f"{100 * error:.2f} % errors: {wrong:,} of {count(len(found.known), 'record')} with a label")
    return [*lines, "", *aligned([("class", "records"), *rows], right=[1])]
