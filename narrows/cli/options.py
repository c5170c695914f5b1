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
    "device_option",
    "force_option",
    "json_option",
    "model_option",
    "output_option",
    "quiet_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

data_argument = click.argument("data", metavar="DATA")
model_option = click.option(
    "-m", "--model", required=True, metavar="MODEL", help="The model, as `narrows train` saved it."
)
archive_argument = click.argument("archive", metavar="FILE.narrows")
archive_model_option = click.option(
    "-m", "--model", metavar="MODEL", help="The model that it was made with; not needed if the archive carries it."
)
force_option = click.option("--force", is_flag=True, help="Replace an output that is already there.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks, only errors.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto: on a CUDA device where there is one.  [default: auto]",
)


def output_option(metavar: str, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """Return the option that says where the output goes."""
    return click.option("-o", "--output", required=True, metavar=metavar, help=help)


def data_options(command: Command) -> Command:
    """Add the options that say how DATA are read: ``limit``, ``resize`` and ``key``."""
    for option in reversed(
        (
            click.option("--limit", type=int, metavar="N", help="Only the first N records."),
            click.option("--resize", metavar="HxW", help="Height and width that every image file is brought to."),
            click.option("--key", metavar="NAME", help="Which array of a .npz file holds the records."),
        )
    ):
        command = option(command)
    return command
