"""Opens an array with any number of axes, as the values of a field."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.formats import Csv, Text, Wav, options_of
from narrows.data.frames import is_frame
from narrows.data.opening import open as open_data
from narrows.data.series import WholeSeries
from narrows.data.source import Source, check_limit
from narrows.data.text.texts import is_texts
from narrows.errors import DataError, InvalidParameterError
from narrows.io.files import as_path
from narrows.io.remote import fetched

__all__ = ["FieldSource", "is_lossless_file", "open_field", "series_format"]


@dataclass(frozen=True, eq=False)
class FieldSource:
    """An array, and the same values as a source of records along the first axis.

    Attributes
    ----------
    values : ndarray
        The array, memory-mapped where the file allows it.
    source : Source
        The same values; those of an array with one axis have a second axis of length 1.
    series : WholeSeries, optional
        The series that the values are the steps of.
    """

    values: npt.NDArray[Any]
    source: Source
    series: WholeSeries | None = None


def open_field(data: Any, *, limit: int | None = None, **options: Any) -> FieldSource:
    """Return the values of an array or a file.

    Parameters
    ----------
    data : array_like, path, name or Source
        As for `narrows.data.open`; arrays and `.npy` files may also have one axis.
    limit : int, optional
        The largest number of slices along the first axis.
    **options
        Others of `narrows.data.open`.

    Raises
    ------
    DataError
        As `narrows.data.open`.
    """
    series = _series(data, limit, options)
    if series is not None:
        return series
    line = _line(data)
    if line is None:
        source = open_data(data, limit=limit, **options)
        return FieldSource(source.values, source)
    source = open_data(line[:, None], limit=limit)
    if isinstance(data, str | os.PathLike):
        source = replace(source, name=os.fspath(data), kind="npy")
    return FieldSource(source.values[:, 0], source)


def _series(data: Any, limit: int | None, options: dict[str, Any]) -> FieldSource | None:
    """Return the series in a CSV or WAV file, or those that a source has windows of; None for all other data."""
    for name in ("window", "stride"):
        if options.get(name) is not None:
            raise InvalidParameterError(
                f"The '{name}' (--{name}) has an effect only with a model. Without one, series are stored as a whole. "
                "Omit it, or give a model ('model', -m MODEL)."
            )
    if isinstance(data, Source):
        if data.windows is None:
            return None
        return _of_series(data.windows.series, data.name, data.kind, limit)
    kind = series_format(data) if isinstance(data, str | os.PathLike) else None
    if kind is None or options.get("column") is not None:  # of texts
        return None
    name = os.fspath(data)
    given = {option: value for option, value in options.items() if option in options_of([kind]) and value is not None}
    return _of_series(kind(**given).read(fetched(as_path(name)), name), name, kind.name, limit)


def _of_series(series: WholeSeries, name: str, kind: str, limit: int | None) -> FieldSource:
    series = series if limit is None else series.first(check_limit(limit))
    values = series.values
    source = Source(values[:, None] if values.ndim == 1 else values, name=name, kind=kind, record="series")
    return FieldSource(values, source, series)


def series_format(path: str | os.PathLike[str]) -> type[Csv] | type[Wav] | None:
    """Return the format of a file of series, by its name; None for other files, and if there is no such file."""
    found = Path(path)
    if not found.is_file():
        return None
    return next((kind for kind in (Csv, Wav) if kind.recognises(found, b"")), None)


def is_lossless_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is stored without loss unless a bound is given: series, and lines of text."""
    return series_format(path) is not None or (Path(path).is_file() and Text.recognises(Path(path), b""))


def _line(data: Any) -> npt.NDArray[Any] | None:
    """Return an array or a `.npy` file with one axis; None for all other data."""
    if isinstance(data, Source) or is_frame(data) or is_texts(data):
        return None
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        if path.suffix.lower() != ".npy" or not path.is_file():
            return None
        try:
            found = np.load(path, mmap_mode="c", allow_pickle=False)
        except (ValueError, OSError, EOFError):  # `narrows.data.open` has better messages
            return None
    else:
        try:
            found = np.asarray(data)
        except ValueError as error:
            raise DataError(f"The array cannot be read: {error}.") from error
    return found if isinstance(found, np.ndarray) and found.ndim == 1 else None
