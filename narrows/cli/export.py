"""``narrows export``."""

from __future__ import annotations

import os

import click

from narrows.cli.console import number, print_json, print_written
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.inputs import check_file_output, load_model
from narrows.cli.options import output_option, write_options
from narrows.cli.outputs import READS, Verb
from narrows.io.remote import size_of
from narrows.model.onnx_parts import PARTS

__all__ = ["export"]


@click.command(cls=Verb)
@click.argument("model", type=READS, metavar="MODEL")
@output_option("OUT.onnx", "Output: the ONNX file.")
@click.option(
    "--part",
    type=click.Choice(list(PARTS)),
    default="autoencoder",
    show_default=True,
    help="Which half of the model, or both in a row.",
)
@write_options
def export(*, model: str, output: str, part: str, force: bool, as_json: bool, quiet: bool) -> None:
    """Write MODEL as an ONNX file, which other programs and languages compute without narrows.

    Preprocessing is inside: the input `records` has the units and the dtype of the training data, for any number of
    records, and `restored` has the same units, as floats. `codes` are the numbers that `narrows encode` writes.

    Needs the package onnx: pip install 'narrows[onnx]'.
    """
    refuse_other_kinds(output, "an ONNX file", ".onnx")
    if output.endswith(os.sep):
        raise click.UsageError(f"The name of an ONNX file must end in .onnx. Got '{output}'.")
    check_file_output(output, force=force)
    loaded = load_model(model, "cpu")
    path = loaded.export_onnx(output, part=part, force=force)
    n_bytes = size_of(path)
    if as_json:
        print_json({"path": str(path), "n_bytes": n_bytes, "part": part, "model": model})
    else:
        print_written(f"{path}  {number(n_bytes)} bytes, {part}: {' → '.join(PARTS[part])}")
