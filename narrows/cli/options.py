"""Options that verbs share, declared once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from narrows.cli.outputs import READS, READS_PIPE, WRITES, WRITES_PIPE
from narrows.data.formats import Format, options_of

__all__ = [
    "FORMAT_OPTIONS",
    "archive_argument",
    "archive_model_option",
    "data_argument",
    "data_options",
    "device_flag",
    "device_option",
    "force_option",
    "json_option",
    "model_option",
    "output_option",
    "piped_archive_argument",
    "quiet_option",
    "threads_option",
    "together",
    "write_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(metavar: str, help: str, *, pipe: bool = False) -> Callable[[Command], Command]:  # noqa: A002
    """Return the option for the output path; ``pipe``: which may be ``-``, standard output."""
    return click.option(
        "-o", "--output", type=WRITES_PIPE if pipe else WRITES, required=True, metavar=metavar, help=help
    )


def _device(default: str | None) -> Callable[[Command], Command]:
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default=default,
        help="Device to compute on; auto: a CUDA device if there is one; mps: an Apple GPU, for training only.  "
        "[default: auto]",
    )


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds several options, shown in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


data_argument = click.argument("data", type=READS_PIPE, metavar="DATA")
model_option = click.option(
    "-m", "--model", type=READS, required=True, metavar="MODEL", help="A model saved by `narrows train`."
)
archive_argument = click.argument("archive", type=READS, metavar="FILE.narrows")
piped_archive_argument = click.argument("archive", type=READS_PIPE, metavar="FILE.narrows")
"""The same for verbs that only read the archive, which may be ``-``, standard input; see `inputs.archive_file`."""
archive_model_option = click.option(
    "-m",
    "--model",
    type=READS,
    metavar="MODEL",
    help="The model that made the archive; not needed if the archive contains it.",
)
force_option = click.option("--force", is_flag=True, help="Replace an existing output.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="Print only errors and warnings of lost data or quality. What was asked for is still printed: numbers of "
    "`evaluate`, `info` and `list`, texts and --json.",
)

threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="CPU threads; the result does not depend on them.  [default: all]",
)
device_option = _device("auto")
device_flag = _device(None)
"""The same without a default: None if it was not given."""

FORMAT_OPTIONS = options_of(Format.registry.values())
"""Options for reading DATA that formats declare: allowed values, meaning and formats, by name."""


def data_options(command: Command) -> Command:
    """Add the options for reading DATA: ``limit``, and those of formats, which the command gets as one ``reading``."""

    @functools.wraps(command)
    def collected(*args: Any, **given: Any) -> Any:
        if given["limit"] is not None:
            from narrows.data.source import check_limit

            check_limit(given["limit"])
        texts = {name: given.pop(name, None) for name in FORMAT_OPTIONS}
        reading = {name: FORMAT_OPTIONS[name][0].parse(text) for name, text in texts.items() if text is not None}
        return command(*args, reading=reading, **given)

    options = [click.option("--limit", type=int, metavar="N", help="Only the first N records.")]
    for name, (allowed, meaning, _) in FORMAT_OPTIONS.items():
        flag, text = f"--{name.replace('_', '-')}", f"{meaning[0].upper()}{meaning[1:]}."
        options.append(click.option(flag, metavar=allowed.metavar, help=text))
    return cast("Command", together(*options)(collected))


write_options = together(force_option, json_option, quiet_option)
"""Options of verbs that write an output and report it: ``force``, ``as_json`` and ``quiet``."""
