"""``narrows map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, print_json, print_written
from narrows.cli.file_names import PICTURE_ENDINGS
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import data_argument, data_options, device_option, model_option, output_option, write_options
from narrows.cli.outputs import Verb

if TYPE_CHECKING:
    from narrows.uses.record_map import RecordMap

__all__ = ["map"]

EPILOG = """
A page, MAP.html, is one file that opens offline in a browser. It shows the record under the pointer, thumbnails instead
of dots when zoomed in, the nearest neighbours of a point that is clicked, and saves the indices of points in a lasso.

\b
Printed for each map, from 0 to 1:
  accuracy          share of the records whose label is that of most of their 10 neighbours on the map
  trustworthiness   how many of these neighbours are neighbours of the records themselves

\b
  narrows train mnist -o map.safetensors --recipe map
  narrows map mnist:test -m map.safetensors -o map.html
"""


@click.command("map", cls=Verb, epilog=EPILOG)
@data_argument
@model_option
@output_option("MAP", "Output: .html for a page, or .png, .svg or .pdf for a picture.")
@click.option(
    "--by",
    type=click.Choice(["pca", "umap", "tsne"]),
    help="How codes of more than two numbers are projected; umap and tsne need pip install 'narrows[maps]'.  "
    "[default: pca]",
)
@click.option(
    "--colour",
    metavar="COLUMN",
    help="The column that colours the points: label, one of a table, length (of texts), 'squared error' or index.  "
    "[default: label, if there is one]",
)
@click.option("--seed", type=int, metavar="N", help="Seed of umap and tsne.  [default: 0]")
@data_options
@device_option
@write_options
def map(  # noqa: A001
    *,
    data: str,
    model: str,
    output: str,
    by: str | None,
    colour: str | None,
    seed: int | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw the codes of DATA in two dimensions, beside PCA, and measure how well neighbours stay together."""
    _check_output(output)
    _check_seed(seed, by)
    check_file_output(output, force=force)
    from narrows.uses.record_map import map_records

    loaded = load_model(model, device)
    if by is not None and loaded.n_latent_ == 2:
        raise click.UsageError(f"--by has no effect, since the codes of {model} have two numbers. Leave it out.")
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    found = map_records(loaded, source, by=by or "pca", random_state=seed or 0)
    found.column(colour)
    _write(output, found, colour, force=force)
    views = [
        {"title": view.title, "accuracy": view.accuracy, "trustworthiness": view.trustworthiness}
        for view in found.views
    ]
    if as_json:
        print_json({"path": output, "data": source.name, "model": model, "n_records": len(found.codes), "maps": views})
        return
    print_written(f"{output}  {count(len(found.codes), 'record')}", "", *_table(found))


def _write(output: str, found: RecordMap, colour: str | None, *, force: bool) -> None:
    from narrows import pictures
    from narrows.evaluation.map_drawing import draw_record_map, record_map_page
    from narrows.evaluation.report import write_report

    if Path(output).suffix.lower() == ".html":
        write_report(output, record_map_page(found, colour=colour), force=force)
    else:
        pictures.save(draw_record_map(found, colour=colour), output, force=force)


def _table(found: RecordMap) -> list[str]:
    """Return a row for each map."""
    rows = [("", "accuracy", "trustworthiness")]
    rows += [(view.title, _shown(view.accuracy), _shown(view.trustworthiness)) for view in found.views]
    return aligned(rows, right=[1, 2])


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _check_output(output: str) -> None:
    """Refuse other file extensions before any work."""
    if Path(output).suffix.lower() not in (".html", *PICTURE_ENDINGS):
        raise click.UsageError(
            "The output of a map must be a path that ends in .html for a page, or in .png, .svg or .pdf for a picture. "
            f"Got '{output}'."
        )


def _check_seed(seed: int | None, by: str | None) -> None:
    if seed is None:
        return
    if by not in {"umap", "tsne"}:
        raise click.UsageError("--seed has an effect only with --by umap or --by tsne. Leave it out.")
    if not 0 <= seed < 2**32:
        raise click.UsageError(f"--seed must be a whole number ≥ 0 and below 2^32. Got {seed}.")
