"""A report on the quality and the training of a model, as one page to send or to keep beside the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.errors import DataError
from narrows.evaluation.metric_table import METRICS, Metric
from narrows.evaluation.page import bars, boxes, cell, figure, number, page, pairs, section, table
from narrows.io.files import write_atomically
from narrows.pictures import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["report", "write_report"]

_OF_COLUMNS = ("restored", "by PCA", "from others", "bits", "own bits", "bits from others")


def report(
    *,
    title: str,
    summary: Mapping[str, str],
    metrics: Mapping[str, Any],
    comparison: Sequence[Mapping[str, Any]] | None = None,
    pictures: Mapping[str, Figure] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    chain: Sequence[tuple[str, str]] | None = None,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> str:
    """Return one self-contained HTML page.

    The page is self-contained: it loads nothing, runs no script, follows the reader's light or dark theme, and fits
    a telephone. All text is escaped.

    Parameters
    ----------
    title : str
        The heading.
    summary : dict of str to str
        The facts at the top, for example ``{"model": "digits.narrows", "data": "MNIST test set"}``.
    metrics : dict of str to number
        Values by the names in `narrows.evaluation.metric_table.METRICS`, which adds unit and description; other names
        are shown without. None is shown as a dash, "not defined for these data".
    comparison : list of dict, optional
        Methods measured on the same records, as in ``[{"name": "this model", "sse_per_record": 3.0}, {"name": "PCA,
        30 components", "sse_per_record": 13.87}]``; the first is this model. Every number becomes a group of bars.
    pictures : dict of str to matplotlib.figure.Figure, optional
        The pictures by caption.
    history : list of dict, optional
        The epochs, which `narrows.pictures.curves` draws.
    chain : list of (str, str), optional
        The parts of the model in order: role and description, as in ``("encoder", "784-1000-500-250-30")``.
    settings : dict, optional
        Every setting with its value.
    command : str, optional
        The command that made the model or this page.
    versions : dict of str to str, optional
        Versions of the software, for example ``{"narrows": "0.1.0", "python": "3.12"}``.

    Returns
    -------
    str
        The page.

    Raises
    ------
    DataError
        An entry of `comparison` without ``name``, or a history that `curves` cannot draw.
    """
    drawn = [figure(caption, picture) for caption, picture in (pictures or {}).items()]
    training = [figure("Loss of every epoch, and the learning rate.", curves(history))] if history else []
    made_with = " · ".join(f"{name} {version}" for name, version in (versions or {}).items())
    body = [
        pairs(summary),
        section("Model", boxes(list(chain or []))),
        section("Measured", _metrics({name: value for name, value in metrics.items() if name != "columns"})),
        section("Columns", _columns(metrics.get("columns") or ())),
        section("Compared", *_comparison(comparison or [])),
        section("Pictures", *drawn),
        section("Training", *training),
        section("Settings", _settings(settings or {})),
        section("Made by", _code(command)),
        _footer(made_with),
    ]
    return page(title, body)


def write_report(path: str | os.PathLike[str], html: str, *, force: bool = False) -> Path:
    """Write a page atomically.

    Parameters
    ----------
    path : path-like
        The file.
    html : str
        The result of `report`.
    force : bool
        Replace an existing file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputExistsError, DataNotFoundError, InvalidParameterError
        As for `narrows.io.files.write_atomically`.
    """

    def write(file: Any) -> None:
        file.write(html.encode("utf-8"))

    return write_atomically(path, write, force=force)


def _columns(columns: Any) -> str:
    """Return a line for each column of a table; nothing for other records."""
    if not columns:
        return ""
    head = [("column", ""), ("kind", ""), *((name, "number") for name in _OF_COLUMNS)]
    lines = []
    for one in columns:
        name = "right" if "right" in one else "mean_error"
        compared = (one[f"{before}{name}{after}"] for before, after in (("", ""), ("pca_", ""), ("", "_from_others")))
        texts = ["–" if x is None else f"{x:.1%}" if name == "right" else f"±{number(x)}" for x in compared]
        texts += [number(one[bits]) for bits in ("bits", "own_bits", "bits_from_others")]
        lines.append([cell(one["name"], "key"), cell(one["kind"]), *(cell(text, "number") for text in texts)])
    return table(head, lines)


def _metrics(metrics: Mapping[str, float | None]) -> str:
    """Return a line for every metric: name, value, unit, meaning."""
    lines = []
    for key, value in metrics.items():
        unit, _, meaning = METRICS.get(key, Metric("", "", ""))
        shown = number(value)
        if shown == "–":
            unit, meaning = "", f"Not defined for these data. {meaning}".strip()
        lines.append(
            [cell(key, "key"), cell(f"{shown} {unit}".strip(), "number"), cell(meaning, "why")],
        )
    return table([("metric", ""), ("value", "number"), ("meaning", "")], lines, "metrics") if lines else ""


def _comparison(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a group of bars for every metric of the entries."""
    if any("name" not in entry for entry in entries):
        raise DataError("Every entry of 'comparison' needs a 'name'.")
    keys = list(dict.fromkeys(key for entry in entries for key in entry if key != "name"))
    groups = []
    for key in keys:
        unit, _, meaning = METRICS.get(key, Metric("", "", ""))
        label = f"{key}, {unit}" if unit else key
        ours = 0 if entries[0].get(key) is not None else None
        groups.append(
            f"<div>{_paragraph(f'{label}: {meaning}' if meaning else label)}"
            f"{bars([(str(entry['name']), entry.get(key)) for entry in entries], ours)}</div>"
        )
    return groups


def _paragraph(text: str) -> str:
    return f'<p class="muted">{escape(text)}</p>'


def _settings(settings: Mapping[str, Any]) -> str:
    """Return a table of settings."""
    lines = [[cell(name, "key"), cell(value, "value")] for name, value in settings.items()]
    return table([("setting", ""), ("value", "")], lines) if lines else ""


def _code(command: str | None) -> str:
    return f"<pre><code>{escape(command)}</code></pre>" if command else ""


def _footer(text: str) -> str:
    return f"<footer>{escape(text)}</footer>" if text else ""
