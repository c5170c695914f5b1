"""The codec's kernels in C, or None where narrows was installed without a compiler: then NumPy does their work."""

from __future__ import annotations

from types import ModuleType

__all__ = ["compiled", "kernels_line", "kernels_used"]

compiled: ModuleType | None
try:
    import narrows.codec.kernels._kernels as compiled
except ImportError:
    compiled = None


def kernels_used() -> str:
    """Return what computes the codec's inner loops in this process: ``"C"`` or ``"NumPy"``, with the same result."""
    return "NumPy" if compiled is None else "C"


def kernels_line(running: str) -> str:
    """Return for people which kernels run, as `kernels_used` names them, and what to do about slow ones.

    Examples
    --------
    >>> kernels_line("C")
    'kernels: C'
    """
    if running == "C":
        return "kernels: C"
    return f"kernels: {running} (install a C compiler and reinstall narrows: about ten times faster)"
