"""Texts in the lines of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.text_options import length_option
from narrows.errors import DataError
from narrows.io.files import write_atomically
from narrows.io.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from narrows.data.source import Source
    from narrows.data.text import Texts

__all__ = ["TEXT_ENDINGS", "Text"]

TEXT_ENDINGS = (".txt", ".log", ".jsonl", ".ndjson")


class Text(Format, name="text"):
    """A text in each line of a file: of `.jsonl` files as well, whose lines are not parsed."""

    title: ClassVar[str] = "text"
    reads: ClassVar[str] = "lines of .txt, .log and .jsonl files"
    target: ClassVar[str] = "a path that ends in .txt, .log or .jsonl (text)"

    length: int | str | None = length_option()

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith(TEXT_ENDINGS)

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.text.sources import source_of_texts

        texts = self.read(path)
        texts = texts if limit is None or limit >= len(texts) else texts.take(slice(0, limit))
        return source_of_texts(texts, name, "text", length=self.length)

    def read(self, path: Path) -> Texts:
        """Return the whole texts."""
        from narrows.data.text import Texts

        return Texts.of_lines(path, "text")

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith(TEXT_ENDINGS)

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        from narrows.records.symbols import DTYPE

        if len(shape) != 2 or dtype != DTYPE:
            raise DataError(
                f"A text file holds records of text. Got records of shape {shape[1:]} and dtype {dtype}. "
                "Write a .npy file."
            )

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        lines = cls.contents(records)
        write_atomically(path, lambda file: file.writelines(lines), force=force)

    @classmethod
    def contents(cls, records: RecordStream) -> Iterator[bytes]:
        """Return the bytes of the file, piece by piece."""
        from narrows.data.text.lines import line_pieces
        from narrows.data.text.rows import TextRows

        rows = TextRows([1] * records.shape[0]) if records.text is None else records.text
        return line_pieces(iter(records.pieces), rows)
