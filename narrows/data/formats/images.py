"""Images: a file, a folder or a glob."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.io.magic import IMAGE_ENDINGS
from narrows.io.progress import Progress
from narrows.parts.options import Choice, Size, Spelling, option, optional

if TYPE_CHECKING:
    import numpy as np

    from narrows.data.source import Source

__all__ = ["Images"]


class Images(Format, name="images"):
    """Images of one size; written as a folder of PNG images."""

    title: ClassVar[str] = "image files"
    reads: ClassVar[str] = f"images ({', '.join(IMAGE_ENDINGS)}: a file, a folder or a glob)"
    target: ClassVar[str] = "a path that ends in / (a folder of PNG images)"
    keeps_names: ClassVar[bool] = True

    resize: tuple[int, int] | None = option(
        optional(Size()), "height and width to which every image file is resized", default=None
    )
    convert: str | None = option(
        optional(Spelling("grey", "colour", gray="grey", color="colour")),
        "convert every image file to grey or to colour",
        default=None,
    )
    bits: int | None = option(optional(Choice(8)), "round image files of 16 bits per channel to 8 bits", default=None)

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.suffix.lower() in IMAGE_ENDINGS or path.is_dir()

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.images import open_images

        return open_images(path, name, limit=limit, progress=progress, **self.get_params(deep=False))

    def open_glob(
        self, pattern: Path, name: str, *, limit: int | None = None, progress: Progress | None = None
    ) -> Source:
        """Return the images that a pattern matches."""
        from narrows.data.images import open_images

        options = self.get_params(deep=False)
        return open_images(pattern.parent, name, pattern=str(pattern), limit=limit, progress=progress, **options)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return is_folder

    @classmethod
    def check_target(cls, text: str, *, force: bool) -> None:
        from narrows.data.image_writer import check_folder_target

        check_folder_target(text, force=force)

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        from narrows.data.image_writer import check_images

        check_images(shape, dtype)

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        from narrows.data.image_names import image_names
        from narrows.data.image_writer import write_images

        target = Path(os.path.realpath(path))
        write_images(target, records.pieces, image_names(records.shape[0], records.names()), force=force)
