"""The labels that `compress` stores: those of the data, an array's, or a file's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from narrows.archive.labels import Label
from narrows.data.label_files import read_label_file
from narrows.data.labels import plain_labels
from narrows.errors import InvalidParameterError, ShapeMismatchError

if TYPE_CHECKING:
    from narrows.archive.layouts import Layout
    from narrows.archive.metadata import Metadata
    from narrows.data import Source

__all__ = ["labels_for"]


def labels_for(
    source: Source, given: Any, layout: Layout, before: Metadata | None, path: str | os.PathLike[str]
) -> list[Label] | None:
    """Return the label of each record; None if none are stored.

    Parameters
    ----------
    source : Source
        The records.
    given : "auto", path, array_like of shape (n,), or None
        "auto": those of the data. A path: one for each record, as `read_label_file` reads them.
    layout : Layout
        How items are made of records.
    before : Metadata or None
        Of the archive that is appended to: if it has labels, appended records need some, by default those of the data.
    path : path-like
        The archive, for messages.

    Raises
    ------
    InvalidParameterError
        If the data have no labels, the archive that is appended to has none, or items are not records.
    ShapeMismatchError
        If there is not one label for each record.
    DataError
        If labels are missing, or neither numbers nor text, or the file cannot be read.
    """
    if before is not None:
        if given is None and before.has_labels:
            given = "auto"
        elif given is not None and not before.has_labels:
            raise InvalidParameterError(
                f"{os.fspath(path)} has no labels, so records cannot be appended with labels. Omit 'labels' "
                "(--labels), or write a new archive."
            )
    if given is None:
        return None
    if layout.n_records != 1 or source.text is not None or source.windows is not None:
        raise InvalidParameterError(
            f"Labels are stored for archives of which each item is one record. Got {layout}. Omit 'labels' (--labels)."
        )
    if isinstance(given, str) and given == "auto":
        labels = source.named_labels
        if labels is None:
            raise InvalidParameterError(
                f"{source.name} has no labels. Give them as an array or in a file, one for each record (--labels FILE)."
            )
    elif isinstance(given, str | os.PathLike):
        labels = read_label_file(given)
    else:
        labels = plain_labels(given)
    if labels.shape != (len(source),):
        raise ShapeMismatchError(
            f"There must be one label for each of the {len(source):,} records of {source.name}. Got {labels.shape}."
        )
    if labels.dtype.kind in "bui":
        return [int(label) for label in labels.tolist()]
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        return [int(label) for label in labels.tolist()]
    return [str(label) for label in labels.tolist()]
