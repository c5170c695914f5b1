"""Data: `open` turns an array, a path or a name into a :class:`Source`.

>>> import numpy as np
>>> import narrows.data
>>> narrows.data.open(np.zeros((100, 8, 8), dtype="float32"))
Source(name='array (100, 8, 8) float32', kind='array', n_records=100, shape=(8, 8), dtype=float32)
>>> narrows.data.open("digits:test", limit=5).n_records
5

Each kind of data has a file: `arrays`, `numpy_files` (NPY and NPZ), `idx`, `images`, `named` (with `download`). A new
kind is a new file and one line in `opening`.
"""

from narrows.data.arrays import check_values
from narrows.data.finite import check_finite, finite_range, range_of_finite
from narrows.data.images import OnImages, parse_size
from narrows.data.named import OnDownload, named_sets
from narrows.data.opening import open  # noqa: A004
from narrows.data.source import DataWarning, Source
from narrows.data.write import write

__all__ = [
    "DataWarning",
    "OnDownload",
    "OnImages",
    "Source",
    "check_finite",
    "check_values",
    "finite_range",
    "named_sets",
    "open",
    "parse_size",
    "range_of_finite",
    "write",
]
