"""Data: `open` turns an array, a path or a name into a :class:`Source`.

>>> import numpy as np
>>> import narrows.data
>>> narrows.data.open(np.zeros((100, 8, 8), dtype="float32"))
Source(name='array (100, 8, 8) float32', kind='array', n_records=100, shape=(8, 8), dtype=float32)
>>> narrows.data.open("digits:test", limit=5).n_records
5

Files and folders have formats (`narrows.data.formats`); data sets with names are in `named` (with `download`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.io.packages import names_from

if TYPE_CHECKING:
    from narrows.data.arrays import check_values
    from narrows.data.finite import check_finite, finite_range, range_of_finite
    from narrows.data.named import named_sets
    from narrows.data.opening import open  # noqa: A004
    from narrows.data.source import Source
    from narrows.data.writing import write
    from narrows.errors import DataWarning
    from narrows.io.progress import Progress

__all__ = [
    "DataWarning",
    "Progress",
    "Source",
    "check_finite",
    "check_values",
    "finite_range",
    "named_sets",
    "open",
    "range_of_finite",
    "write",
]

# The command line reads the options of formats before NumPy is needed, so these names are imported at first use.
_HOMES = {
    "DataWarning": "narrows.errors",
    "Progress": "narrows.io.progress",
    "Source": "narrows.data.source",
    "check_finite": "narrows.data.finite",
    "check_values": "narrows.data.arrays",
    "finite_range": "narrows.data.finite",
    "named_sets": "narrows.data.named",
    "open": "narrows.data.opening",
    "range_of_finite": "narrows.data.finite",
    "write": "narrows.data.writing",
}
__getattr__ = names_from(_HOMES, "narrows.data")


def __dir__() -> list[str]:
    return sorted(__all__)
