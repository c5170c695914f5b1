"""Layouts: how the records of a codec make the items of an archive (whole records or images).

Every layout is a file of this folder.
"""

from narrows.archive.layouts.contract import AnyLayout, Layout
from narrows.archive.layouts.field import Field
from narrows.archive.layouts.table import TableLayout
from narrows.archive.layouts.texts import TextLayout
from narrows.archive.layouts.tiling import Tiling
from narrows.archive.layouts.whole import Whole
from narrows.archive.layouts.windows import Windows

__all__ = ["AnyLayout", "Field", "Layout", "TableLayout", "TextLayout", "Tiling", "Whole", "Windows"]
