"""The codec's kernels in C, or None where narrows was installed without a compiler: then NumPy does their work."""

from __future__ import annotations

from types import ModuleType

__all__ = ["compiled", "kernels", "kernels_line"]

compiled: ModuleType | None
try:
    from narrows.codec import _inner
except ImportError:
    compiled = None
else:
    compiled = _inner


def kernels() -> str:
    """Return what computes the codec's inner loops in this process: ``"C"`` or ``"NumPy"``, with the same result."""
    return "NumPy" if compiled is None else "C"


def kernels_line(running: str) -> str:
    """Return for people which kernels run, as `kernels` names them, and what to do about slow ones.

    Examples
    --------
    >>> kernels_line("C")
    'kernels: C'
    """
    if running == "C":
        return "kernels: C"
    return f"kernels: {running} (install a C compiler and reinstall narrows: about ten times faster)"
