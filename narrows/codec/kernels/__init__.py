"""The codec's compiled kernels, or None if narrows was installed without a C compiler; NumPy then replaces them."""

from __future__ import annotations

from types import ModuleType

__all__ = ["compiled", "kernels_line", "kernels_used"]

compiled: ModuleType | None
try:
    import narrows.codec.kernels._kernels as compiled
except ImportError:
    compiled = None


def kernels_used() -> str:
    """Return the implementation of the codec's inner loops in this process: ``"C"`` or ``"NumPy"``."""
    return "NumPy" if compiled is None else "C"


def kernels_line(running: str) -> str:
    """Return a line of text that names the kernels of `kernels_used`, and how to install the faster ones.

    Examples
    --------
    >>> kernels_line("C")
    'kernels: C'
    """
    if running == "C":
        return "kernels: C"
    return f"kernels: {running} (install a C compiler and reinstall narrows: about ten times faster)"
