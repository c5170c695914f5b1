"""Originals above their reconstructions, with the error of every record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.numerics.squares import SquaredSum
from narrows.pictures.records import as_records, check_same_shape, is_images, value_range
from narrows.pictures.rows import rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["reconstructions"]

_LABELS = {"sse": "squared error", "psnr_db": "PSNR, dB"}


def reconstructions(
    x: ArrayLike,
    x_hat: ArrayLike,
    *,
    n: int = 10,
    names: Sequence[str] | None = None,
    error: Literal["sse", "psnr_db"] | None = "sse",
) -> Figure:
    r"""Draw records above their reconstructions.

    The error of each column is written below it, :math:`\sum_j (x_j - \hat x_j)^2` or
    :math:`-10 \log_{10} \operatorname{mean}_j (x_j - \hat x_j)^2` over the record's values.

    Parameters
    ----------
    x, x_hat : array-like of one shape
        Originals and reconstructions in the same units, in the layouts of `rows`.
    n : int
        Number of records to draw, from the first; fewer if there are fewer.
    names : pair of str, optional
        Names of the two rows. Default: original, restored.
    error : {"sse", "psnr_db"}, optional
        The error written below: squared error summed over the record, or peak signal-to-noise ratio in decibels
        (infinite if the record is restored exactly). For bytes both are computed for pixels in [0, 1], as in the
        metrics; for other data in their own units, with the range of the drawn values as the peak. None: no error.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeMismatchError
        `x` and `x_hat` have different shapes.
    DataError, NonFiniteDataError, InvalidParameterError
        As for `rows`.
    """
    labels = ("original", "restored") if names is None else tuple(names)
    if len(labels) != 2 or labels[0] == labels[1]:
        raise InvalidParameterError(f"The 'names' of reconstructions must be two different names. Got {names!r}.")
    if error is not None and error not in _LABELS:
        raise UnknownNameError("error for the captions", str(error), _LABELS)
    records = {labels[0]: as_records(labels[0], x), labels[1]: as_records(labels[1], x_hat)}
    check_same_shape(records)
    if error is None:
        return rows(records, n=n)
    drawn, drawn_hat = (value[: max(n, 1)] for value in records.values())
    return rows(records, n=n, captions=_errors(drawn, drawn_hat, error), caption_label=_LABELS[error])


def _errors(x: NDArray[Any], x_hat: NDArray[Any], error: str) -> list[str]:
    """Return the error of every record as text."""
    low, high = value_range(x)
    unit = 255.0 if x.dtype == np.uint8 else 1.0
    difference = (x.astype(np.float64) - x_hat).reshape(len(x), -1) / unit
    squared = [SquaredSum.of(one) for one in difference]
    if error == "sse":
        return [_number(float(one)) for one in squared]
    peak = (high - low) / unit if is_images(x) else float(np.ptp(x)) or 1.0
    psnr_db = [one.psnr_db(difference.shape[1], peak) for one in squared]
    return ["∞" if np.isinf(value) else f"{value:.1f}" for value in psnr_db]


def _number(value: float) -> str:
    """Return a number with three significant digits, without an exponent if possible."""
    if value == 0:
        return "0"
    if 0.001 <= value < 100_000:
        digits = max(0, 2 - int(np.floor(np.log10(value))))
        return f"{value:,.{digits}f}"
    return f"{value:.1e}"
