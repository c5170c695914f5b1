"""Output of the verbs: results on standard output, notes on standard error."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from narrows.cli.arguments import arguments, options, writes_to_standard_output
from narrows.cli.log import logged
from narrows.cli.warned import said_with
from narrows.io.json_values import finite_or_none
from narrows.io.text import count, number, printable, shape_text

__all__ = [
    "aligned",
    "command_line",
    "count",
    "note",
    "number",
    "print_json",
    "print_json_error",
    "print_lines",
    "print_written",
    "program",
    "results_to_standard_error",
    "shape_text",
]

_OUTPUT, _PRINTED = "narrows.output", "narrows.printed"


def print_lines(*lines: str) -> None:
    """Write the lines of a result at once. Newlines within a line, as of names of files, are escaped."""
    text = _text_of(lines)
    logged("result", text)
    click.echo(text, err=_is_output())


def print_written(*lines: str) -> None:
    """Write lines about the output that a verb wrote; with ``--quiet``, to the log only."""
    if click.get_current_context().params.get("quiet"):
        logged("result", _text_of(lines))
    else:
        print_lines(*lines)


def _text_of(lines: Sequence[str]) -> str:
    return "\n".join(printable(line, lines=False) for line in lines)


def print_json(value: Mapping[str, Any]) -> None:
    """Write a result as one object of standard JSON: numbers that are not finite become null.

    It gets the entry ``warnings``: the warnings of the result, and all others of this call.
    """
    value = _json_values({**value, "warnings": said_with(value.get("warnings", ()))})
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=2)
    if "error" not in value:  # errors are logged by themselves
        logged("result", json.dumps(value, allow_nan=False, ensure_ascii=False))
    # A string of JSON may have control characters in this form only.
    click.echo(printable(text, form="\\u{:04x}"), err=_is_output())
    click.get_current_context().meta[_PRINTED] = True


def print_json_error(ctx: click.Context, kind: str, message: str, exit_code: int) -> None:
    """Write an error as JSON, if the call asks for JSON and has printed none."""
    if "--json" not in options(ctx) or ctx.meta.get(_PRINTED):
        return
    if writes_to_standard_output(ctx):
        results_to_standard_error(ctx, on=True)  # the arguments may not have been parsed
    with ctx.scope(cleanup=False):
        print_json({"error": {"kind": kind, "message": message, "exit_code": exit_code}})


def results_to_standard_error(ctx: click.Context, *, on: bool) -> None:
    """Print the results of this call to standard error if standard output is the output of the verb."""
    ctx.meta[_OUTPUT] = on


def _is_output() -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_OUTPUT))


def note(text: str, *, quiet: bool) -> None:
    """Write a note to the log and, unless ``quiet``, to standard error."""
    if not quiet:
        click.echo(printable(text), err=True)
    logged("note", text)


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: int = 0) -> list[str]:
    """Return rows of cells as lines with aligned columns; the columns numbered in ``right`` are aligned right.

    Examples
    --------
    >>> aligned([("mse", "0.25"), ("sse_per_record", "16")], right=[1])
    ['mse             0.25', 'sse_per_record    16']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        (
            " " * indent
            + "  ".join(
                cell.rjust(width) if i in right else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in rows
    ]


def program() -> str:
    """Return the command that calls this program, for commands that people copy."""
    called = sys.argv[0]
    if called.endswith(os.path.join("narrows", "__main__.py")):
        return f"{shlex.quote(_short(sys.executable))} -m narrows"
    if os.path.basename(called) != "narrows":
        return "narrows"  # called from Python
    found = shutil.which("narrows")
    return "narrows" if found and os.path.exists(called) and os.path.samefile(found, called) else _short(called)


def command_line(ctx: click.Context, *more: str) -> str:
    """Return the command line of this run, with ``more`` appended."""
    return " ".join([program(), shlex.join([*arguments(ctx), *more])])


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else str(Path(relative))


def _json_values(value: Any) -> Any:
    """Return a result as values of standard JSON."""
    if isinstance(value, dict):
        return {str(key): _json_values(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_values(one) for one in value]
    return finite_or_none(value) if isinstance(value, float) else value
