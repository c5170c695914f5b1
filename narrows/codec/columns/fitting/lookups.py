"""Columns that another determines: what each of its numbers gives is stored once, with the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.packing import pack_signed_numbers
from narrows.codec.columns.plan import Lookup
from narrows.codec.columns.plan_bytes import MOST_KEYS
from narrows.codec.columns.streams import Stream

__all__ = ["determined_bits", "find_lookup"]

_MOST_SIZE = 1 << 62
_FEW_BITS_PER_ROW = 1.0


def _is_determined(values: NDArray[np.int64], keys: NDArray[np.int64]) -> bool:
    """Return whether equal keys (n,) have equal values (n,), and there are fewer keys than rows."""
    order = np.argsort(keys, kind="stable")
    ordered, given = keys[order], values[order]
    is_same = ordered[1:] == ordered[:-1]
    return bool(is_same.any() and (given[1:] == given[:-1])[is_same].all())


def _bits_of(lookup: Lookup) -> int:
    """Return the bits of a lookup in a model."""
    return 8 * len(pack_signed_numbers([*np.diff(lookup.keys, prepend=0).tolist(), *lookup.values.tolist()]))


def find_lookup(
    streams: Sequence[Stream], k: int, sources: Sequence[int], rows: NDArray[np.int64]
) -> tuple[Lookup, int] | None:
    """Return the smallest lookup that gives stream k from one of these streams, and its bits; None if none does.

    ``rows`` are some of the rows, on which most streams are ruled out.
    """
    one, best = streams[k], None
    known = np.ones(len(one.values), bool) if one.present is None else one.present
    if not known.any() or np.abs(one.values[known]).max() >= _MOST_SIZE:
        return None
    first = rows[known[rows]]
    for source in sources:
        other = streams[source]
        if other.present is not None and not other.present[known].all():
            continue
        if not _is_determined(one.values[first], other.values[first]):
            continue
        keys, at = np.unique(other.values[known], return_index=True)
        few = len(keys) <= MOST_KEYS and np.abs(keys).max() < _MOST_SIZE
        if few and _is_determined(one.values[known], other.values[known]):
            lookup = Lookup(source, keys, one.values[known][at])
            bits = _bits_of(lookup)
            if best is None or bits < best[1]:
                best = lookup, bits
    return best


def determined_bits(
    streams: Sequence[Stream], given: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of these rows in the bits of a lookup of stream j by stream k (n, n); infinite without one.

    Only pairs are tried for which ``given`` has more bits than a few.
    """
    n = len(streams)
    found, share = np.full((n, n), np.inf), len(rows) / len(streams[0].values)
    for j, k in np.argwhere(np.isfinite(given) & (given > _FEW_BITS_PER_ROW * len(rows))):
        one = find_lookup(streams, int(j), [int(k)], rows)
        if one is not None:
            found[j, k] = one[1] * share
    return found
