"""Records: what one record of the data is."""

from narrows.records.image_layout import ImageLayout
from narrows.records.schema import Image, Schema, Series, Text, Vector, check_shape, guess_kind, schema_of

__all__ = ["Image", "ImageLayout", "Schema", "Series", "Text", "Vector", "check_shape", "guess_kind", "schema_of"]
