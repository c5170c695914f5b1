"""Numbers as text: the styles in which columns of CSV files are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.csv_reader import MISSING

__all__ = ["number_texts", "style_of"]

_LOOKED_AT = 64


def number_texts(values: npt.NDArray[Any], style: str, missing: str = "") -> list[str]:
    """Return numbers as texts.

    Parameters
    ----------
    values : ndarray of shape (n,)
    style : str
        ``"repr"``: the shortest text that is read as the same float, with a point (``20.0``); ``"short"``: without
        ``.0``; ``".2f"``: with so many digits after the point.
    missing : str
        The text for NaN.

    Examples
    --------
    >>> number_texts(np.array([20.0, 0.5, np.nan]), "repr")
    ['20.0', '0.5', '']
    >>> number_texts(np.array([20.0, 0.5]), "short"), number_texts(np.array([20.0, 0.5]), ".2f")
    (['20', '0.5'], ['20.00', '0.50'])
    """
    if values.dtype.kind in "iub":
        return [str(int(one)) for one in values.tolist()]
    numbers = values.tolist() if values.dtype == np.float64 else [float(str(one)) for one in values]
    if style == "repr":
        return [missing if math.isnan(one) else repr(one) for one in numbers]
    if style == "short":
        return [missing if math.isnan(one) else _short(one) for one in numbers]
    return [missing if math.isnan(one) else format(one, style) for one in numbers]


def style_of(texts: Sequence[str], values: npt.NDArray[np.float64]) -> str:
    """Return the style in which most of the first numbers of a column are written."""
    chosen = [i for i in range(min(len(texts), 4096)) if texts[i].strip() not in MISSING][:_LOOKED_AT]
    first = [texts[i].strip() for i in chosen]
    numbers = values[chosen]
    digits = [len(text.partition(".")[2]) for text in first if "e" not in text.lower()]
    fixed = max(set(digits), key=digits.count, default=0)
    styles = ["repr", "short", f".{min(fixed, 99)}f"]

    def n_same(style: str) -> int:
        return sum(a == b for a, b in zip(number_texts(numbers, style), first, strict=True))

    is_fixed = bool(digits) and min(digits) == max(digits) and n_same(styles[2]) == len(first)
    if is_fixed and all(len(text.strip().partition(".")[2]) == fixed for text in texts if text not in MISSING):
        return styles[2]
    return max(styles, key=n_same)


def _short(number: float) -> str:
    text = repr(number)
    return text.removesuffix(".0")
