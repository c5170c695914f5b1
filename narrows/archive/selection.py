"""Selections of records: a slice, a range or a pair of numbers, with the same meaning in all reading functions."""

from __future__ import annotations

import operator

import numpy as np
import numpy.typing as npt

__all__ = ["Selection", "select"]

Selection = slice | range | tuple[int, int] | list[int] | npt.NDArray[np.integer] | None
"""A selection of records; None selects all of them."""


def select(selection: Selection, n: int) -> range | list[int]:
    """Return the indices of the selected records, out of n.

    Parameters
    ----------
    selection : slice, range, (start, stop), list or ndarray of int, or None
        A slice has the meaning that it has for a list: negative numbers count from the end, and indices outside are
        ignored. The records of a range, and those from start to stop - 1, must all exist. A range or pair may be empty
        if its start is within 0 … n. A list has the indices themselves, in any order; negative ones count from the end.
    n : int
        The number of records.

    Raises
    ------
    IndexError
        If a record does not exist.
    TypeError
        If it is not a selection.

    Examples
    --------
    >>> select(None, 50), select(slice(-5, 99), 50), select((5, 25), 50), select((50, 50), 50)
    (range(0, 50), range(45, 50), range(5, 25), range(50, 50))
    """
    if selection is None:
        return range(n)
    if isinstance(selection, slice):
        try:
            return range(*selection.indices(n)) or range(0)
        except ValueError as error:  # a step of zero
            raise TypeError(f"The slice {selection!r:.80} is not valid: {error}.") from None
    if isinstance(selection, list | np.ndarray):
        return _each(selection, n)
    numbers = selection if isinstance(selection, range) else _between(selection)
    ends = (numbers[0], numbers[-1]) if numbers else (numbers.start,)
    if min(ends) < 0 or max(ends) > (n - 1 if numbers else n):
        raise IndexError(f"There are {n:,} items, with numbers from 0. Got {selection!r:.80}.")
    return numbers


def _each(given: list[int] | npt.NDArray[np.integer], n: int) -> list[int]:
    """Return indices from 0, each of which must exist."""
    if isinstance(given, np.ndarray) and (given.ndim != 1 or given.dtype.kind not in "iu"):
        raise TypeError(f"An array of indices must have one axis and be of integers. Got {given.shape} {given.dtype}.")
    numbers = []
    for one in given:
        if isinstance(one, bool):
            raise TypeError(f"Indices must be integers. Got {one!r}.")
        try:
            numbers.append(operator.index(one))
        except TypeError:
            raise TypeError(f"Indices must be integers. Got {one!r:.80}.") from None
    missing = next((number for number in numbers if not -n <= number < n), None)
    if missing is not None:
        raise IndexError(f"There are {n:,} items, with numbers from 0. Got {missing:,}.")
    return [number % n for number in numbers]


def _between(pair: tuple[int, int]) -> range:
    """Return the numbers from the first of a pair to the one before the second."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(f"A selection must be a slice, a range, (start, stop) or a list of integers. Got {pair!r:.80}.")
    start, stop = (operator.index(bound) for bound in pair)
    if stop < start:
        raise IndexError(f"The start of (start, stop) must not be greater than the stop. Got {pair!r:.80}.")
    return range(start, stop)
