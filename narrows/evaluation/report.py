"""One page that says how good a model is and how it was made, to send to somebody or to keep beside the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.errors import DataError
from narrows.evaluation.page import bars, boxes, cell, figure, number, page, pairs, section, table
from narrows.io.files import write_atomically
from narrows.pictures import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METRICS", "report", "write_report"]

METRICS: dict[str, tuple[str, str]] = {
    "records": ("", "How many records these numbers were measured on."),
    "sse_per_record": (
        "",
        "Squared error summed over a record's values, averaged over records; pixels in [0, 1], other data in "
        "their own units. Lower is better.",
    ),
    "mse": (
        "",
        "Squared error averaged over all values of all records; pixels in [0, 1], other data in their own "
        "units. Lower is better.",
    ),
    "psnr_db": (
        "dB",
        "Peak signal-to-noise ratio, 10 log₁₀(peak² / mse); the peak is 1 for pixels in [0, 1], else the "
        "range of the training data. Higher is better.",
    ),
    "cross_entropy_per_value": (
        "nats",
        "Binary cross-entropy averaged over all values, which lie in [0, 1]. Lower is better; it cannot reach 0 "
        "unless all values are 0 or 1.",
    ),
    "nats_per_record": (
        "nats",
        "What the model minimises: −log p(x | z) plus the cost of the code, averaged over records; of a variational "
        "model with codes that are drawn, and the weight that the divergence had in training. Lower is better.",
    ),
    "pca_sse_per_record": (
        "",
        "What PCA with as many components leaves of the same records, counted like sse_per_record: the error to beat.",
    ),
    "preprocessed_sse_per_record": (
        "",
        "As sse_per_record, in the units that the model is trained in: where each value is divided by a scale of its "
        "own, all of them count alike. Lower is better.",
    ),
    "pca_preprocessed_sse_per_record": (
        "",
        "What PCA leaves in these units.",
    ),
    "elbo_nats_per_record": (
        "nats",
        "Evidence lower bound on log p(x), given the label where the model is told it: minus reconstruction and KL "
        "divergence, whatever weight the latter had in training. Of grey values under a Bernoulli likelihood it is "
        "the usual score, but no bound on a probability. Higher is better.",
    ),
    "reconstruction_nats_per_record": (
        "nats",
        "−log p(x | z) for a code z that is drawn from what the encoder says of the record.",
    ),
    "kl_nats_per_record": ("nats", "KL divergence of what the encoder says of a record from the prior."),
    "nll_nats_per_record": (
        "nats",
        "At most this much is −log p(x), by importance sampling: a tighter bound than the ELBO. Lower is better.",
    ),
    "bits_per_dimension": (
        "bits",
        "The best of these bounds in bits, for each value. Only where values are 0 and 1, of which the likelihood is a "
        "probability.",
    ),
    "active_units": ("", "Numbers of the code whose means vary by more than 0.01 (as a variance) over the records."),
    "codebook_perplexity": (
        "",
        "e to the entropy of how often each codeword is chosen: as many, chosen equally often, would say as much.",
    ),
    "codewords_in_use": ("", "Codewords that are chosen at all."),
}
"""Unit and plain words for every metric."""


def report(
    *,
    title: str,
    summary: Mapping[str, str],
    metrics: Mapping[str, float | None],
    comparison: Sequence[Mapping[str, Any]] | None = None,
    pictures: Mapping[str, Figure] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    chain: Sequence[tuple[str, str]] | None = None,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> str:
    """Return one self-contained HTML page.

    Everything is in the page itself: it asks for nothing from elsewhere, runs no script, follows the reader's light
    or dark theme, and fits a telephone. All text is escaped.

    Parameters
    ----------
    title : str
        The heading.
    summary : dict of str to str
        The facts to see first, as in ``{"model": "digits.narrows", "data": "MNIST test set"}``.
    metrics : dict of str to number
        By the names of `METRICS`, which add unit and explanation; others are shown as they are. None is shown as
        a dash, "not defined for these data".
    comparison : list of dict, optional
        Rivals measured on the same records, as in ``[{"name": "this model", "sse_per_record": 3.0}, {"name": "PCA,
        30 components", "sse_per_record": 13.87}]``; the first is this model. Every number becomes a group of bars.
    pictures : dict of str to matplotlib.figure.Figure, optional
        By caption.
    history : list of dict, optional
        The epochs, as `narrows.pictures.curves` takes them. Drawn.
    chain : list of (str, str), optional
        The parts of the model in order: role and description, as in ``("encoder", "784-1000-500-250-30")``.
    settings : dict, optional
        Every setting with its value.
    command : str, optional
        What was typed to make the model or this page.
    versions : dict of str to str, optional
        What it was made with, as in ``{"narrows": "0.1.0", "python": "3.12"}``.

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
        section("Measured", _metrics(metrics)),
        section("Compared", *_comparison(comparison or [])),
        section("Pictures", *drawn),
        section("Training", *training),
        section("Settings", _settings(settings or {})),
        section("Made by", _code(command)),
        _footer(made_with),
    ]
    return page(title, body)


def write_report(path: str | os.PathLike[str], html: str, *, force: bool = False) -> Path:
    """Write a page, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    html : str
        What `report` returned.
    force : bool
        Replace a file that is already there.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputExistsError, DataNotFoundError, InvalidParameterError
        As `narrows.io.files.write_atomically`.
    """

    def write(file: Any) -> None:
        file.write(html.encode("utf-8"))

    return write_atomically(path, write, force=force)


def _metrics(metrics: Mapping[str, float | None]) -> str:
    """Return a line for every metric: name, value, unit, meaning."""
    lines = []
    for key, value in metrics.items():
        unit, meaning = METRICS.get(key, ("", ""))
        shown = number(value)
        if shown == "–":
            unit, meaning = "", f"Not defined for these data. {meaning}".strip()
        lines.append(
            [cell(key, "key"), cell(f"{shown} {unit}".strip(), "number"), cell(meaning, "why")],
        )
    return table([("metric", ""), ("value", "number"), ("meaning", "")], lines, "metrics") if lines else ""


def _comparison(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a group of bars for every number that the entries have."""
    if any("name" not in entry for entry in entries):
        raise DataError("Every entry of 'comparison' needs a 'name'.")
    keys = list(dict.fromkeys(key for entry in entries for key in entry if key != "name"))
    groups = []
    for key in keys:
        unit, meaning = METRICS.get(key, ("", ""))
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
