"""Records: what one record of the data is."""

from narrows.records.fields import Field
from narrows.records.image_layout import ImageLayout
from narrows.records.schema import Columns, Image, Schema, Series, Text, Vector, check_shape, guess_kind, schema_of

__all__ = [
    "Columns",
    "Field",
    "Image",
    "ImageLayout",
    "Schema",
    "Series",
    "Text",
    "Vector",
    "check_shape",
    "guess_kind",
    "schema_of",
]
