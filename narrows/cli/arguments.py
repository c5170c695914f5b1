"""The arguments that the command line was called with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import click

__all__ = ["arguments", "keep_arguments", "options", "writes_to_standard_output"]

_ARGUMENTS = "narrows.arguments"
_OUTPUT = ("-o", "--output")


def keep_arguments(ctx: click.Context, given: Sequence[str]) -> None:
    """Keep the arguments for `arguments`."""
    ctx.meta[_ARGUMENTS] = list(given)


def arguments(ctx: click.Context) -> list[str]:
    """Return the arguments of the command line after ``narrows``."""
    return list(ctx.meta.get(_ARGUMENTS, []))


def options(ctx: click.Context) -> list[str]:
    """Return the arguments that may be options: those before ``--``."""
    given = arguments(ctx)
    return given[: given.index("--")] if "--" in given else given


def writes_to_standard_output(ctx: click.Context) -> bool:
    """Return whether standard output is the output, even if the arguments have not been parsed."""
    given = options(ctx)
    return any(first in _OUTPUT and second == "-" for first, second in pairwise(given)) or bool(
        {"-o-", "--output=-"} & set(given)
    )
