"""``narrows evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import data_argument, data_options, device_option, model_option, write_options
from narrows.cli.outputs import WRITES, Verb
from narrows.io.text import shown_name

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["evaluate", "metric_lines"]

_BESIDES = "Besides the code, the decoder gets the pooling switches of each record, which PCA does not need."


@click.command(cls=Verb)
@data_argument
@model_option
@data_options
@device_option
@click.option(
    "--importance-samples",
    type=click.IntRange(1),
    metavar="K",
    help="For variational models: bound −log p(x) with K draws of each record's code.",
)
@click.option(
    "--per-record",
    type=WRITES,
    metavar="OUT",
    help="Also write the errors of each record to this file, which ends in .csv or .npy.",
)
@write_options
def evaluate(
    *,
    data: str,
    model: str,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    importance_samples: int | None,
    per_record: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how well MODEL restores DATA, compared with PCA with a code of the same size.

    Pixels of 8 bits count as numbers in [0, 1], other data in their own units. PCA is fitted to the data that the
    model was trained on.
    """
    _check_output(per_record, force=force)
    import narrows

    loaded = load_model(model, device)
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    metrics = narrows.evaluate(
        loaded, source, importance_samples=importance_samples or 0, per_record=per_record is not None
    )
    written: dict[str, Any] = {}
    if per_record is not None:
        from narrows.evaluation.per_record import write_per_record

        columns = metrics.pop("per_record")
        write_per_record(per_record, columns, force=force)
        written = {"per_record": {"path": per_record, "columns": list(columns)}}
    if as_json:
        print_json({**metrics, "data": source.name, "model": model, "n_latent": loaded.n_latent_, **written})
        return
    shape = loaded.shape_ if loaded.record_ == "columns" else source.shape
    size = f"{shape_text(shape)} values" if source.text is None else f"up to {count(source.shape[0], 'byte')}"
    print_lines(
        f"{source.name}: {count(len(source), 'record')} of {size}, "
        f"each encoded as {count(loaded.chain_.bottleneck.n_symbols, 'number')} and decoded",
        "",
        *metric_lines(metrics, loaded),
        *([] if per_record is None else ["", f"{per_record}: the errors of each record"]),
    )


def _column_lines(columns: list[dict[str, Any]]) -> list[str]:
    """Return a table of the metrics of columns."""
    head = ("column", "kind", "restored", "by PCA", "from others", "bits", "own bits", "bits from others")
    rows: list[tuple[str, ...]] = [head]
    for one in columns:
        name = "right" if "right" in one else "mean_error"
        shown = [one[f"{before}{name}{after}"] for before, after in (("", ""), ("pca_", ""), ("", "_from_others"))]
        texts = ["-" if x is None else f"{x:.1%}" if name == "right" else f"±{number(x)}" for x in shown]
        bits = ["-" if x is None else f"{x:.2f}" for x in (one["bits"], one["own_bits"], one["bits_from_others"])]
        rows.append((shown_name(one["name"]), one["kind"], *texts, *bits))
    return aligned(rows, right=range(2, 8))


def _check_output(per_record: str | None, *, force: bool) -> None:
    """Refuse a file that cannot be written, before the model is loaded."""
    if per_record is None:
        if force:
            raise click.UsageError("--force has no effect without --per-record. Leave it out.")
        return
    from narrows.evaluation.per_record import check_ending

    check_ending(per_record)
    check_file_output(per_record, force=force)


def metric_lines(metrics: Mapping[str, Any], model: Autoencoder) -> list[str]:
    """Return a table of the metrics, the comparison with PCA, and a note if that is not a fair one."""
    from narrows.evaluation.metric_table import METRICS, Metric, compared_with_pca, decided_by_few

    rows = []
    for name, value in metrics.items():
        if name == "columns":
            continue
        unit, meaning, _ = METRICS.get(name, Metric("", "", ""))
        if value is None:
            why = "the model has none" if name.startswith("pca_") else "not defined for these data"
            unit, meaning = "", f"{meaning}: {why}"
        rows.append((name, number(value), unit, meaning))
    if model.record_ == "text":
        return aligned(rows, right=[1])
    if model.record_ == "columns":
        return [*aligned(rows, right=[1]), "", *_column_lines(metrics["columns"])]
    lines = [*aligned(rows, right=[1]), "", compared_with_pca(metrics, model)]
    few = decided_by_few(metrics)
    lines += [] if few is None else [f"{few} --per-record lists the errors of all records."]
    return [*lines, _BESIDES] if model.chain_.decoder.needs_switches else lines
