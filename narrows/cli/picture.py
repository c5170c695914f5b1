"""``narrows picture``."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from narrows.cli.arguments import arguments
from narrows.cli.console import print_json, print_written
from narrows.cli.file_names import PICTURE_ENDINGS
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import (
    FORMAT_OPTIONS,
    data_options,
    device_option,
    model_option,
    output_option,
    write_options,
)
from narrows.cli.outputs import READS, Verb
from narrows.cli.text import refuse_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["picture"]

KINDS = ("reconstructions", "denoising", "filters", "map", "curves", "report")
_WITHOUT_DATA = {"filters", "curves"}
_OF_TEXT = {"map", "curves"}
_ONLY_FOR = {
    "n": {"reconstructions", "denoising", "report"},
    "seed": {"denoising", "report"},
    "tile": {"filters"},
    "spacing": {"filters"},
    **{name: {"reconstructions", "denoising", "map", "report"} for name in ("limit", *FORMAT_OPTIONS)},
}
"""The kinds that an option is for; with another kind it has no effect and is refused."""

EPILOG = """
\b
Kinds:
  reconstructions  records and their reconstructions
  denoising        records, corrupted as in training, and restored
  filters          weights of the encoder's first layer (needs no DATA)
  map              codes in two dimensions next to PCA, coloured by label; of text, with the words
  curves           loss and learning rate over the epochs (needs no DATA)
  report           all of these and the numbers, one HTML page
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.argument("data", type=READS, metavar="[DATA]", required=False)
@model_option
@output_option("OUT", "Output: .png, .svg or .pdf, or .html for a report.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="What to draw.  [default: a report for .html, map for text, denoising for a denoising model, "
    "else reconstructions]",
)
@click.option("-n", type=click.IntRange(1), metavar="N", default=10, help="Records to draw.  [default: 10]")
@click.option("--tile", metavar="RxC", help="Rows and columns of filters.  [default: all, nearly square]")
@click.option("--spacing", type=int, metavar="N", default=1, help="Pixels between filters.  [default: 1]")
@click.option("--seed", type=int, metavar="N", default=0, help="Seed of the noise.  [default: 0]")
@data_options
@device_option
@write_options
@click.pass_context
def picture(
    ctx: click.Context,
    /,
    *,
    data: str | None,
    model: str,
    output: str,
    kind: str | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    **look: Any,
) -> None:
    """Draw records of DATA and the output of MODEL."""
    _check_ending(output, kind)
    look["tile"] = None if look["tile"] is None else _tile(look["tile"])
    if not 0 <= look["seed"] < 2**32:
        raise click.UsageError(f"--seed must be a whole number ≥ 0 and below 2^32. Got {look['seed']}.")
    if kind is None and Path(output).suffix.lower() == ".html":
        kind = "report"
    if kind is not None:
        _check_options(ctx, kind)
    check_file_output(output, force=force)
    loaded = load_model(model, device)
    if loaded.record_ == "text":
        kind = "map" if kind is None else kind
        if kind not in _OF_TEXT:
            refuse_text(loaded, f"A picture of kind '{kind}'", "Give --kind map, or use narrows reconstruct.")
    if kind is None:
        kind = "reconstructions" if loaded.chain_.corruption is None else "denoising"
        _check_options(ctx, kind)
    source = None
    if data is not None and kind not in _WITHOUT_DATA:
        source = loaded.records_of(open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading))
        from narrows.data.for_model import check_fits

        check_fits(source, loaded.shape_)
    if kind == "report":
        from narrows.evaluation.model_report import model_report
        from narrows.evaluation.report import write_report

        assert source is not None
        command = shlex.join(["narrows", *arguments(ctx)])
        page = model_report(loaded, source, path=model, command=command, n=look["n"], random_state=look["seed"])
        write_report(output, page, force=force)
    else:
        from narrows import pictures

        pictures.save(_draw(kind, loaded, source, look), output, force=force)
    if as_json:
        print_json({"path": output, "kind": kind, "model": model, "data": None if source is None else source.name})
    else:
        print_written(output)


def _draw(kind: str, model: Autoencoder, source: Any, look: dict[str, Any]) -> Figure:
    from narrows.evaluation import drawing

    if kind == "reconstructions":
        return drawing.draw_reconstructions(model, source, n=look["n"])
    if kind == "denoising":
        return drawing.draw_denoising(model, source, n=look["n"], random_state=look["seed"])
    if kind == "map":
        return drawing.draw_map(model, source)
    if kind == "filters":
        return drawing.draw_filters(model, tile=look["tile"], spacing=look["spacing"])
    return drawing.draw_curves(model)


def _check_ending(output: str, kind: str | None) -> None:
    """Refuse a file extension that does not fit the kind, before any work."""
    ending = Path(output).suffix.lower()
    if ending == ".html" and kind in {None, "report"}:
        return
    if kind == "report":
        raise click.UsageError(f"The output of a report must be a path that ends in .html. Got '{output}'.")
    if ending not in PICTURE_ENDINGS:
        raise click.UsageError(
            f"The output of a picture must be a path that ends in {', '.join(PICTURE_ENDINGS[:-1])} or "
            f"{PICTURE_ENDINGS[-1]}, or in .html for a report. Got '{output}'."
        )


def _check_options(ctx: click.Context, kind: str) -> None:
    """Refuse options without effect, and missing data."""
    if ctx.params["data"] is None and kind not in _WITHOUT_DATA:
        raise click.UsageError(f"Missing argument 'DATA': a picture of kind '{kind}' needs data.")
    for name, kinds in _ONLY_FOR.items():
        if kind not in kinds and ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            flag = f"-{name}" if len(name) == 1 else f"--{name}"
            raise click.UsageError(
                f"{flag} has an effect only on pictures of kind {', '.join(sorted(kinds))}. Got the kind '{kind}'. "
                "Leave it out."
            )


def _tile(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*[xX×]\s*([0-9]{1,6})\s*", text)
    if match is None:
        raise click.UsageError(f"--tile must have the form ROWSxCOLUMNS, for example 10x20. Got '{text}'.")
    return int(match[1]), int(match[2])
