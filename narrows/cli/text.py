"""Texts in what verbs print, and verbs that mean nothing for text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned
from narrows.io.text import printable

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["checked_texts", "refuse_text", "side_by_side", "text_lines"]

_WIDEST = 60  # characters of a line of a text, side by side
_MARK, _SAME = "^", " "


def refuse_text(model: Autoencoder, what: str, instead: str) -> None:
    """Refuse what has no meaning for a model of text.

    Raises
    ------
    click.UsageError
        If the model is one.
    """
    if model.record_ == "text":
        raise click.UsageError(f"{what} has no meaning for text. {instead}")


def side_by_side(originals: Sequence[str], restored: Sequence[str]) -> list[str]:
    r"""Return texts beside what is restored of them, with the characters that differ marked below.

    Examples
    --------
    >>> print("\n".join(side_by_side(["emma", "noah"], ["emmi", "noah"])))
    emma  emmi
             ^
    noah  noah
    """
    rows: list[tuple[str, str]] = []
    for before, after in zip(text_lines(originals), text_lines(restored), strict=True):
        for start in range(0, max(len(before), len(after), 1), _WIDEST):
            left, right = before[start : start + _WIDEST], after[start : start + _WIDEST]
            rows.append((left, right))
            marks = _marks(left, right)
            if marks:
                rows.append(("", marks))
    return aligned(rows)


def _marks(left: str, right: str) -> str:
    """Return a mark below each character that differs; empty if none does."""
    width = max(len(left), len(right))
    pairs = zip(left.ljust(width, "\0"), right.ljust(width, "\0"), strict=True)
    return "".join(_SAME if a == b else _MARK for a, b in pairs).rstrip()


def text_lines(texts: Sequence[str]) -> list[str]:
    """Return texts as lines to print."""
    return [printable(text, lines=False) for text in texts]


def checked_texts(model: Autoencoder, source: Any) -> tuple[list[str], list[str]]:
    """Return the texts of a source, and what a model restores of them."""
    from narrows.data.text.pieces import texts_of
    from narrows.data.text.texts import decoded

    restored: list[str] = model.reconstruct(source)
    if source.text is None:
        return texts_of(source.values), restored
    return [decoded(text) for text in source.text.texts], restored
