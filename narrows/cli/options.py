"""Options that verbs share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = [
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
    "quiet_option",
    "write_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(metavar: str, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """Return the option for the output path."""
    return click.option("-o", "--output", required=True, metavar=metavar, help=help)


def _device(default: str | None) -> Callable[[Command], Command]:
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default=default,
        help="Device to compute on; auto: a CUDA device if there is one.  [default: auto]",
    )


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds several options, shown in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


data_argument = click.argument("data", metavar="DATA")
model_option = click.option("-m", "--model", required=True, metavar="MODEL", help="A model saved by `narrows train`.")
archive_argument = click.argument("archive", metavar="FILE.narrows")
archive_model_option = click.option(
    "-m", "--model", metavar="MODEL", help="The model that made the archive; not needed if the archive contains it."
)
force_option = click.option("--force", is_flag=True, help="Replace an existing output.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only, no progress and no notes.")

device_option = _device("auto")
device_flag = _device(None)
"""The same without a default: None if it was not given."""

data_options = _together(
    click.option("--limit", type=int, metavar="N", help="Only the first N records."),
    click.option("--resize", metavar="HxW", help="Height and width to which every image file is resized."),
    click.option("--key", metavar="NAME", help="Name of the array of records in a .npz file."),
)
"""Options for reading DATA: ``limit``, ``resize`` and ``key``."""

write_options = _together(force_option, json_option, quiet_option)
"""Options of verbs that write an output and report it: ``force``, ``as_json`` and ``quiet``."""
