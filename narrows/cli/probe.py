"""``narrows probe``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, print_json, print_lines, print_written
from narrows.cli.file_names import PICTURE_ENDINGS
from narrows.cli.inputs import check_file_output, load_model
from narrows.cli.labels import label_options, open_labelled
from narrows.cli.options import data_argument, data_options, device_option, model_option, write_options
from narrows.cli.outputs import READS, WRITES, Verb

if TYPE_CHECKING:
    from narrows.uses.probing import Probe, ProbeRow

__all__ = ["probe"]

EPILOG = """
The linear probe is a logistic regression, the other one takes the most frequent label of the 10 nearest records. Both
learn from the codes, from the values of the records (pixels), and from as many principal components as a code has
numbers. Printed is the mean accuracy over the draws of the labels, with its standard deviation.

\b
  narrows probe mnist --test mnist:test -m digits.safetensors -o probe.png
  narrows probe scans.npy --labels scans.txt --test more.npy --test-labels more.txt -m scans.safetensors
  narrows probe flowers.csv --label-column species -m flowers.safetensors
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@model_option
@click.option("-o", "--output", type=WRITES, metavar="OUT", help="Draw the accuracies: a .png, .svg or .pdf file.")
@label_options
@click.option(
    "--test",
    type=READS,
    metavar="DATA",
    help="Labelled records to measure on.  [default: a quarter of DATA, at most 5,000]",
)
@click.option("--test-labels", type=READS, metavar="FILE", help="Labels of the records of --test, as for --labels.")
@click.option("--draws", type=click.IntRange(1), default=5, show_default=True, help="How often labels are drawn.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws.")
@data_options
@device_option
@write_options
def probe(
    *,
    data: str,
    model: str,
    output: str | None,
    labels: str | None,
    label_column: str | None,
    test: str | None,
    test_labels: str | None,
    draws: int,
    seed: int,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how well simple classifiers tell the labels of DATA from codes, from few labels to all of them."""
    if output is not None:
        if Path(output).suffix.lower() not in PICTURE_ENDINGS:
            raise click.UsageError(f"The picture must end in {', '.join(PICTURE_ENDINGS)}. Got '{output}'.")
        check_file_output(output, force=force)
    if test_labels is not None and test is None:
        raise click.UsageError("--test-labels needs --test. Give the records with these labels.")
    from narrows.uses.probing import probe_codes

    loaded = load_model(model, device)
    source, y = open_labelled(data, labels, label_column, model=loaded, limit=limit, quiet=quiet, **reading)
    tested = None
    if test is not None:
        tested = open_labelled(test, test_labels, label_column, model=loaded, quiet=quiet, **reading)
    found = probe_codes(loaded, source, y, test=tested, n_draws=draws, random_state=seed)
    if output is not None:
        from narrows import pictures
        from narrows.evaluation.probe_drawing import draw_probe

        pictures.save(draw_probe(found), output, force=force)
    if as_json:
        print_json(_as_json(found, source.name, model, output))
        return
    print_lines(*_table(found))
    if output is not None:
        print_written("", output)


def _as_json(found: Probe, data: str, model: str, output: str | None) -> dict[str, Any]:
    return {
        "data": data,
        "model": model,
        "path": output,
        "records": found.n_train,
        "test_records": found.n_test,
        "classes": len(found.classes),
        "n_numbers": found.n_numbers,
        "probes": [
            {
                "probe": row.probe,
                "features": row.features,
                "labels_per_class": row.labels_per_class,
                "accuracy": row.mean,
                "spread": row.spread,
                "accuracies": list(row.accuracies),
            }
            for row in found.rows
        ],
    }


def _table(found: Probe) -> list[str]:
    """Return a row for each probe and its features, and a column for each number of labels."""
    columns = list(dict.fromkeys(row.labels_per_class for row in found.rows))
    kinds = list(dict.fromkeys((row.probe, row.features) for row in found.rows))
    cells = {(row.probe, row.features, row.labels_per_class): _shown(row) for row in found.rows}
    rows = [("accuracy, %", "", *("all labels" if n is None else f"{n} a class" for n in columns))]
    rows += [(*kind, *(cells[*kind, n] for n in columns)) for kind in kinds]
    about = (
        f"{len(found.classes):,} classes, labels of {count(found.n_train, 'record')}, measured on "
        f"{count(found.n_test, 'record')}. A code has {count(found.n_numbers, 'number')}, as PCA has components."
    )
    return [*aligned(rows, right=range(2, 2 + len(columns))), "", about]


def _shown(row: ProbeRow) -> str:
    return f"{100 * row.mean:.1f}" + ("" if row.spread is None else f" ± {100 * row.spread:.1f}")
