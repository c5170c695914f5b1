"""One thread for products of matrices in NumPy, SciPy and scikit-learn.

Beside a busy process, the threads of a BLAS library wait for each other by spinning; and how a sum is cut among them
decides its last bits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute every product in one thread; afterwards all libraries have their numbers of threads back."""
    with _controller(len(sys.modules)).limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Return what controls the libraries that are loaded; looked for again where more modules were imported since."""
    return ThreadpoolController()
