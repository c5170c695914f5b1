"""Colours of records by label: classes, a scale, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, InvalidParameterError, ShapeMismatchError
from narrows.pictures.records import finite
from narrows.pictures.style import CLASSES, FAINT

__all__ = ["Colouring", "colour_by"]

_MOST_CLASSES = 20


@dataclass(frozen=True, kw_only=True)
class Colouring:
    """Colours of points.

    Parameters
    ----------
    scatter : dict
        Arguments for `Axes.scatter`; arrays have one entry per record.
    classes : dict of str to str
        Name and colour of every class, in the order of the legend. Empty for a scale and for no labels.
    index : int array of shape (n,)
        The class of every record, as its index in `classes`.
    is_scale : bool
        Whether the labels are a scale, which needs a colour bar.
    """

    scatter: dict[str, Any]
    classes: dict[str, str] = field(default_factory=dict)
    index: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    is_scale: bool = False


def colour_by(labels: ArrayLike | None, names: Mapping[Any, str] | Sequence[str] | None, *, n: int) -> Colouring:
    """Choose colours for `n` records.

    Parameters
    ----------
    labels : array-like of shape (n,), optional
        Numbers or strings; a masked array of numbers where some are missing.
    names : dict or sequence, optional
        Names of the classes.
    n : int
        The number of records.

    Returns
    -------
    Colouring

    Raises
    ------
    DataError, ShapeMismatchError, NonFiniteDataError, InvalidParameterError
        As for `narrows.pictures.maps`.
    """
    if labels is None:
        return Colouring(scatter={"color": CLASSES[0]})
    values = np.asarray(labels)
    if values.ndim != 1:
        raise DataError(f"The 'labels' of maps must be one for each record, shape ({n},). Got shape {values.shape}.")
    if len(values) != n:
        raise ShapeMismatchError(f"There must be as many labels as codes. Got {n} codes and {len(values)} labels.")
    missing = np.ma.getmaskarray(np.ma.asarray(labels)) if isinstance(labels, np.ma.MaskedArray) else None
    if values.dtype.kind in "biuf":
        finite("labels", values if missing is None else values[~missing])
    else:
        values = values.astype(str)
    if missing is not None and missing.any():
        return _with_missing(values, missing, names)
    distinct, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_number = values.dtype.kind in "iuf"
    if is_number and (len(distinct) > _MOST_CLASSES or np.any(distinct != np.floor(distinct))):
        return Colouring(scatter={"c": values.astype(np.float64), "cmap": "viridis"}, is_scale=True)

    kept = np.sort(np.argsort(-counts, kind="stable")[: _MOST_CLASSES - 1 if len(distinct) > _MOST_CLASSES else None])
    place = np.full(len(distinct), len(kept), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    classes = dict(zip((_name(distinct[i], names) for i in kept), _palette(len(kept)), strict=True))
    if len(classes) < len(kept):
        raise InvalidParameterError(f"The 'label_names' of maps must be different for each label. Got {names!r}.")
    if len(kept) < len(distinct):
        classes[f"other ({len(distinct) - len(kept)})"] = FAINT
    index = place[index]
    return Colouring(scatter={"c": np.array(list(classes.values()))[index]}, classes=classes, index=index)


def _with_missing(
    values: NDArray[Any], missing: NDArray[np.bool_], names: Mapping[Any, str] | Sequence[str] | None
) -> Colouring:
    """Return the colours of numbers of which some are missing: these are pale, or a pale class."""
    known = colour_by(values[~missing], names, n=int((~missing).sum()))
    if known.is_scale or missing.all():
        from matplotlib import colormaps

        pale = colormaps["viridis"].with_extremes(bad=FAINT)
        return Colouring(
            scatter={"c": np.where(missing, np.nan, values), "cmap": pale, "plotnonfinite": True}, is_scale=True
        )
    classes = {**known.classes, "missing": FAINT}
    index = np.full(len(values), len(known.classes), dtype=np.intp)
    index[~missing] = known.index
    return Colouring(scatter={"c": np.array(list(classes.values()))[index]}, classes=classes, index=index)


def _name(label: Any, names: Mapping[Any, str] | Sequence[str] | None) -> str:
    """Return the name of a class."""
    value = label.item() if hasattr(label, "item") else label
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names is None:
        return str(value)
    if isinstance(names, Mapping):
        if value in names:
            return str(names[value])
    elif isinstance(value, int) and 0 <= value < len(names):
        return str(names[value])
    raise InvalidParameterError(f"The 'label_names' of maps have no name for the label {value!r}.")


def _palette(n: int) -> list[str]:
    """Return `n` colours; beyond ten, the dark and light pairs of Matplotlib's tab20."""
    if n <= len(CLASSES):
        return list(CLASSES[:n])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["tab20"](np.arange(n))]
