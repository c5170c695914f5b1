"""Puts the page of a map together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.principal import principal_directions
from narrows.pictures.colouring import colour_by
from narrows.pictures.map_page.payload import Payload
from narrows.pictures.map_page.shown_records import add_images, add_lines, add_rows, add_texts

__all__ = ["PageView", "map_page"]

_SCRIPTS = (
    "data", "camera", "points_webgl", "points_canvas", "grid", "sprites", "records", "neighbours", "colours", "lasso",
    "state", "overlay", "pace", "main", "events",
)  # fmt: skip
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
_LONGEST_CODE = 32
_LONGEST_ROW = 24  # values of a vector without names of columns that are listed; longer ones are lines
_MOST_COLUMN_VALUES = 2_000_000
_RANGE = (0.5, 99.5)  # percentiles of a column at the ends of its scale of colours
_STOPS = 17
_LEVELS = 32767
_KIND = ' type="module"'  # of the script: its names are its own


@dataclass(frozen=True, eq=False)
class PageView:
    """One map of the page: its title, the points (n, 2), and its scores, None where they are not defined."""

    title: str
    points: NDArray[np.float64]
    accuracy: float | None = None
    trustworthiness: float | None = None


def map_page(
    title: str,
    views: Sequence[PageView],
    codes: NDArray[Any],
    columns: Mapping[str, NDArray[Any]],
    *,
    record: str,
    values: NDArray[Any] | None = None,
    texts: Sequence[str] | None = None,
    value_names: Sequence[str] | None = None,
    words: Mapping[str, NDArray[Any]] | None = None,
    names: Sequence[str] | None = None,
    column: str | None = None,
    places: NDArray[Any] | None = None,
) -> str:
    """Return a self-contained page.

    Parameters
    ----------
    title : str
        The title.
    views : sequence of PageView
        The maps, of the same n records; the first is shown first.
    codes : ndarray of shape (n, d)
        The codes, by which neighbours are found. Of more than 32 numbers the page has 32 principal components.
    columns : dict of str to ndarray of shape (n,)
        What points can be coloured by.
    record : str
        What a record is: "image", "series", "text" or "vector".
    values : ndarray of shape (n, *shape), optional
        The records; not needed for texts.
    texts : sequence of str, optional
        The texts.
    value_names : sequence of str, optional
        The names of the values of a vector.
    words : mapping of str to ndarray of shape (n,), optional
        Words that are shown in the place of values of some names.
    names : sequence of str, optional
        The name of each record.
    column : str, optional
        The column that colours the points first; None: none.
    places : ndarray of shape (n,), optional
        The number of each record in the data, which the page shows and saves; by default from 0 to n − 1.

    Returns
    -------
    str
        The page. It runs scripts of its own, and its content policy forbids to load anything.
    """
    order = _along_a_curve(views[0].points)
    payload = Payload()
    payload.add("index", (order if places is None else places[order]).astype(np.uint32))
    payload.facts["views"] = [_view(payload, i, view, order) for i, view in enumerate(views)]
    payload.facts["scale"] = _scale()
    shown = dict(list(columns.items())[: max(4, _MOST_COLUMN_VALUES // len(order))])
    payload.facts["columns"] = [_column(payload, i, *one, order) for i, one in enumerate(shown.items())]
    payload.facts["column"] = -1 if column is None else list(shown).index(column)
    payload.facts["codeLength"] = _add_codes(payload, codes[order])
    payload.facts["names"] = None if names is None else [names[i] for i in order]
    some = {name: of_column[order] for name, of_column in (words or {}).items()}
    _add_records(payload, order, record=record, values=values, texts=texts, value_names=value_names, words=some)
    script = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n<body>\n"
        f"{_asset('page.html')}\n{payload.elements()}\n<script{_KIND}>\n{script}</script>\n</body>\n</html>\n"
    )


@cache
def _asset(name: str) -> str:
    return files("narrows.pictures.map_page").joinpath("assets", name).read_text(encoding="utf-8")


def _along_a_curve(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of points (n, 2) along a Z-order curve, so that points side by side share sheets of images."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / np.where(high > low, high - low, 1) * 1023).astype(np.int64)
    key = np.zeros(len(points), np.int64)
    for bit in range(10):
        key |= ((cells[:, 0] >> bit) & 1) << (2 * bit) | ((cells[:, 1] >> bit) & 1) << (2 * bit + 1)
    return np.argsort(key, kind="stable")


def _view(payload: Payload, i: int, view: PageView, order: NDArray[np.intp]) -> dict[str, Any]:
    """Add the points of a view, in the square from −1 to 1."""
    low, high = view.points.min(0), view.points.max(0)
    half = float((high - low).max()) / 2 or 1.0
    points = (view.points[order] - (low + high) / 2) / half
    blob = payload.add(f"points-{i}", points.astype(np.float32))
    scores = {"accuracy": view.accuracy, "trustworthiness": view.trustworthiness}
    return {"title": view.title, "blob": blob, **scores}


def _scale() -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 1, _STOPS))]


def _column(payload: Payload, i: int, name: str, values: NDArray[Any], order: NDArray[np.intp]) -> dict[str, Any]:
    """Add a column: classes as bytes, or numbers."""
    colouring = colour_by(np.ma.masked_invalid(values) if values.dtype.kind == "f" else values, None, n=len(values))
    if colouring.classes:
        blob = payload.add(f"column-{i}", colouring.index[order].astype(np.uint8))
        return {"name": name, "blob": blob, "classes": [*colouring.classes], "colours": [*colouring.classes.values()]}
    numbers = values.astype(np.float32)
    low, high = (float(end) for end in np.nanpercentile(numbers, _RANGE))  # missing ones have a colour of their own
    return {"name": name, "blob": payload.add(f"column-{i}", numbers[order]), "low": low, "high": high}


def _add_codes(payload: Payload, codes: NDArray[Any]) -> int:
    """Add codes (n, d) in steps that are the same for all numbers, and return how many numbers each has."""
    centred = np.asarray(codes, np.float64).reshape(len(codes), -1)
    centred = (centred - centred.mean(0)).astype(np.float32)
    if centred.shape[1] > _LONGEST_CODE:
        centred = centred @ principal_directions(centred, min(_LONGEST_CODE, len(centred)), seed=0).T
    largest = float(np.abs(centred).max()) or 1.0
    payload.add("codes", np.round(centred * (_LEVELS / largest)).astype(np.int16))
    return int(centred.shape[1])


def _add_records(
    payload: Payload,
    order: NDArray[np.intp],
    *,
    record: str,
    values: NDArray[Any] | None,
    texts: Sequence[str] | None,
    value_names: Sequence[str] | None,
    words: Mapping[str, NDArray[Any]],
) -> None:
    if texts is not None:
        add_texts(payload, [texts[i] for i in order])
        return
    assert values is not None
    flat = np.asarray(values)[order].reshape(len(order), -1)
    if record not in {"image", "series"} and (value_names is not None or flat.shape[1] <= _LONGEST_ROW):
        add_rows(payload, flat, value_names or [str(i) for i in range(flat.shape[1])], words)
        return
    ordered = np.nan_to_num(np.asarray(values)[order]) if values.dtype.kind == "f" else np.asarray(values)[order]
    if record == "image":
        add_images(payload, ordered)
    elif record == "series":
        add_lines(payload, ordered)
    else:
        add_lines(payload, ordered.reshape(len(ordered), -1))
