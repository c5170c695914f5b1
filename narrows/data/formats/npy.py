"""One NumPy array in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.data.formats.contract import Format, OnRecords
from narrows.io.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from narrows.data.source import Source

__all__ = ["Npy"]


class Npy(Format, name="npy"):
    """An array (n, *shape) in a `.npy` file, memory-mapped."""

    title: ClassVar[str] = ".npy files"
    reads: ClassVar[str] = ".npy files"
    target: ClassVar[str] = "a path that ends in .npy"

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith(".npy") or head.startswith(b"\x93NUMPY")

    def open(self, path: Path, name: str, *, limit: int | None = None, on_records: OnRecords | None = None) -> Source:
        from narrows.data.numpy_files import open_npy

        return open_npy(path, name)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith(".npy")

    @classmethod
    def write(
        cls,
        path: Path,
        pieces: Iterable[NDArray[Any]],
        *,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        names: Callable[[], Sequence[str] | None],
        force: bool,
    ) -> None:
        from narrows.data.numpy_files import write_npy

        write_atomically(path, lambda file: write_npy(file, pieces, shape, dtype), force=force)
