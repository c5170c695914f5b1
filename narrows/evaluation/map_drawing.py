"""Maps of records as pictures, and as pages to explore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from narrows import pictures
from narrows.data.text.texts import decoded
from narrows.pictures.map_page import PageView, map_page
from narrows.records import ImageLayout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.uses.record_map import RecordMap

__all__ = ["draw_record_map", "record_map_page"]

_DRAWABLE_CHANNELS = (1, 3, 4)


def draw_record_map(found: RecordMap, *, colour: str | None = None) -> Figure:
    """Return a picture of a map: the codes beside PCA of the records; of texts, with the words.

    Parameters
    ----------
    found : RecordMap
        The result of `narrows.uses.map_records`.
    colour : str, optional
        The column that colours the points; by default the label, if there is one.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If there is no such column.
    """
    shown = {view.title: view.points for view in found.views}
    labels = found.column(colour)
    if labels is not None and labels.dtype.kind == "f":
        labels = np.ma.masked_invalid(labels)  # missing cells of a table
    return pictures.maps(shown, labels, texts=_texts(found))


def record_map_page(found: RecordMap, *, colour: str | None = None, title: str | None = None) -> str:
    """Return a map as one self-contained page.

    It shows the record under the pointer, thumbnails instead of dots when zoomed in, and the nearest neighbours by code
    of a point that is clicked. Points in a lasso are saved as a file of their indices.

    Parameters
    ----------
    found : RecordMap
        The result of `narrows.uses.map_records`.
    colour : str, optional
        The column that colours the points first; by default the label, if there is one.
    title : str, optional
        The title; by default the name of the data.

    Returns
    -------
    str
        The page; `narrows.evaluation.write_report` writes it.

    Raises
    ------
    DataError
        If there is no such column.
    """
    source, record = found.source, found.record
    if colour is not None:
        found.column(colour)
    if record == "image" and ImageLayout.of(source.shape).channels not in _DRAWABLE_CHANNELS:
        record = "vector"
    texts = _texts(found)
    return map_page(
        title or source.name,
        [PageView(view.title, view.points, view.accuracy, view.trustworthiness) for view in found.views],
        found.codes,
        found.columns,
        record=record,
        values=None if texts is not None else source.values,
        texts=texts,
        value_names=source.columns,
        words=found.words,
        places=found.columns["index"],
        names=source.files,
        column=colour or ("label" if "label" in found.columns else None),
    )


def _texts(found: RecordMap) -> list[str] | None:
    text = found.source.text
    return None if text is None else [decoded(one) for one in text.texts]
