"""Records of text compared with what is restored of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.records.symbols import END

__all__ = ["compared", "lengths_of"]


def compared(
    values: npt.NDArray[Any], restored: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the number of right bytes of each record, and of all its bytes: those of the longer of both.

    Parameters
    ----------
    values, restored : ndarray of shape (n, length)
        Symbols of records as they were and as they are restored.

    Examples
    --------
    >>> compared(np.array([[5, 13, 13, 1, 0]]), np.array([[5, 13, 13, 9, 1]]))
    (array([3]), array([5]))
    """
    n_bytes = np.maximum(lengths_of(values), lengths_of(restored))
    inside = np.arange(values.shape[1]) < n_bytes[:, None]
    return ((values == restored) & inside).sum(1), n_bytes


def lengths_of(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the number of symbols of each record (n, length) before its end."""
    ends = values == END
    lengths: npt.NDArray[np.int64] = np.where(ends.any(1), ends.argmax(1), values.shape[1])
    return lengths
