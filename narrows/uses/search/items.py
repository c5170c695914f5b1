"""What an index knows of its records besides their codes: names and labels."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.data.text.pieces import texts_of
from narrows.errors import InvalidParameterError

__all__ = ["Items"]

_MOST_NAMES = 1 << 32  # bytes of all names, which a forged file cannot exceed


@dataclass(frozen=True)
class Items:
    """Names and labels of n records.

    Attributes
    ----------
    n : int
        Number of records.
    names : tuple of str, or None
        Names of files, texts, or steps of series; None if the records have none.
    labels : ndarray of shape (n,), or None
        Whole numbers or text.
    """

    n: int
    names: tuple[str, ...] | None = None
    labels: NDArray[Any] | None = None

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the names and labels of records: files of images, texts themselves, the steps of windows."""
        names = source.files
        if source.text is not None:
            names = tuple(texts_of(source.values))
        elif source.windows is not None:
            windows = source.windows
            names = tuple(f"{start}:{start + windows.window}" for start in windows.starts.tolist())
        return cls(len(source), names, _plain(source.named_labels))

    def name(self, item: int) -> str | None:
        """Return the name of a record; None if it has none."""
        return (self.names[item] or None) if self.names is not None else None

    def label(self, item: int) -> int | str | None:
        """Return the label of a record; None if it has none."""
        if self.labels is None:
            return None
        found: int | str = self.labels[item].item()
        return None if found == "" else found

    @property
    def classes(self) -> list[int | str]:
        """The labels that there are, sorted."""
        found: list[int | str] = [] if self.labels is None else np.unique(self.labels).tolist()
        return found

    def with_label(self, label: int | str, where: str) -> NDArray[np.int64]:
        """Return the numbers of the records with a label, given as itself or as text.

        Raises
        ------
        InvalidParameterError
            If no record has it; names those that there are.
        """
        if self.labels is None:
            raise InvalidParameterError(
                f"{where} has no labels, so its records cannot be filtered by one. Got the label {label!r}. Index "
                "records with labels, or compress them with labels (narrows compress --labels)."
            )
        found = np.flatnonzero(self.labels.astype(str) == str(label))
        if not len(found):
            known = ", ".join(str(one) for one in self.classes[:12]) + (", …" if len(self.classes) > 12 else "")
            raise InvalidParameterError(f"{where} has no record with the label {label!r}. Its labels are: {known}.")
        return found

    def __add__(self, other: Items) -> Items:
        """Return the names and labels of these records and others after them; absent ones are empty."""
        names = labels = None
        if self.names is not None or other.names is not None:
            names = (*(self.names or ("",) * self.n), *(other.names or ("",) * other.n))
        if self.labels is not None or other.labels is not None:
            labels = _joined(self, other)
        return Items(self.n + other.n, names, labels)

    def to_tensors(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays for an index file, and entries of its header."""
        tensors: dict[str, NDArray[Any]] = {}
        header: dict[str, Any] = {}
        if self.names is not None:
            text = "\0".join(name.replace("\0", "\ufffd") for name in self.names).encode("utf-8", "surrogateescape")
            tensors["names"] = np.frombuffer(zlib.compress(text, 6), np.uint8)
            header["name_bytes"] = len(text)
        if self.labels is not None:
            classes, positions = np.unique(self.labels, return_inverse=True)
            tensors["labels"] = positions.astype(np.int32)
            header["classes"] = classes.tolist()
        return tensors, header

    @classmethod
    def from_tensors(cls, n: int, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> Self:
        """Return what `to_tensors` stored.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        names = _names(tensors["names"], header.get("name_bytes"), n) if "names" in tensors else None
        labels = _labels(tensors["labels"], header.get("classes"), n) if "labels" in tensors else None
        return cls(n, names, labels)


def _names(packed: NDArray[Any], n_bytes: Any, n: int) -> tuple[str, ...]:
    if type(n_bytes) is not int or not 0 <= n_bytes < _MOST_NAMES:
        raise ValueError("its names are not valid")
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(packed.tobytes(), n_bytes + 1)
    except zlib.error as error:
        raise ValueError("its names are damaged") from error
    names = tuple(text.decode("utf-8", "surrogateescape").split("\0"))
    if len(text) != n_bytes or len(names) != n:
        raise ValueError("its names have another number than its records")
    return names


def _labels(positions: NDArray[Any], classes: Any, n: int) -> NDArray[Any]:
    """Return labels by their positions in a list of labels, which are all whole numbers or all text."""
    is_valid = positions.shape == (n,) and positions.dtype == np.int32 and isinstance(classes, list)
    kinds = {type(one) for one in classes} if isinstance(classes, list) else set()
    if not is_valid or len(kinds) > 1 or not kinds <= {int, str}:
        raise ValueError("its labels are not valid")
    if n and not 0 <= int(positions.min()) <= int(positions.max()) < len(classes):
        raise ValueError("its labels are not valid")
    labels: NDArray[Any] = np.asarray(classes)[positions]
    return labels


def _plain(labels: Sequence[Any] | NDArray[Any] | None) -> NDArray[Any] | None:
    """Return labels as whole numbers or text."""
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    return array.astype(str)


def _joined(first: Items, second: Items) -> NDArray[Any]:
    """Return the labels of both; as text if not both have whole numbers."""
    parts = [one.labels for one in (first, second)]
    if all(part is not None and part.dtype.kind == "i" for part in parts):
        return np.concatenate([part for part in parts if part is not None])
    texts = [np.full(one.n, "") if one.labels is None else one.labels.astype(str) for one in (first, second)]
    return np.concatenate(texts)
