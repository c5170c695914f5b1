"""ITQ, PQ and OPQ by faiss."""

from __future__ import annotations

import numpy as np
from measures import Rows, flat, of_vectors

from narrows.data import Source


def quantisers(train: Source, test: Source, bits: int) -> Rows:
    """Return ITQ, PQ and OPQ by faiss, at a number of bits for a record; records are filled up with zeros."""
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(1)
    n_bytes = bits // 8
    x, q = (flat(source.values).astype(np.float32) for source in (train, test))
    wide = -(-x.shape[1] // n_bytes) * n_bytes
    x, q = (np.ascontiguousarray(np.pad(one, ((0, 0), (0, wide - one.shape[1])))) for one in (x, q))
    rows: Rows = {}
    itq = faiss.ITQTransform(wide, bits, True)
    itq.train(x)
    signs = [np.where(itq.apply(one) > 0, 1, -1).astype(np.float32) for one in (x, q)]
    rows["ITQ"] = of_vectors(*signs, train, test)
    for name in ("PQ", "OPQ"):
        given = [x, q]
        if name == "OPQ":
            rotation = faiss.OPQMatrix(wide, n_bytes)
            rotation.niter = 10
            rotation.train(x[:: max(1, len(x) // 20_000)])
            given = [rotation.apply(one) for one in given]
        pq = faiss.ProductQuantizer(wide, n_bytes, 8)
        pq.train(given[0])
        rows[name] = of_vectors(pq.decode(pq.compute_codes(given[0])), given[1], train, test)
    return {name: {**row, "bytes": float(n_bytes)} for name, row in rows.items()}
