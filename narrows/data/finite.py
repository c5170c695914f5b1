"""Where the first NaN or infinity is, found in bounded memory."""

from __future__ import annotations

import numpy as np

from narrows.data.source import Source
from narrows.errors import NonFiniteDataError

__all__ = ["check_finite"]

CHUNK_BYTES = 1 << 24


def check_finite(source: Source, *, advice: str | None = None) -> None:
    """Raise an error that says how many values are not finite, and where the first one is.

    Parameters
    ----------
    source : Source
        Read in chunks of about 16 MiB, so a memory-mapped file larger than memory is fine. Integers and
        booleans pass at once.
    advice : str, optional
        What to do about such values, in a sentence that ends the error. None: remove or fill them.

    Raises
    ------
    NonFiniteDataError
        If there is a NaN or an infinity.

    Examples
    --------
    >>> check_finite(Source(np.array([[1.0, 2.0], [3.0, np.nan]])))
    Traceback (most recent call last):
        ...
    narrows.errors.NonFiniteDataError: array: 1 of 4 values is NaN or infinite. The first is nan, in record 1 at [1]. \
Remove or fill such values first.
    """
    values = source.values
    if values.dtype.kind != "f":
        return
    n_rows = max(1, CHUNK_BYTES * len(values) // max(1, values.nbytes))
    n_bad, first = 0, ""
    for start in range(0, len(values), n_rows):
        chunk = np.asarray(values[start : start + n_rows])
        finite = np.isfinite(chunk)
        if finite.all():
            continue
        if not n_bad:
            record, *within = (int(i) for i in np.unravel_index(int(finite.argmin()), finite.shape))
            first = f"{chunk[(record, *within)]}, in record {start + record:,} at {within}"
        n_bad += finite.size - int(np.count_nonzero(finite))
    if n_bad:
        verb = "is" if n_bad == 1 else "are"
        raise NonFiniteDataError(
            f"{source.name}: {n_bad:,} of {values.size:,} values {verb} NaN or infinite. The first is {first}. "
            f"{advice or 'Remove or fill such values first.'}"
        )
