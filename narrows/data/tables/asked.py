"""Checks that columns have what they are said to have: most cells may be unlike it, but not nearly all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from narrows.data.tables.csv_values import number_values
from narrows.data.tables.dialect import Dialect
from narrows.data.tables.inference import MOST_WRONG, NULLS, Findings
from narrows.data.tables.rows import Rows
from narrows.data.tables.rules import Encoded, Rule
from narrows.errors import DataWarning
from narrows.records.fields import NUMBERS

__all__ = ["Asked", "check_asked", "n_unlike"]

_SHOWN = 5


@dataclass(eq=False)
class Asked:
    """A column that is said to have something.

    Attributes
    ----------
    place : int
        Its number in the file.
    rule : Rule
    found : Findings
        What is known of its cells.
    n_present, n_wrong, n_exceptions : int
        The numbers of cells that are not missing, of those that are no values of the kind, and of those that are
        written unlike it.
    """

    place: int
    rule: Rule
    found: Findings
    n_present: int = 0
    n_wrong: int = 0
    n_exceptions: int = 0


def n_unlike(rule: Rule, dialect: Dialect, one: Encoded) -> int:
    """Return the number of cells that are no values of the column's kind, and do not stand for missing values."""
    if rule.kind == "boolean":
        return sum(text not in NULLS for text in one.texts)
    return number_values(rule, dialect, one)[1] if rule.kind in NUMBERS else 0


def check_asked(columns: Iterable[Asked], pieces: Iterable[Rows], dialect: Dialect, source: str) -> list[DataWarning]:
    """Check columns that are said to have numbers, dates, times or booleans by all of their cells.

    Parameters
    ----------
    columns : iterable of Asked
        Those that are said to have something. Every text is a text and a category, so these are not checked.
    pieces : iterable of Rows
        All rows of the file.
    dialect : Dialect
    source : str
        Its name in messages.

    Returns
    -------
    list of DataWarning
        One if more cells are exceptions than a column has by itself.

    Raises
    ------
    InvalidParameterError
        If so many cells are no values of a column's kind as may be exceptions in a column whose kind is found, or less.
    """
    checked = [one for one in columns if one.rule.kind in {*NUMBERS, "boolean"}]
    if not checked:
        return []
    for rows in pieces:
        for one in checked:
            _count(one, rows, dialect)
    for one in checked:
        if one.n_present and one.n_present - one.n_wrong <= one.n_present * MOST_WRONG:
            raise one.found.refusal(one.rule.kind, one.n_present - one.n_wrong, one.n_present)
    many = [one for one in checked if one.n_exceptions > one.n_present * MOST_WRONG]
    if not many:
        return []
    n = sum(one.n_exceptions for one in many)
    listed = ", ".join(
        f"{one.n_exceptions:,} of {one.n_present:,} in {one.found.name!r}, which is {one.rule.kind} (by itself "
        f"{one.found.rule().kind})"
        for one in many[:_SHOWN]
    )
    text = (
        f"{source}: {n:,} cell{'s are' if n > 1 else ' is'} not written as what their column is said to have, and kept "
        f"as exceptions, which takes more bytes: {listed}{' …' if len(many) > _SHOWN else ''}."
    )
    return [DataWarning(text, kind="cells", count=n, first=many[0].found.name)]


def _count(one: Asked, rows: Rows, dialect: Dialect) -> None:
    cells = rows.column(one.place)
    encoded = one.rule.encode(cells, dialect.quote)
    absent = np.zeros(len(cells), bool)
    for text in NULLS:
        absent |= cells.equal(text)
    one.n_present += len(cells) - int(absent.sum())
    one.n_wrong += n_unlike(one.rule, dialect, encoded)
    one.n_exceptions += int((~absent[encoded.rows]).sum())
