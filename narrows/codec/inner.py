"""The codec's inner loops in C, or None where narrows was installed without a compiler: then NumPy does their work."""

from __future__ import annotations

from types import ModuleType

__all__ = ["compiled"]

compiled: ModuleType | None
try:
    from narrows.codec import _inner
except ImportError:
    compiled = None
else:
    compiled = _inner
