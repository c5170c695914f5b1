"""``narrows generate``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from narrows.cli.apply import check_records_output, records_line
from narrows.cli.console import count, print_json, print_written
from narrows.cli.file_names import names_picture
from narrows.cli.inputs import check_file_output, load_model, open_record
from narrows.cli.options import device_option, model_option, output_option, write_options
from narrows.cli.outputs import READS, Verb, split_record
from narrows.cli.table_rows import has_rows, parse_given, rows_line, write_rows
from narrows.cli.text import refuse_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["generate"]

_MOST_DRAWN = 2_500
_USUAL_N = {"samples": 64, "between": 10, "manifold": 20, "traverse": 11}
_ONLY_FOR_SAMPLES = {"seed": "--seed", "source": "--from"}
_MEAN_CODE = "the mean code"

EPILOG = """
Samples are decoded from random codes. The codes are drawn from the prior N(0, I) if the model was trained with one
(recipes cvae, vae, beta-vae, conditional-vae and wae), otherwise from a mixture of normal distributions that was
fitted to the codes of the training data. Records are written in the units and dtype of the training data, except
that tables of whole numbers other than uint8 are written as floats.

\b
  narrows generate -m MODEL -n 64 -o samples.png
  narrows generate -m MODEL -n 1000 --seed 1 -o samples.npy
  narrows generate -m MODEL --between mnist:test#0 mnist:test#1 -o between.png
  narrows generate -m MODEL --manifold -o manifold.png
  narrows generate -m MODEL --traverse -o traverse.png
  narrows generate -m MODEL -n 64 --label 7 -o sevens.png
  narrows generate -m TABLE_MODEL -n 1000 --given country=Peru -o rows.csv

RECORD is DATA with one record, or DATA#INDEX, counted from 0. For a model of text it may be the text itself.
"""


@dataclass(frozen=True)
class _Generated:
    """Records, their layout in a picture, and a description."""

    records: NDArray[Any]
    columns: int | None = None
    row_labels: list[str] | None = None
    column_labels: list[str] | None = None
    said: dict[str, Any] = field(default_factory=dict)


@click.command(cls=Verb, epilog=EPILOG)
@model_option
@output_option(
    "OUT",
    "Output: a picture (.png, .svg or .pdf), records (a path that ends in .npy, or - for standard output), a folder "
    "for images, text (.txt), or rows of a table (.csv, .parquet or .feather).",
    pipe=True,
)
@click.option(
    "-n",
    type=click.IntRange(1),
    metavar="N",
    help="Number of samples, records of an interpolation (both ends included), records per side of a manifold, or "
    "columns of a traversal.  "
    "[default: 64, 10, 20, 11]",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["prior", "density"]),
    help="Distribution of the codes of samples.  [default: the prior if the model has one and no adversary]",
)
@click.option("--seed", type=int, metavar="N", default=0, help="Seed of the samples.  [default: 0]")
@click.option(
    "--between",
    type=READS,
    nargs=2,
    multiple=True,
    metavar="RECORD RECORD",
    help="Interpolate linearly between the codes of two records. May be given several times.",
)
@click.option("--manifold", is_flag=True, help="Decode a grid of codes, for latent dimension 2.")
@click.option(
    "--traverse",
    type=READS,
    is_flag=False,
    flag_value=_MEAN_CODE,
    metavar="[RECORD]",
    help="Vary one latent dimension at a time, from −3 to 3 standard deviations around the mean code or the code of "
    "RECORD. At most the 16 most important dimensions are varied.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="For tables: generate rows with this value in this column. May be given several times.",
)
@click.option("--label", metavar="LABEL", help="Generate records of this label, with a conditional model.")
@device_option
@write_options
@click.pass_context
def generate(
    ctx: click.Context,
    /,
    *,
    model: str,
    output: str,
    n: int | None,
    source: str | None,
    seed: int,
    between: tuple[tuple[str, str], ...],
    manifold: bool,
    traverse: str | None,
    label: str | None,
    given: tuple[str, ...],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Generate new records with MODEL: samples by default, or interpolations, a manifold or traversals."""
    kind = _kind(between=between, manifold=manifold, traverse=traverse)
    is_picture = names_picture(output)
    _check_options(ctx, kind)
    n = _USUAL_N[kind] if n is None else n
    if is_picture:
        _check_drawable({"samples": n, "manifold": n * n, "between": n * len(between)}.get(kind, 0))
        check_file_output(output, force=force)
    else:
        check_records_output(output, force=force)
    loaded = load_model(model, device)
    if is_picture:
        refuse_text(loaded, f"A picture of records, {output},", "Give a path that ends in .txt.")
    if has_rows(loaded, output):
        _rows(ctx, loaded, output, n, kind)
        return
    if given:
        raise click.UsageError("--given is for models of tables whose rows are written to a .csv file. Leave it out.")
    y = None if label is None else _label(loaded, label)
    if kind == "samples":
        made = _samples(loaded, n, y, source or "auto", seed)
    elif kind == "between":
        made = _between(loaded, between, n, y, quiet=quiet)
    elif kind == "manifold":
        made = _manifold(loaded, n, y)
    else:
        made = _traversed(loaded, None if traverse == _MEAN_CODE else traverse, n, y, quiet=quiet)
    made = replace(made, records=_as_written(loaded, made.records))
    _write(loaded, output, made, is_picture=is_picture, force=force)
    records = made.records
    if as_json:
        described = {"records": len(records), "shape": records.shape[1:], "dtype": records.dtype.name}
        told = {} if y is None else {"label": label}
        print_json({"path": output, "model": model, "kind": kind, **told, **described, **made.said})
    else:
        print_written(output if is_picture else records_line(output, records))


def _rows(ctx: click.Context, model: Autoencoder, output: str, n: int, kind: str) -> None:
    """Draw rows of a table, write them, and print how many are rows of the training table."""
    from narrows.estimators.table_samples import new_rows
    from narrows.records import Columns

    params, schema = ctx.params, model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    if kind != "samples" or params["source"] is not None or params["label"] is not None:
        raise click.UsageError(
            "Rows of a table are drawn column by column. --between, --manifold, --traverse, --from and --label have no "
            "effect on them. Leave them out, or write the numbers of records to a .npy file."
        )
    given = parse_given(params["given"])
    found = new_rows(model, n, (schema.fields, schema.texts, schema.skipped), given=given, seed=params["seed"])
    write_rows(output, model, found.values, found.texts, force=params["force"])
    if params["as_json"]:
        facts = {"records": n, "columns": len(schema.fields) + len(found.texts), "training_rows": found.n_known}
        print_json({"path": output, "model": params["model"], "kind": kind, "given": given, **facts})
        return
    known = "" if found.n_known is None else f"{count(found.n_known, 'row')} are rows of the training table, too"
    print_written(rows_line(output, found.values, len(found.texts)), *([known] if known else []))


def _as_written(model: Autoencoder, records: NDArray[Any]) -> NDArray[Any]:
    """Return records in the dtype for writing: bytes as bytes, even if they are decoded as floats."""
    from narrows.model.inference import to_stored

    dtype = model.model_.written_dtype
    return records if dtype is None or records.dtype == dtype else to_stored(records, dtype)


def _label(model: Autoencoder, text: str) -> Any:
    """Return the label in the type that it has in the training data."""
    from narrows.estimators.base import listed

    if not model.chain_.parts.n_classes:
        raise click.UsageError(
            "--label needs a conditional model. This model was trained without labels. Leave out --label."
        )
    found = next((label for label in model.classes_ if _says(text, label)), None)
    if found is None:
        raise click.UsageError(f"Unknown label: '{text}'. Choose one of: {listed(model.classes_)}.")
    return found


def _says(text: str, label: Any) -> bool:
    try:
        return text == str(label) or float(text) == label
    except ValueError:
        return False


def _samples(model: Autoencoder, n: int, y: Any, source: str, seed: int) -> _Generated:
    from narrows.model.sampling import source_of

    records = model.sample(n, y, source=source, random_state=seed, dtype=model.model_.written_dtype)
    return _Generated(records, said={"from": source_of(model.model_, source), "seed": seed})


def _between(model: Autoencoder, pairs: tuple[tuple[str, str], ...], n: int, y: Any, *, quiet: bool) -> _Generated:
    import numpy as np

    from narrows.uses.generate import between

    ends = [[_record(model, one, quiet=quiet) for one in pair] for pair in pairs]
    rows = [between(model, a, b, n, y=y) for a, b in ends]
    return _Generated(np.concatenate(rows), columns=n, said={"between": pairs, "columns": n})


def _manifold(model: Autoencoder, n: int, y: Any) -> _Generated:
    from narrows.uses.generate import manifold

    records = manifold(model, n, y=y)
    return _Generated(records.reshape(n * n, *records.shape[2:]), columns=n, said={"columns": n})


def _traversed(model: Autoencoder, record: str | None, n: int, y: Any, *, quiet: bool) -> _Generated:
    from narrows.uses.generate import traversals

    start = None if record is None else _record(model, record, quiet=quiet)
    found = traversals(model, start, n=n, y=y)
    records = found.records.reshape(-1, *found.records.shape[2:])
    labels = [f"{value:+.1f}".replace("-", "−") if value else "0" for value in found.deviations]
    said = {
        "around": record,
        "numbers": found.numbers,
        "deviations": found.deviations.tolist(),
        "changes": found.changes.tolist(),
    }
    return _Generated(records, n, [f"{number}" for number in found.numbers], labels, {**said, "columns": n})


def _record(model: Autoencoder, data: str, *, quiet: bool) -> NDArray[Any]:
    """Return one record of the model's shape."""
    from narrows.records import check_shape

    if model.record_ == "text" and not Path(split_record(data)[0]).is_file():
        found: NDArray[Any] = model.records_of([data]).values[0]  # the text itself
        return found
    record = open_record(data, shape=model.shape_, quiet=quiet)
    check_shape(record.shape, model.shape_, data)
    return record


def _write(model: Autoencoder, output: str, made: _Generated, *, is_picture: bool, force: bool) -> None:
    if is_picture:
        from narrows import pictures
        from narrows.evaluation import drawing

        _check_drawable(len(made.records))
        figure = drawing.draw_grid(
            model, made.records, columns=made.columns, row_labels=made.row_labels, column_labels=made.column_labels
        )
        pictures.save(figure, output, force=force)
        return
    import narrows.data

    narrows.data.write(output, made.records, force=force)


def _kind(*, between: tuple[tuple[str, str], ...], manifold: bool, traverse: str | None) -> str:
    """Return the kind of output; more than one is refused."""
    asked = {"between": bool(between), "manifold": manifold, "traverse": traverse is not None}
    kinds = [kind for kind, is_asked in asked.items() if is_asked]
    if len(kinds) > 1:
        raise click.UsageError(f"--{kinds[0]} and --{kinds[1]} cannot be combined. Give one of them.")
    return kinds[0] if kinds else "samples"


def _check_options(ctx: click.Context, kind: str) -> None:
    """Refuse options without effect, and numbers that are not allowed."""
    for name, flag in _ONLY_FOR_SAMPLES.items():
        if kind != "samples" and ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{flag} has an effect on samples only, not with --{kind}. Leave it out.")
    if not 0 <= ctx.params["seed"] < 2**32:
        raise click.UsageError(f"--seed must be a whole number ≥ 0 and below 2^32. Got {ctx.params['seed']}.")
    if kind in {"between", "traverse"} and ctx.params["n"] == 1:
        raise click.UsageError(f"-n must be at least 2 with --{kind}, since it includes both ends. Got 1.")


def _check_drawable(n: int) -> None:
    if n > _MOST_DRAWN:
        raise click.UsageError(
            f"A picture can show at most {_MOST_DRAWN:,} records. Got {n:,}. "
            "Write them to a path that ends in .npy, or generate fewer."
        )
