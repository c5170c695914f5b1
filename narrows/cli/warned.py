"""The warnings of one call of a verb: each is one line on standard error, and an entry of the JSON output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from narrows.cli.log import logged
from narrows.errors import LOSS_KINDS, FreezeWarning, NarrowsWarning, Warned, recorded
from narrows.io.text import printable

__all__ = ["said_with", "say", "warnings_at_the_end", "warnings_in_words"]

_SAID = "narrows.warnings"


@contextmanager
def warnings_in_words() -> Iterator[None]:
    """Pass all warnings of the block to `say`."""
    with recorded(held=True, listener=say):
        yield


@contextmanager
def warnings_at_the_end() -> Iterator[list[NarrowsWarning]]:
    """Pass the warnings of the block, and others added to the list, to `say` when it ends, even by an error.

    Warnings that advise not to continue are passed at once.
    """
    found: list[NarrowsWarning] = []
    try:
        with recorded(held=True, listener=_say_at_once) as found:
            yield found
    finally:
        for warning in found:
            say(warning)


def _say_at_once(warning: NarrowsWarning) -> None:
    if isinstance(warning, FreezeWarning):
        say(warning)


def say(warning: NarrowsWarning | Warned) -> None:
    """Print a warning once, and keep it for the JSON output. A quiet verb prints only those of lost data or quality."""
    one = warning.to_json() if isinstance(warning, NarrowsWarning) else warning
    said = _said()
    if one["message"] in [other["message"] for other in said]:
        return
    said.append(one)
    logged("warning", f"{one['kind']}: {one['message']}")
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("quiet") or one["kind"] in LOSS_KINDS:
        click.echo(f"Warning: {printable(one['message'], lines=False)}", err=True)


def said_with(more: Sequence[Warned]) -> list[Warned]:
    """Return the warnings of this call so far, and those of a result that are not among them."""
    said = _said()
    messages = {one["message"] for one in said}
    return [*said, *(one for one in more if one["message"] not in messages)]


def _said() -> list[Warned]:
    """Return the list of this call, which may be added to."""
    context = click.get_current_context(silent=True)
    said: list[Warned] = [] if context is None else context.meta.setdefault(_SAID, [])
    return said
