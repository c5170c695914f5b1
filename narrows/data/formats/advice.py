"""Advice on files that are no records as they are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["table_to_array"]


def table_to_array(path: Path, reader: str) -> str:
    """Return a sentence with Python code that converts a table to a .npy file.

    Parameters
    ----------
    path : Path
        The table.
    reader : str
        The function of pandas that reads it, with ``{}`` for the path.
    """
    return (
        " Convert it to an array first, in Python: import numpy, pandas; "
        f"table = pandas.{reader.format(repr(str(path)))}.select_dtypes(['number', 'bool']); "
        f"numpy.save({path.with_suffix('.npy').name!r}, table.to_numpy('float32'))"
    )
