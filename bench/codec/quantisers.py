"""Product quantisation by faiss: one byte for each of m parts of a record (Jégou, Douze & Schmid 2011).

PQ cuts the record as it is. OPQ turns it first, so that the parts have equal shares of the variance: the parametric
solution of Ge, He, Ke & Sun (2013), which deals the principal axes out to the parts. The bytes are the codes alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
from measuring import Array, Attempt
from numpy.typing import NDArray
from principal import Axes, flat
from records import Records

__all__ = ["attempts"]

N_PARTS = {784: (8, 16, 28, 56, 98, 196), 3072: (8, 16, 32, 64, 128, 256)}
N_ROUNDS = 10  # of k-means


def attempts(records: Records, axes: Axes) -> Iterator[Attempt]:
    train, shape = flat(records.train), records.test.shape[1:]
    for m in N_PARTS[train.shape[1]]:
        yield attempt("PQ", m, train, np.eye(0, dtype=np.float32), shape)
    for m in N_PARTS[train.shape[1]]:
        yield attempt("OPQ", m, train, dealt_out(axes, m), shape)


def attempt(
    method: str, m: int, train: NDArray[np.float32], rotation: NDArray[np.float32], shape: tuple[int, ...]
) -> Attempt:
    """Train a quantiser of m parts; without a rotation (of size 0) the parts are those of the record."""
    quantiser = faiss.ProductQuantizer(train.shape[1], m, 8)
    quantiser.cp.niter = N_ROUNDS
    quantiser.train(train @ rotation.T if rotation.size else train)

    def encode(records: Array) -> list[bytes]:
        x = flat(records)
        return [quantiser.compute_codes(x @ rotation.T if rotation.size else x).tobytes()]

    def decode(stored: list[bytes]) -> Array:
        y = quantiser.decode(np.frombuffer(stored[0], np.uint8).reshape(-1, m))
        y = y @ rotation if rotation.size else y
        return np.rint(np.clip(y, 0, 255)).astype(np.uint8).reshape(-1, *shape)

    side_bytes = 4 * 256 * train.shape[1] + rotation.nbytes
    note = f"codes of 8 bits; {N_ROUNDS} rounds of k-means on {len(train):,} training records"
    return Attempt(method, f"{m} parts", encode, decode, side_bytes, note=note)


def dealt_out(axes: Axes, m: int) -> NDArray[np.float32]:
    """Return the principal axes (d, d) in the order that gives m parts of d/m axes about equal products of variance."""
    d = len(axes.variances)
    logarithms = np.log(np.maximum(axes.variances, 1e-6 * axes.variances[0]))
    parts: list[list[int]] = [[] for _ in range(m)]
    totals = np.zeros(m)
    for axis in range(d):
        free = [part for part in range(m) if len(parts[part]) < d // m]
        part = min(free, key=lambda part: (totals[part], len(parts[part])))
        parts[part].append(axis)
        totals[part] += logarithms[axis]
    return np.ascontiguousarray(axes.axes[np.concatenate(parts)])
