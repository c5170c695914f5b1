"""The option ``--only``: which records of an archive are restored, by their numbers or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from narrows.cli.console import count
from narrows.io.text import shown_name

if TYPE_CHECKING:
    from narrows.archive import Archive

__all__ = ["Span", "check_only", "chosen_records", "parse_only"]

Span = tuple[int, int | None]
"""The first record of a range and the one after the last, None for the end."""

_FORM = (
    "--only takes numbers from 0, ranges START:STOP (STOP excluded) and names shown by `narrows list`, separated by "
    "commas, for example 5,9,20:30 or cats/a.png."
)

_TIMES = (
    "--only takes steps from 0 and ranges of steps, START:STOP, for example 1000:2000, or ranges of times, for example "
    "'2024-03-01:2024-03-08' or '2024-03-01 12:00:'. STOP is excluded."
)

_DATES = re.compile(r":?\s*\d{4}-\d\d")
"""Beginnings of ranges of times."""

_NUMBERS = re.compile(r"[\d\s:,-]*", re.ASCII)
"""Texts that are no names."""

_COMMAS = " Give a name with a comma in an --only of its own, or use the record's number."

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
        if _NUMBERS.fullmatch(part):
            raise click.UsageError(f"{_FORM} Got {text!r}.{_NO_NEGATIVE}")
        return part
    start, end = int(first or 0), int(last) if last else None
    stop = end if colon else start + 1
    if stop is not None and stop <= start:
        raise click.UsageError(
            f"The STOP of --only must be above START, since the record STOP is not included. Got {part}."
        )
    return start, stop


def check_only(given: Sequence[str]) -> None:
    """Refuse wrong numbers and ranges before the archive is opened; names have to be looked up in it.

    Raises
    ------
    click.UsageError
        As `parse_only`.
    """
    for text in given:
        if _NUMBERS.fullmatch(text) and not _DATES.match(text):
            parse_only(text)


def chosen_records(archive: Archive, given: Sequence[str]) -> range | list[int]:
    """Return the numbers of the records that ``--only`` selects, in the given order, each of them once.

    Parameters
    ----------
    archive : Archive
        The archive.
    given : sequence of str
        The texts of one or several ``--only``. Each is the name of a record, or numbers, ranges and names separated by
        commas.

    Raises
    ------
    click.UsageError
        If a text has another form, or the archive has no record of a name.
    InvalidParameterError
        If a record does not exist.
    """
    n = len(archive)
    if archive.series is not None and any(not _NUMBERS.fullmatch(text) or _DATES.match(text) for text in given):
        return _steps_between(archive, given)
    named = {} if all(_NUMBERS.fullmatch(text) for text in given) else _by_name(archive)
    numbers: dict[int, None] = {}
    for text in given:
        if text in named:  # it may have commas
            numbers.update(dict.fromkeys(named[text]))
            continue
        parts = parse_only(text)
        if len(given) == len(parts) == 1 and not isinstance(parts[0], str):
            return _within(parts[0], n, archive.path, text)
        for part in parts:
            if not isinstance(part, str):
                numbers.update(dict.fromkeys(_within(part, n, archive.path, text)))
            elif part in named:
                numbers.update(dict.fromkeys(named[part]))
            else:
                commas = _COMMAS if "," in text else ""
                raise click.UsageError(f"{_FORM} {archive.path} has no record named {part!r}. Got {text!r}.{commas}")
    return [*numbers]


def _steps_between(archive: Archive, given: Sequence[str]) -> range | list[int]:
    """Return the steps of series that ``--only`` selects by their times, or by their numbers."""
    from narrows.errors import DataError, InvalidParameterError

    assert archive.series is not None, "the items are steps of series"
    numbers: dict[int, None] = {}
    for text in given:
        if _NUMBERS.fullmatch(text) and not _DATES.match(text):
            for part in parse_only(text):
                assert not isinstance(part, str), "numbers are no names"
                numbers.update(dict.fromkeys(_within(part, len(archive), archive.path, text)))
            continue
        try:
            steps = archive.series.steps_between(text)
        except DataError as error:
            raise click.UsageError(f"{_TIMES} {error} Got {text!r}.") from None
        if not len(steps):
            raise InvalidParameterError(
                f"{archive.path} has no steps from {text}. Its times are {archive.series.span()}."
            )
        numbers.update(dict.fromkeys(steps.tolist()))
    return [*numbers]


def _by_name(archive: Archive) -> dict[str, list[int]]:
    """Return the numbers of the records of each name, as it is and as `narrows list` shows it, which comes first."""
    names = archive.names()
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name:
            found.setdefault(shown_name(name), []).append(number)
    given: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name:
            given.setdefault(name, []).append(number)
    return given | found


def _within(span: Span, n: int, archive: str, text: str) -> range:
    """Return the range of requested records, after checking that all of them exist."""
    from narrows.errors import InvalidParameterError

    start, stop = span[0], n if span[1] is None else span[1]
    if not start < stop <= n:
        numbers = f", numbered 0 to {n - 1:,}" if n else ""
        hint = f" The STOP must be at most {n}; {start}: selects all from record {start} on." if start < n else ""
        raise InvalidParameterError(f"{archive} has {count(n, 'record')}{numbers}. Got --only {text}.{hint}")
    return range(start, stop)
