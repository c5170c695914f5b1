"""What a record is: an image, a window of a series, a text, a row of a table or a vector. A model has a schema.

A new kind of record is a class here. An array does not say what its axes mean, so `guess_kind` guesses it from the
shape where it is not set; nothing else in the package guesses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.parts.options import Choice, check
from narrows.records.fields import Field
from narrows.records.image_layout import ImageLayout

__all__ = ["Columns", "Image", "Schema", "Series", "Text", "Vector", "check_shape", "guess_kind", "schema_of"]


@dataclass(frozen=True)
class Schema:
    """What one record is.

    Attributes
    ----------
    shape : tuple of int
        Shape of a record.
    dtype : numpy.dtype
        The dtype in which records are stored.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    kind: ClassVar[str]
    registry: ClassVar[dict[str, type[Schema]]] = {}

    def __init_subclass__(cls, *, kind: str) -> None:
        super().__init_subclass__()
        cls.kind = kind
        Schema.registry[kind] = cls

    @classmethod
    def check(cls, shape: tuple[int, ...]) -> None:
        """Raise InvalidParameterError if records of a shape cannot be of this kind."""


@dataclass(frozen=True)
class Vector(Schema, kind="vector"):
    """Values without neighbours: a row of a table, or an array of any shape that is treated as one."""


@dataclass(frozen=True)
class Image(Schema, kind="image"):
    """An image of shape (H, W), (H, W, channels) or (channels, H, W)."""

    @classmethod
    def check(cls, shape: tuple[int, ...]) -> None:
        if guess_kind(shape) != "image":
            raise InvalidParameterError(
                "Images are records of shape (H, W), (H, W, channels) or (channels, H, W). "
                f"Got record='image' for records of shape {shape}: set record='vector'."
            )

    @property
    def layout(self) -> ImageLayout:
        """Height, width and channels."""
        return ImageLayout.of(self.shape)


@dataclass(frozen=True)
class Series(Schema, kind="series"):
    """A window of a series, of shape (steps,) or (steps, channels). Channels have no order."""

    @classmethod
    def check(cls, shape: tuple[int, ...]) -> None:
        if len(shape) not in {1, 2}:
            raise InvalidParameterError(
                "Windows of a series are records of shape (steps,) or (steps, channels). "
                f"Got record='series' for records of shape {shape}: set record='image' or record='vector'."
            )

    @property
    def steps(self) -> int:
        """The number of time steps of a window."""
        return self.shape[0]

    @property
    def channels(self) -> int:
        """The number of values at each step."""
        return self.shape[1] if len(self.shape) == 2 else 1


@dataclass(frozen=True)
class Text(Schema, kind="text"):
    """A text, or a piece of one, of shape (length,): whole numbers for its bytes, and 0 from its end on."""

    @classmethod
    def check(cls, shape: tuple[int, ...]) -> None:
        if len(shape) != 1:
            raise InvalidParameterError(
                "Texts are records of shape (length,), of symbols for bytes. "
                f"Got record='text' for records of shape {shape}: set record='image' or record='vector'."
            )

    @property
    def length(self) -> int:
        """The largest number of bytes of a record."""
        return self.shape[0]


@dataclass(frozen=True)
class Columns(Schema, kind="columns"):
    """A row of a table of typed columns, of shape (n_columns,): float64, NaN where a cell is missing.

    Attributes
    ----------
    fields : tuple of Field
        One for each value of a record, in order.
    texts : tuple of Field
        The columns of texts, which are no part of records.
    skipped : tuple of str
        The names of columns that are left out.
    """

    fields: tuple[Field, ...] = ()
    texts: tuple[Field, ...] = ()
    skipped: tuple[str, ...] = ()

    @classmethod
    def check(cls, shape: tuple[int, ...]) -> None:
        if len(shape) != 1:
            raise InvalidParameterError(
                "Rows of a table are records of shape (n_columns,). "
                f"Got record='columns' for records of shape {shape}: set record='image' or record='vector'."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the columns as JSON values."""
        found: dict[str, Any] = {name: [one.to_json() for one in getattr(self, name)] for name in ("fields", "texts")}
        return found | ({"skipped": list(self.skipped)} if self.skipped else {})

    def with_json(self, values: dict[str, Any]) -> Columns:
        """Return the schema with the columns of `to_json`; raises KeyError, TypeError or ValueError for others."""
        fields, texts = (tuple(map(Field.from_json, values[name])) for name in ("fields", "texts"))
        if len(fields) != self.shape[0] or any(one.is_text for one in fields):
            raise ValueError("the columns of the model are not those of its records")
        return replace(self, fields=fields, texts=texts, skipped=tuple(map(str, values.get("skipped", ()))))


def guess_kind(shape: tuple[int, ...]) -> str:
    """Return the kind of records of a shape: "image" for two or three axes, "vector" otherwise.

    A window of a series, (200, 16), has the shape of a grey image, so "series" is never guessed, nor are "text"
    and "columns".

    Examples
    --------
    >>> guess_kind((28, 28)), guess_kind((3, 64, 64)), guess_kind((30,))
    ('image', 'image', 'vector')
    """
    return "image" if len(shape) in {2, 3} else "vector"


def schema_of(kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], *, owner: str = "Autoencoder") -> Schema:
    """Return the schema of records.

    Parameters
    ----------
    kind : str
        "columns", "image", "series", "text" or "vector"; "auto": the result of `guess_kind`.
    shape : tuple of int
        Shape of a record.
    dtype : numpy.dtype
        The dtype in which records are stored.
    owner : str
        Whose parameter the kind is, for the message.

    Raises
    ------
    InvalidParameterError
        If there is no such kind, or records of this shape cannot be of it.
    """
    check(owner, "record", kind, Choice("auto", *Schema.registry))
    chosen = Schema.registry[guess_kind(shape) if kind == "auto" else kind]
    chosen.check(shape)
    return chosen(shape, dtype)


def check_shape(
    shape: tuple[int, ...], trained_on: tuple[int, ...], name: str | None = None, *, advice: str = ""
) -> None:
    """Raise ShapeMismatchError if records have another shape than those that a model was trained on."""
    if tuple(shape) != trained_on:
        got = f"{tuple(shape)}" if name is None else f"'{name}' with {tuple(shape)}"
        raise ShapeMismatchError(f"The model was trained on records of shape {trained_on}. Got {got}.{advice}")
