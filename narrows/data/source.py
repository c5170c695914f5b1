"""The source: records in their stored dtype, with labels and names. Every kind of data is opened as a source."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narrows.data.series.windows import Windows
from narrows.data.text.pieces import Pieces
from narrows.errors import DataError, DataWarning, InvalidParameterError

if TYPE_CHECKING:
    from narrows.data.tables.typed import TypedTable

__all__ = ["Source", "check_limit"]


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """Records in their stored dtype, with labels and names where there are any.

    Parameters
    ----------
    values : ndarray of shape (n, *shape)
        The records, in their stored dtype and native byte order; memory-mapped where the file allows it.
    labels : ndarray of shape (n,), optional
        One label per record.
    label_names : tuple of str, optional
        The names of the classes; `labels` are then indices into it.
    name : str
        A name for messages: ``"mnist:train"``, ``"photos/"``, ``"array (100, 8, 8) float32"``.
    kind : str
        ``"array"``, ``"npy"``, ``"npz"``, ``"idx"``, ``"images"``, ``"text"``, ``"texts"`` (a list) or ``"named"``.
    files : tuple of str, optional
        The relative file names of an image set, in the order of the records.
    columns : tuple of str, optional
        The names of the columns of a data frame.
    warnings : tuple of DataWarning
        What was lost when the records were read.
    record : str
        What a record is: "columns", "image", "series", "text" or "vector"; "auto": its shape decides (see
        `narrows.records`).
    windows : Windows, optional
        The whole series that the records are windows of, if they are.
    text : Pieces, optional
        The texts that the records are pieces of, if they are.
    table : TypedTable, optional
        The columns of the table that the records are rows of, if they are.
    """

    values: npt.NDArray[Any]
    labels: npt.NDArray[Any] | None = None
    label_names: tuple[str, ...] | None = None
    name: str = "array"
    kind: str = "array"
    files: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    warnings: tuple[DataWarning, ...] = ()
    record: str = "auto"
    windows: Windows | None = None
    text: Pieces | None = None
    table: TypedTable | None = None

    def __post_init__(self) -> None:
        for what, column in (("labels", self.labels), ("files", self.files)):
            if column is not None and len(column) != len(self.values):
                raise DataError(
                    f"The '{what}' of {self.name} must have {len(self.values):,} entries, one for each record. "
                    f"Got {len(column):,}."
                )

    @property
    def n_records(self) -> int:
        """The number of records."""
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        return tuple(self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored dtype."""
        return self.values.dtype

    @property
    def named_labels(self) -> npt.NDArray[Any] | None:
        """The labels of shape (n,), as names if they have names."""
        if self.labels is None or self.label_names is None:
            return self.labels
        names: npt.NDArray[Any] = np.asarray(self.label_names)[self.labels]
        return names

    def __len__(self) -> int:
        return self.n_records

    def __repr__(self) -> str:
        labelled = "" if self.labels is None else ", labelled"
        meaning = "" if self.record == "auto" else f", record={self.record!r}"
        return (
            f"Source(name={self.name!r}, kind={self.kind!r}, n_records={self.n_records}, "
            f"shape={self.shape}, dtype={self.dtype}{labelled}{meaning})"
        )

    @property
    def alone(self) -> Source:
        """The records without the series that they are windows of, or the texts that they are pieces of."""
        return self if self.windows is None and self.text is None else replace(self, windows=None, text=None)

    def limit(self, n: int) -> Source:
        """Return the first `n` records (all if there are fewer), or texts, without a copy.

        Raises
        ------
        InvalidParameterError
            If `n` is less than 1.

        Examples
        --------
        >>> Source(np.arange(12).reshape(6, 2)).limit(2).values.tolist()
        [[0, 1], [2, 3]]
        """
        n = check_limit(n)
        if n >= (len(self) if self.text is None else len(self.text.texts)):
            return self
        text = None if self.text is None else self.text.first(n)
        n = n if text is None else int(text.counts.sum())
        return replace(
            self,
            values=self.values[:n],
            labels=None if self.labels is None else self.labels[:n],
            files=None if self.files is None else self.files[:n],
            windows=None,
            text=text,
            table=None if self.table is None else self.table.take(np.arange(min(n, len(self)))),
        )

    def take(self, indices: npt.ArrayLike) -> Source:
        """Return the records at `indices`, in that order, as a copy.

        Parameters
        ----------
        indices : array_like of int, shape (m,)
            Positions from 0 to ``n_records - 1``; repeats are allowed.

        Raises
        ------
        InvalidParameterError
            If an index is not a whole number, or lies outside the records.

        Examples
        --------
        >>> Source(np.arange(12).reshape(6, 2)).take([5, 0]).values.tolist()
        [[10, 11], [0, 1]]
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise InvalidParameterError(
                f"The 'indices' of take must be a non-empty list of whole numbers. "
                f"Got dtype {chosen.dtype}, shape {chosen.shape}."
            )
        if chosen.min() < 0 or chosen.max() >= self.n_records:
            raise InvalidParameterError(
                f"The 'indices' of take must be from 0 to {self.n_records - 1}. Got indices from {chosen.min()} to "
                f"{chosen.max()}."
            )
        return replace(
            self,
            values=np.asarray(self.values)[chosen],
            labels=None if self.labels is None else np.asarray(self.labels)[chosen],
            files=None if self.files is None else tuple(self.files[i] for i in chosen),
            windows=None,
            text=None,
            table=None if self.table is None else self.table.take(chosen.astype(np.int64)),
        )


def check_limit(limit: Any) -> int:
    """Return `limit` as an int ≥ 1, or raise an error."""
    try:
        n = operator.index(limit)
    except TypeError:
        n = 0
    if isinstance(limit, bool) or n < 1:
        raise InvalidParameterError(f"The 'limit' must be a whole number ≥ 1. Got {limit!r}.")
    return n
