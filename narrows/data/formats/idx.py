"""IDX files, the format of MNIST."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.errors import OutputExistsError
from narrows.io.files import write_atomically
from narrows.io.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from narrows.data.source import Source

__all__ = ["Idx"]


class Idx(Format, name="idx"):
    """An array in an IDX file, gzipped or not, with the labels from the file beside it."""

    title: ClassVar[str] = "IDX files"
    reads: ClassVar[str] = "IDX files (gzipped or not)"
    target: ClassVar[str] = "a path with the name of an IDX file (…-idx3-ubyte or .idx, with or without .gz)"

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        from narrows.data.idx import is_gzipped_idx, is_idx

        return is_idx(head) or re.search(r"idx\d|\.idx$", path.name) is not None or is_gzipped_idx(path, head)

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.idx import open_idx

        return open_idx(path, name)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and re.search(r"idx\d|\.idx(\.gz)?$", path.name.lower()) is not None

    @classmethod
    def check_target(cls, text: str, *, force: bool) -> None:
        """Also refuse a path beside a file of labels, which would become the labels of the new records."""
        from narrows.data.idx import label_file
        from narrows.io.files import as_path

        super().check_target(text, force=force)
        labels = label_file(as_path(text))
        if labels is not None:
            raise OutputExistsError(
                f"The file of labels '{labels}' would be read as the labels of the records in '{text}'. "
                "Remove it, or write to another name."
            )

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        from narrows.data.idx_writer import check_idx

        check_idx(shape, dtype)

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        from narrows.data.idx_writer import write_idx

        gzipped = path.name.lower().endswith(".gz")

        def to_file(file: BinaryIO) -> None:
            write_idx(file, records.pieces, records.shape, records.dtype, gzipped=gzipped)

        write_atomically(path, to_file, force=force)
