"""``narrows info``."""

from __future__ import annotations

import math
import os
import textwrap
from typing import Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.describe import chain, settings
from narrows.cli.options import json_option

__all__ = ["info"]

_WIDTH = 100


@click.command()
@click.argument("model", metavar="MODEL")
@json_option
def info(model: str, as_json: bool) -> None:
    """Say what MODEL is: its parts, what it was trained on, for how long and how well."""
    header, n_weights = _read(model)
    facts = _facts(model, header, n_weights)
    if as_json:
        print_json(facts)
    else:
        print_lines(*_lines(facts, header))


def _read(path: str) -> tuple[dict[str, Any], int]:
    """Return what the header says, and how many weights there are, without reading these."""
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["narrows"])
            names = [name for name in file.keys() if name.startswith(("chain.encoder.", "chain.decoder."))]  # noqa: SIM118
            n_weights = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
        if header["format"] == 1:
            return header, n_weights
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        pass
    # Loading the whole model is slow, and says best what is wrong.
    from narrows.store import describe, load

    loaded = load(path)
    modules = (loaded.encoder_, loaded.decoder_)
    return describe(loaded), sum(tensor.numel() for module in modules for tensor in module.state_dict().values())


def _facts(path: str, header: dict[str, Any], n_weights: int) -> dict[str, Any]:
    history = header["history_"]
    return {
        "path": path,
        "bytes": os.path.getsize(path),
        "format": header["format"],
        "narrows": header["narrows"],
        "shape": header["shape"],
        "dtype": header["dtype"],
        "n_latent": header["n_latent_"],
        "weights": n_weights,
        "parts": header["parts"],
        "params": header["params"],
        "trained_on": header["trained_on_"],
        "epochs": len(history),
        "loss": history[-1]["loss"],
        "validation_loss": history[-1]["validation_loss"],
        "seconds": sum(row["seconds"] for row in history),
        "history": history,
    }


def _lines(facts: dict[str, Any], header: dict[str, Any]) -> list[str]:
    on, seed = facts["trained_on"], facts["params"]["random_state"]
    rows = [
        ("file", f"{facts['path']}, {facts['bytes']:,} bytes, written by narrows {facts['narrows']}"),
        ("records", f"{shape_text(facts['shape'])} {facts['dtype']}"),
        ("code", count(facts["n_latent"], "number")),
        ("weights", f"{facts['weights']:,}"),
        (
            "trained on",
            f"{on['name']}, {count(on['n_records'], 'record')}, seed {on['seed'] if seed is None else seed}",
        ),
        ("trained for", f"{count(facts['epochs'], 'epoch')}, {facts['seconds']:.1f} s"),
        ("final loss", f"{number(facts['loss'])} nats per record"),
    ]
    if facts["validation_loss"] is not None:
        rows.append(("validation", f"{number(facts['validation_loss'])} nats per record"))
    parts = [("the chain", "")] + [(f"  {role}", text) for role, text in chain(header)]
    values = [("settings", "")] + [(f"  {name}", value) for name, value in settings(header).items()]
    return [*_wrapped(rows), "", *_wrapped(parts), "", *_wrapped(values)]


def _wrapped(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    lines = aligned(rows)
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent=" " * width, drop_whitespace=True) or [""]
    ]
