"""The compiled kernels of tables; `kernels` has their meaning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]

def fields(
    data: Bytes,
    start: int,
    delimiter: int,
    quote: int,
    has_returns: int,
    n_columns: int,
    starts: Places,
    ends: Places,
    found: Places,
    /,
) -> None: ...
def numbers(
    data: Bytes, starts: Places, ends: Places, values: Places, digits: NDArray[np.int8], styles: Bytes, /
) -> None: ...
def ids(data: Bytes, starts: Places, ends: Places, most: int, table: Places, ids: Places, firsts: Places, /) -> int: ...
def write(values: Places, digits: int, least: int, width: int, text: Bytes, ends: Places, /) -> None: ...
def scatter(data: Bytes, starts: Places, ends: Places, places: Places, out: Bytes, /) -> None: ...
def differ(
    data: Bytes,
    starts: Places,
    ends: Places,
    other: Bytes,
    other_starts: Places,
    other_ends: Places,
    out: NDArray[Any],
    /,
) -> None: ...
