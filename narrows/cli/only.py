"""The option ``--only``: which records of an archive are restored, by their numbers or names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from narrows.cli.console import count

if TYPE_CHECKING:
    from narrows.archive import Archive

__all__ = ["Span", "chosen_records", "parse_only"]

Span = tuple[int, int | None]
"""The first record of a range and the one after the last, None for the end."""

_FORM = (
    "--only takes numbers from 0, ranges START:STOP (STOP excluded) and names shown by `narrows list`, separated by "
    "commas, for example 5,9,20:30 or cats/a.png."
)

_NO_NEGATIVE = (
    " Numbers count from 0, the first record, and cannot be negative; `narrows info` shows how many there are."
)


def parse_only(text: str) -> list[Span | str]:
    """Return the ranges and names of ``--only``, separated by commas.

    Raises
    ------
    click.UsageError
        If a part is empty, or a range selects no records.

    Examples
    --------
    >>> parse_only("100:200"), parse_only(":50"), parse_only("7,100:"), parse_only("a.png")
    ([(100, 200)], [(0, 50)], [(7, 8), (100, None)], ['a.png'])
    """
    return [_parse_part(part.strip(), text) for part in text.split(",")]


def _parse_part(part: str, text: str) -> Span | str:
    found = re.fullmatch(r"(\d{0,18})\s*(?:(:)\s*(\d{0,18}))?", part, re.ASCII)
    first, colon, last = found.groups(default="") if found else ("", "", "")
    if not first and not colon:
        if not part:
            raise click.UsageError(f"{_FORM} Got {text!r}.")
        if re.fullmatch(r"[\s\d:-]*", part, re.ASCII):
            raise click.UsageError(f"{_FORM} Got {text!r}.{_NO_NEGATIVE}")
        return part
    start, end = int(first or 0), int(last) if last else None
    stop = end if colon else start + 1
    if stop is not None and stop <= start:
        raise click.UsageError(
            f"The STOP of --only must be above START, since the record STOP is not included. Got {part}."
        )
    return start, stop


def chosen_records(archive: Archive, parts: list[Span | str], text: str) -> range | list[int]:
    """Return the numbers of the records that ``--only`` selects, in the given order, each of them once.

    Raises
    ------
    click.UsageError
        If the archive has no record of a name.
    InvalidParameterError
        If a record does not exist.
    """
    n = len(archive)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return _within(parts[0], n, archive.path, text)
    named = _by_name(archive) if any(isinstance(part, str) for part in parts) else {}
    if text.strip() in named:  # a name with a comma
        parts = [text.strip()]
    numbers: dict[int, None] = {}
    for part in parts:
        if isinstance(part, str):
            if part not in named:
                raise click.UsageError(f"{_FORM} {archive.path} has no record named {part!r}. Got {text!r}.")
            numbers.update(dict.fromkeys(named[part]))
        else:
            numbers.update(dict.fromkeys(_within(part, n, archive.path, text)))
    return [*numbers]


def _by_name(archive: Archive) -> dict[str, list[int]]:
    """Return the numbers of the records of each name."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(archive.names()):
        if name:
            found.setdefault(name, []).append(number)
    return found


def _within(span: Span, n: int, archive: str, text: str) -> range:
    """Return the range of requested records, after checking that all of them exist."""
    from narrows.errors import InvalidParameterError

    start, stop = span[0], n if span[1] is None else span[1]
    if not start < stop <= n:
        numbers = f", numbered 0 to {n - 1:,}" if n else ""
        hint = f" The STOP must be at most {n}; {start}: selects all from record {start} on." if start < n else ""
        raise InvalidParameterError(f"{archive} has {count(n, 'record')}{numbers}. Got --only {text}.{hint}")
    return range(start, stop)
