"""``narrows reconstruct``, ``encode`` and ``decode``: a trained model applied to data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import count, print_json, print_lines, print_written, shape_text
from narrows.cli.inputs import load_model, open_data
from narrows.cli.options import (
    data_argument,
    data_options,
    device_option,
    model_option,
    output_option,
    write_options,
)
from narrows.cli.outputs import READS_PIPE, WRITES_PIPE, Verb
from narrows.cli.table_rows import has_rows, restored_rows, rows_line, texts_in, write_rows
from narrows.cli.text import checked_texts, side_by_side

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["check_records_output", "decode", "encode", "reconstruct", "records_line", "write_records"]

_RECORDS = (
    "Output: a path that ends in .npy, a folder for images, or - for standard output (.npy). "
    "In a folder, --force replaces files of the same names and keeps other files. Tables: .csv, .parquet or .feather."
)


@click.command(cls=Verb)
@data_argument
@model_option
@click.option(
    "-o",
    "--output",
    type=WRITES_PIPE,
    metavar="OUT",
    help=f"{_RECORDS} Text: a path that ends in .txt, .log or .jsonl; without it, texts are printed side by side.",
)
@data_options
@device_option
@write_options
def reconstruct(
    *,
    data: str,
    model: str,
    output: str | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Encode and decode DATA with MODEL, and write the result in the units and dtype of the training data.

    Tables of whole numbers other than uint8 are written as floats, since rounding would lose information. In a folder,
    images get the names of the input files. Of text, each original line is printed beside the restored one, with the
    characters that differ marked below, unless there is an output.
    """
    keeps_names = output is not None and check_records_output(output, force=force)
    loaded = load_model(model, device)
    if output is None:
        _print_texts(loaded, data, limit, reading, as_json=as_json, quiet=quiet)
        return
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    restored = loaded.reconstruct(source, dtype=loaded.model_.written_dtype)
    files = source.files if keeps_names else None
    write_records(output, restored, files=files, force=force, as_json=as_json, of=source, model=loaded)


def _print_texts(
    model: Autoencoder, data: str, limit: int | None, reading: dict[str, Any], *, as_json: bool, quiet: bool
) -> None:
    """Print texts beside what a model restores of them.

    Raises
    ------
    click.UsageError
        If it is no model of text.
    """
    if model.record_ != "text":
        raise click.UsageError("Missing option '-o' / '--output': only text is printed without an output.")
    source = open_data(data, shape=model.shape_, limit=limit, quiet=quiet, **reading)
    originals, restored = checked_texts(model, source)
    if as_json:
        pairs = zip(originals, restored, strict=True)
        print_json({"records": [{"text": before, "restored": after} for before, after in pairs]})
    else:
        print_lines(*side_by_side(originals, restored))


@click.command(cls=Verb)
@data_argument
@model_option
@output_option("CODES.npy", "Output: the codes; - for standard output.", pipe=True)
@data_options
@device_option
@write_options
def encode(
    *,
    data: str,
    model: str,
    output: str,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the codes of DATA: an array with one row per record and one column per latent dimension."""
    if output != "-" and Path(output).suffix.lower() != ".npy":
        raise click.UsageError(f"The output of encode must be a path that ends in .npy, or '-'. Got '{output}'.")
    check_records_output(output, force=force)
    loaded = load_model(model, device)
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    write_records(output, loaded.transform(source), files=None, force=force, as_json=as_json)


@click.command(cls=Verb)
@click.argument("codes", type=READS_PIPE, metavar="CODES.npy")
@model_option
@output_option("OUT", _RECORDS, pipe=True)
@click.option("--limit", type=int, metavar="N", help="Only the first N codes.")
@click.option("--key", metavar="NAME", help="Name of the array of codes in a .npz file.")
@device_option
@write_options
def decode(
    *,
    codes: str,
    model: str,
    output: str,
    limit: int | None,
    key: str | None,
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decode codes, as written by `narrows encode`, into records.

    Records are written in the units and dtype of the training data, except that tables of whole numbers other than
    uint8 are written as floats.
    """
    import narrows.data
    from narrows.errors import ShapeMismatchError

    check_records_output(output, force=force)
    loaded = load_model(model, device)
    source = open_data(codes, limit=limit, key=key, quiet=quiet)
    if source.shape != (loaded.n_latent_,):
        raise ShapeMismatchError(
            f"Codes for this model must have the shape (n, {loaded.n_latent_}). "
            f"Got {source.name}, of shape {(len(source), *source.shape)}."
        )
    narrows.data.check_finite(source)
    records = loaded.inverse_transform(source.values, dtype=loaded.model_.written_dtype)
    write_records(output, records, files=None, force=force, as_json=as_json, model=loaded)


def check_records_output(output: str, *, force: bool) -> bool:
    """Refuse an output that cannot be written; return whether it keeps the names of records."""
    from narrows.data.writing import check_target

    return check_target(output, force=force).keeps_names


def write_records(
    output: str,
    values: Any,
    *,
    files: tuple[str, ...] | None,
    force: bool,
    as_json: bool,
    of: Source | None = None,
    model: Autoencoder | None = None,
) -> None:
    """Write records or codes, the steps of the series ``of``, or rows of a model's table; print what was written."""
    import narrows.data

    if model is not None and has_rows(model, output):
        texts = {} if of is None else texts_in(model, of)
        write_rows(output, model, restored_rows(model, values), texts, force=force)
        if as_json:
            print_json({"path": output, "records": len(values), "columns": values.shape[1] + len(texts)})
        else:
            print_written(rows_line(output, values, len(texts)))
        return
    series = None if of is None or of.windows is None else of.windows.series.rows()
    text = None if of is None or of.text is None else of.text.rows()
    path = narrows.data.write(output, values, files=files, series=series, text=text, force=force)
    if as_json:
        print_json({"path": str(path), "records": len(values), "shape": values.shape[1:], "dtype": values.dtype.name})
    else:
        print_written(records_line(path, values, None if text is None else len(text.counts)))


def records_line(path: str | Path, values: Any, n_texts: int | None = None) -> str:
    """Return a line with path, number, shape and dtype of what was written; of a file of lines, the number of texts."""
    from narrows.data.formats.text import TEXT_ENDINGS

    if str(path).lower().endswith(TEXT_ENDINGS):
        return f"{path}  {count(len(values) if n_texts is None else n_texts, 'text')}"
    return f"{path}  {count(len(values), 'record')} of {shape_text(values.shape[1:])} {values.dtype.name}"
