"""``narrows train --recipe bytes``: a model of bytes, which has no code."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.inputs import open_data
from narrows.cli.progress import show_progress
from narrows.cli.settings import changes
from narrows.estimators.recipe_list import OF_BYTES
from narrows.io.remote import size_of

if TYPE_CHECKING:
    from narrows.estimators.byte_model import ByteModel

__all__ = ["BYTES", "about_bytes", "train_bytes"]

(BYTES,) = OF_BYTES
"""The recipe of a model of bytes."""

_OPTION = "sample_bytes"


def train_bytes(
    data: str,
    output: str,
    reading: dict[str, Any],
    settings: tuple[str, ...],
    flags: dict[str, Any],
    *,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Learn a model of bytes from texts, save it, and print what it does for held-out texts."""
    from narrows.archive.model_search import warn_of_archives
    from narrows.cli.inputs import check_file_output
    from narrows.estimators.byte_model import ByteModel

    asked = changes({}, settings)
    _refuse(flags)
    if asked.keys() - {_OPTION}:
        raise click.UsageError(
            f"The recipe 'bytes' has one setting, {_OPTION}. Got --set {min(asked.keys() - {_OPTION})}. Omit it."
        )
    model = ByteModel(**asked)
    check_file_output(output, force=force)
    if os.path.isfile(output):
        warn_of_archives(output)
    source = open_data(data, quiet=quiet, record="text", **reading)
    began = time.perf_counter()
    with show_progress(quiet=quiet) as progress:
        model.fit(source, progress=progress)
    seconds = round(time.perf_counter() - began, 3)
    model.save(output, force=force)
    facts = {**_facts(output, model), "seconds": seconds}
    if as_json:
        print_json(facts)
        return
    print_written(*aligned([*_rows(facts), ("time", f"{seconds:.1f} s")]))


def about_bytes(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the description of a file with a model of bytes, as JSON values and as lines.

    Raises
    ------
    ModelFileError
        If it is damaged.
    """
    from narrows.estimators.byte_model import ByteModel

    facts = _facts(path, ByteModel.read(path))
    return facts, aligned([*_rows(facts), ("id", f"{facts['model_id']}, in archives of this model")])


def _facts(path: str | os.PathLike[str], model: ByteModel) -> dict[str, Any]:
    """Return the description of a saved model as JSON values."""
    from narrows.archive.models import short

    described = {name.removesuffix("_"): value for name, value in model.describe().items()}
    return {
        "path": os.fspath(path),
        "n_bytes": size_of(path),
        "model_id": short(model.digest_),
        **described,
    }


def _refuse(flags: dict[str, Any]) -> None:
    """Refuse flags that a model of bytes has no use for."""
    for name, value in flags.items():
        is_usual = value is None or value is False or (name, value) in {("device", "auto"), ("as", "text")}
        if not is_usual:
            raise click.UsageError(
                f"--{name.replace('_', '-')} has no effect with --recipe bytes, which trains no network. Omit it."
            )


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return rows on a model of bytes, given what its file contains."""
    on, sample = facts["trained_on"], facts["sample"]
    rows = [
        ("model", f"{facts['path']}, {facts['n_bytes']:,} bytes, a model of bytes for lossless archives of text"),
        ("trained on", f"{on['name']}, {count(on['n_records'], 'text')} of {count(on['n_bytes'], 'byte')}"),
        ("sample", f"{count(sample['n_records'], 'text')} of {count(sample['n_bytes'], 'byte')} are in the model"),
    ]
    rows += [("held out", _tried(one)) for one in facts["tried"] if one["bits_per_byte"] is not None]
    return rows


def _tried(one: dict[str, Any]) -> str:
    bits = number(one["bits_per_byte"])
    size = f"{count(one['n_bytes'], 'byte')}, a model of {count(one['model_bytes'], 'byte')}"
    return f"{bits} bits a byte, in groups of 64, after a sample of {size}"
