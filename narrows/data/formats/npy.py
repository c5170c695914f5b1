"""One NumPy array in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.series_options import stride_option, window_option
from narrows.io.files import write_atomically
from narrows.io.progress import Progress

if TYPE_CHECKING:
    from narrows.data.source import Source

__all__ = ["Npy"]


class Npy(Format, name="npy"):
    """An array in a `.npy` file, memory-mapped: records (n, *shape), or a series (steps,) or (steps, channels)."""

    title: ClassVar[str] = ".npy files"
    reads: ClassVar[str] = ".npy files"
    target: ClassVar[str] = "a path that ends in .npy"

    window: int | str | None = window_option()
    stride: int | None = stride_option()

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith(".npy") or head.startswith(b"\x93NUMPY")

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.numpy_files import map_npy, open_npy
        from narrows.data.series.sources import source_of_array

        options: dict[str, Any] = self.get_params(deep=False)
        values = map_npy(path, name)
        if any(options.values()) or values.ndim == 1:
            return source_of_array(values, name=name, kind="npy", **options)
        return open_npy(path, name)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith(".npy")

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        from narrows.data.numpy_files import write_npy

        write_atomically(path, lambda file: write_npy(file, records.pieces, records.shape, records.dtype), force=force)
