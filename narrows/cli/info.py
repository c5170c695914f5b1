"""``narrows info``."""

from __future__ import annotations

import math
import os
import textwrap
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.describe import kept_rows, taken_for, time_rows
from narrows.cli.inputs import archive_file
from narrows.cli.options import json_option, quiet_option
from narrows.cli.outputs import READS_PIPE, Verb
from narrows.cli.train_bytes import BYTES, about_bytes
from narrows.errors import DataNotFoundError
from narrows.io.model_file import read_model_file
from narrows.model.describe import comparison_text, describe_chain, describe_settings, race_text, values_text

if TYPE_CHECKING:
    from narrows.model.summary import Summary

__all__ = ["info"]

_WIDTH = 100


@click.command(cls=Verb)
@click.argument("file", type=READS_PIPE, metavar="FILE")
@click.option("--layers", is_flag=True, help="Of a model, also list the layers; this needs PyTorch.")
@json_option
@quiet_option
def info(*, file: str, layers: bool, as_json: bool, quiet: bool) -> None:
    """Describe FILE, a model or an archive; its first bytes tell which of the two it is.

    For a model: its parts, its training data, the length of its training and its loss. For an archive: its contents,
    the bytes of each part of the file, and the model that made it.
    """
    from narrows.archive import is_archive

    path = archive_file(file)
    if file.endswith(".narrows") and not os.path.exists(path):
        raise DataNotFoundError(f"There is no file {file}.")
    if is_archive(path) or _is_damaged_archive(file):
        if layers:
            raise click.UsageError(f"--layers is for models, and {path} is an archive. Give the model.")
        from narrows.cli.archive import about

        facts, lines = about(path)
    elif read_model_file(path, ())[0].get("kind") == BYTES:
        if layers:
            raise click.UsageError(f"--layers is for networks, and {path} is a model of bytes, which has none.")
        facts, lines = about_bytes(path)
    else:
        from narrows.model.inspection import inspect

        model = inspect(path)
        facts = model.to_json()
        lines = [*_lines(facts, model.header), "", *_archiving_lines(facts)]
        if layers:
            found = _summary(path)
            facts["layers"] = found.to_json()["layers"]
            lines += ["", *str(found).splitlines()]
    if as_json:
        print_json(facts)
    else:
        print_lines(*lines)


def _summary(file: str | os.PathLike[str]) -> Summary:
    """Return the layers of the model in a file."""
    import narrows
    from narrows.model.summary import summarise

    loaded = narrows.load(file, device="cpu")
    return summarise(loaded.chain_, loaded.dtype_)


def _is_damaged_archive(file: str) -> bool:
    """Return whether a file has the name of an archive and does not begin like a model, a safetensors file."""
    if not file.endswith(".narrows") or not os.path.isfile(file):
        return False
    with open(file, "rb") as opened:
        return opened.read(9)[8:] != b"{"


def _archiving_lines(facts: dict[str, Any]) -> list[str]:
    if facts["not_frozen"] is not None:
        return textwrap.wrap(f"no archives: {facts['not_frozen']}", _WIDTH)
    rows = [
        (f"quality {k}", *_psnr_cells(one["psnr_db"]), number(one["bytes_per_record"]), "bytes a record")
        for k, one in enumerate(facts["qualities"])
    ]
    return [
        "archives, measured on the training data, without the bytes of header and index",
        *aligned(rows, right=[1, 3], indent=2),
    ]


def _psnr_cells(psnr_db: float) -> tuple[str, str]:
    return ("no error", "") if psnr_db == math.inf else (number(psnr_db), "dB")


def _lines(facts: dict[str, Any], header: dict[str, Any]) -> list[str]:
    on, seed = facts["trained_on"], facts["params"]["random_state"]
    rows = [
        ("file", f"{facts['path']}, {facts['n_bytes']:,} bytes, written by narrows {facts['narrows']}"),
        *([("id", f"{facts['model_id']}, in archives of this model")] if facts["model_id"] else []),
        ("records", f"{shape_text(facts['shape'])} {facts['dtype']}"),
        ("taken for", taken_for(facts["record"], facts["shape"], facts["params"].get("record", "auto"))),
        *([("values", said)] if (said := values_text(header)) is not None else []),
        *(
            []
            if facts["fill_value"] is None
            else [("fill value", f"{_fill_text(facts['fill_value'])}, for missing values")]
        ),
        *([("classes", _classes_text(facts["classes"]))] if facts["classes"] else []),
        ("code", count(facts["n_latent"], "number")),
        ("weights", f"{facts['weights']:,}"),
        (
            "trained on",
            f"{on['name']}, {count(on['n_records'], 'record')}, seed {on['seed'] if seed is None else seed}",
        ),
        ("trained for", f"{count(facts['epochs'], 'epoch')}, {facts['seconds']:.1f} s"),
        *time_rows(facts),
        *([("threads", _threads_text(facts))] if facts["threads"] is not None else []),
        ("loss" if "kept" in header else "final loss", f"{number(facts['loss'])} nats per record"),
    ]
    if facts["validation_loss"] is not None:
        rows.append(("validation", f"{number(facts['validation_loss'])} nats per record"))
    if facts["comparison"] is not None:
        rows.append(("beside PCA", comparison_text(facts["comparison"])))
    if facts["race"] is not None:
        rows.append(("race", race_text(facts["race"])))
    if facts["artefacts"] is not None:
        rows.append(("artefacts", ", ".join(facts["artefacts"]) or "none"))
    rows += kept_rows(facts["kept_epoch"], facts["epochs"])
    parts = [("the chain", "")] + [(f"  {role}", text) for role, text in describe_chain(header)]
    values = [("settings", "")] + [(f"  {name}", value) for name, value in describe_settings(header).items()]
    return [*_wrapped(rows), "", *_wrapped(parts), "", *_wrapped(values)]


def _fill_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.17g}"


def _classes_text(classes: list[Any]) -> str:
    """Return how many classes there are, and the first of them."""
    first = ", ".join(map(str, classes[:10]))
    return f"{len(classes)}: {first}{', …' if len(classes) > 10 else ''}"


def _threads_text(facts: dict[str, Any]) -> str:
    cut = f", each batch split into {facts['shards']} shards" if facts["shards"] > 1 else ""
    return f"{count(facts['threads'], 'thread')}{cut}"


def _wrapped(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    lines = aligned(rows)
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent=" " * width, drop_whitespace=True) or [""]
    ]
