"""The columns of a table as whole numbers, categories and texts, as coders see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "Ids", "Numbers", "Texts"]


@dataclass(frozen=True, eq=False)
class Numbers:
    """One column of whole numbers; decimals, dates and times come scaled to whole numbers.

    Attributes
    ----------
    values : ndarray of int64, shape (n,)
        The numbers; anything where one is missing.
    missing : ndarray of bool, shape (n,), or None
        Whether a number is missing; None: none is.
    """

    values: NDArray[np.int64]
    missing: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Ids:
    """One column of categories: numbers of the entries of a dictionary.

    Attributes
    ----------
    values : ndarray of int64, shape (n,)
        0 to ``n_known - 1``, or ``n_known`` for a category that is not in the dictionary; anything where one is
        missing.
    missing : ndarray of bool, shape (n,), or None
        Whether a category is missing; None: none is.
    n_known : int
        The number of entries of the dictionary.
    """

    values: NDArray[np.int64]
    missing: NDArray[np.bool_] | None
    n_known: int


@dataclass(frozen=True, eq=False)
class Texts:
    """One column of identifiers or free text.

    Attributes
    ----------
    values : list of bytes
        The texts, n of them; anything where one is missing.
    missing : ndarray of bool, shape (n,), or None
        Whether a text is missing; None: none is.
    """

    values: list[bytes]
    missing: NDArray[np.bool_] | None = None


Column = Numbers | Ids | Texts
