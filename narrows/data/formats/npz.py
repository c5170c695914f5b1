"""Several NumPy arrays in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from narrows.data.formats.contract import Format
from narrows.io.progress import Progress
from narrows.parts.options import Text, option, optional

if TYPE_CHECKING:
    from narrows.data.source import Source

__all__ = ["Npz"]


class Npz(Format, name="npz"):
    """One of the arrays in a `.npz` file, with labels from the same file."""

    title: ClassVar[str] = ".npz files"
    reads: ClassVar[str] = ".npz files"

    key: str | None = option(optional(Text()), "name of the array of records in a .npz file", default=None)

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith(".npz") or (not path.suffix and head.startswith(b"PK"))

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.numpy_files import open_npz

        return open_npz(path, name, self.key)
