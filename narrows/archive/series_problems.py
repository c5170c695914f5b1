"""What is wrong with the columns of series or texts in an archive."""

from __future__ import annotations

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import Header, read_trailer
from narrows.archive.layout import BlockType
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import TextLayout
from narrows.archive.report import Problem
from narrows.archive.scan import Scanned
from narrows.archive.series import read_series
from narrows.archive.series_recovery import has_series
from narrows.archive.texts import read_texts
from narrows.errors import CorruptArchiveError

__all__ = ["problems_of_series"]


def problems_of_series(source: ByteFile, header: Header, scanned: list[Scanned]) -> list[Problem]:
    """Return the problems of the columns of series or texts."""
    what = "series" if header.metadata.text is None else "texts"
    damaged = [one for one in scanned if one.block.type == BlockType.COLUMN and not one.is_whole]
    if damaged:
        return [
            Problem(offset, f"a column of its {what} is damaged: its checksum is wrong") for offset, _, _ in damaged
        ]
    try:
        if has_series(header.metadata):
            index, items = read_trailer(source, header), layout_of(header.metadata)
            read_series(source, header.metadata, index, items.n_items(index.n_records), items.shape)
        elif header.metadata.text is not None:
            layout = layout_of(header.metadata)
            assert isinstance(layout, TextLayout), "the records are pieces of texts"
            read_texts(source, layout, read_trailer(source, header))
    except CorruptArchiveError as error:
        return [Problem(0, str(error))] if "its trailer" not in str(error) and "its index" not in str(error) else []
    return []
