"""``narrows info``."""

from __future__ import annotations

import math
import os
import textwrap
from collections import Counter
from typing import Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.describe import kept_rows, taken_for
from narrows.cli.options import json_option
from narrows.model.describe import comparison_text, describe_chain, describe_settings

__all__ = ["info"]

_WIDTH = 100


@click.command()
@click.argument("file", metavar="FILE")
@json_option
def info(file: str, as_json: bool) -> None:
    """Describe FILE, a model or an archive; its first bytes tell which of the two it is.

    For a model: its parts, its training data, the length of its training and its loss. For an archive: its contents,
    the bytes of each part of the file, and the model that made it.
    """
    from narrows.archive import is_archive

    if is_archive(file):
        from narrows.cli.archive import about

        said, lines = about(file)
    else:
        header = _read(file)
        said = {**_facts(file, header), **_archiving(file)}
        lines = [*_lines(said, header), "", *_archiving_lines(said)]
    if as_json:
        print_json(said)
    else:
        print_lines(*lines)


def _read(path: str) -> dict[str, Any]:
    """Return the header, and the number of weights if older files do not contain it; weights are not read."""
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header: dict[str, Any] = json.loads(file.metadata()["narrows"], parse_constant=lambda name: None)
            if "n_weights" not in header:
                names = [name for name in file.keys() if name.startswith(("chain.encoder.", "chain.decoder."))]  # noqa: SIM118
                header["n_weights"] = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
        if header["format"] == 1:
            return header
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        pass
    # Loading the whole model is slow, but raises the most precise error.
    from narrows.model.file import describe, read_model

    return describe(read_model(path))


def _archiving(path: str) -> dict[str, Any]:
    """Return the qualities of the model for archives, or the reason why it has none."""
    from narrows.codec import read_frozen
    from narrows.errors import NotFreezableError

    try:
        measured = [(one.psnr_db, one.bytes_per_record) for one in read_frozen(path).qualities]
    except NotFreezableError as error:
        return {"qualities": [], "not_frozen": str(error)}
    qualities = [{"psnr_db": psnr, "bytes_per_record": n_bytes} for psnr, n_bytes in measured]
    return {"qualities": qualities, "not_frozen": None}


def _archiving_lines(facts: dict[str, Any]) -> list[str]:
    if facts["not_frozen"] is not None:
        return textwrap.wrap(f"no archives: {facts['not_frozen']}", _WIDTH)
    rows = [
        (number(one["psnr_db"]), "dB", number(one["bytes_per_record"]), "bytes a record") for one in facts["qualities"]
    ]
    return ["archives, measured on the training data", *aligned(rows, right=[0, 2], indent=2)]


def _record(header: dict[str, Any]) -> str:
    """Return what the records were treated as; older files do not contain it."""
    from narrows.records import guess_kind

    return str(header.get("record", guess_kind(tuple(header["shape"]))))


def _facts(path: str, header: dict[str, Any]) -> dict[str, Any]:
    history = header["history_"]
    last = {"epoch": None, "loss": history[-1]["loss"], "validation_loss": history[-1]["validation_loss"]}
    kept = header.get("kept", last)  # older files do not contain it
    return {
        "path": path,
        "bytes": os.path.getsize(path),
        "format": header["format"],
        "narrows": header["narrows"],
        "shape": header["shape"],
        "dtype": header["dtype"],
        "record": _record(header),
        "kind": header.get("kind", "autoencoder"),
        "classes": header.get("classes_", []),
        "n_latent": header["n_latent_"],
        "weights": header["n_weights"],
        "parts": header["parts"],
        "params": header["params"],
        "trained_on": header["trained_on_"],
        "comparison": header.get("comparison"),
        "epochs": len(history),
        "kept_epoch": kept["epoch"],
        "loss": kept["loss"],
        "validation_loss": kept["validation_loss"],
        "seconds": sum(row["seconds"] for row in [*header.get("pretraining_history_", []), *history]),
        "threads": _usual(history, "threads"),
        "shards": _usual(history, "shards"),
        "history": history,
        "pretraining_history": header.get("pretraining_history_", []),
    }


def _usual(history: list[dict[str, Any]], key: str) -> int | None:
    """Return the most frequent value of an entry over the epochs; None in models saved before it was recorded."""
    values = Counter(row[key] for row in history if key in row)
    return values.most_common(1)[0][0] if values else None


def _lines(facts: dict[str, Any], header: dict[str, Any]) -> list[str]:
    on, seed = facts["trained_on"], facts["params"]["random_state"]
    rows = [
        ("file", f"{facts['path']}, {facts['bytes']:,} bytes, written by narrows {facts['narrows']}"),
        ("records", f"{shape_text(facts['shape'])} {facts['dtype']}"),
        ("taken for", taken_for(facts["record"], facts["shape"], facts["params"].get("record", "auto"))),
        *([("classes", _classes_text(facts["classes"]))] if facts["classes"] else []),
        ("code", count(facts["n_latent"], "number")),
        ("weights", f"{facts['weights']:,}"),
        (
            "trained on",
            f"{on['name']}, {count(on['n_records'], 'record')}, seed {on['seed'] if seed is None else seed}",
        ),
        ("trained for", f"{count(facts['epochs'], 'epoch')}, {facts['seconds']:.1f} s"),
        *([("threads", _threads_text(facts))] if facts["threads"] is not None else []),
        ("loss" if "kept" in header else "final loss", f"{number(facts['loss'])} nats per record"),
    ]
    if facts["validation_loss"] is not None:
        rows.append(("validation", f"{number(facts['validation_loss'])} nats per record"))
    if facts["comparison"] is not None:
        rows.append(("beside PCA", comparison_text(facts["comparison"])))
    rows += kept_rows(facts["kept_epoch"], facts["epochs"])
    parts = [("the chain", "")] + [(f"  {role}", text) for role, text in describe_chain(header)]
    values = [("settings", "")] + [(f"  {name}", value) for name, value in describe_settings(header).items()]
    return [*_wrapped(rows), "", *_wrapped(parts), "", *_wrapped(values)]


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
