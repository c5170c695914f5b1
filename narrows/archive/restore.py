"""Restoring records from an archive: as an array, or chunk by chunk into files."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from narrows.archive.originals import check_originals
from narrows.archive.reader import Archive, open_archive
from narrows.archive.selection import Selection, select
from narrows.data.writing import check_target, stream
from narrows.errors import ArchiveError, InvalidParameterError

__all__ = ["restore"]


def restore(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    records: Selection = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    threads: int | None = None,
) -> npt.NDArray[Any] | Path:
    """Restore the records of an archive.

    Parameters
    ----------
    path : path-like
        The archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that it was made with. Not needed if the archive carries it.
    records : slice, range, (start, stop) or list of int, optional
        The records to restore, all by default. A slice has the meaning that it has for a list: ``slice(-10, None)`` are
        the last ten, and indices outside are ignored. The records of a range, and those from start to stop - 1, must
        all exist, and so must those of a list, which may be in any order. An empty selection gives an empty array. Only
        the chunks that are needed are read.
    out : path-like, optional
        Output path, written in bounded memory. The name determines the format: ``.npy``; IDX for names such as
        ``t10k-images-idx3-ubyte`` and ``.idx``, gzipped with ``.gz``; with a trailing ``/`` or without an extension, a
        folder of PNG images under their original names.
    force : bool
        Overwrite `out`.
    threads : int, optional
        How many threads restore records, by default as many as CPUs that the process may use. The result does not
        depend on it.

    Returns
    -------
    ndarray of shape (n, *shape) in the records' dtype, or Path
        The records; with `out`, the path that was written. Those of a data frame come back as an array, without index
        and names of columns.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError, WrongModelError
        As `open_archive`, and if a chunk that is needed is damaged. Nothing is written then.
    InvalidParameterError
        If `records` are outside the archive, the name of `out` determines no format, or `out` is a folder with images
        that may be those that were compressed.
    OutputExistsError, OutputError
        If `out` cannot be written.
    DataError
        If these records cannot be written in the format of `out`.

    Examples
    --------
    ::

        images = narrows.restore("digits.narrows", model="digits.safetensors")
        narrows.restore("digits.narrows", model="digits.safetensors", records=(100, 200), out="some.npy")
    """
    if out is not None:
        check_target(out, force=force)
    with open_archive(path, model=model, threads=threads) as archive:
        try:
            chosen = select(records, len(archive))
        except (IndexError, TypeError) as error:
            raise InvalidParameterError(f"The 'records' of restore must exist in {archive.path}. {error}") from None
        if out is None:
            return _in_memory(archive, chosen)
        check_originals(archive, chosen, out)
        shape = (len(chosen), *archive.shape[1:])
        return stream(
            out,
            archive.pieces(chosen),
            shape=shape,
            dtype=archive.dtype,
            files=lambda: archive.file_names(chosen),
            force=force,
        )


def _in_memory(archive: Archive, records: range | list[int]) -> npt.NDArray[Any]:
    """Return records as one array; raises ArchiveError if they exceed the machine's memory."""
    n_bytes = math.prod(archive.shape[1:]) * archive.dtype.itemsize * len(records)
    available = _memory_bytes()
    try:
        if available is not None and n_bytes > available:
            raise MemoryError
        return archive.read(records)
    except MemoryError:
        raise ArchiveError(
            f"The {len(records):,} records of {archive.path} take {n_bytes:,} bytes, more than the machine's memory. "
            "Restore fewer at a time with 'records' (--only), or to a file with 'out' (-o)."
        ) from None


def _memory_bytes() -> int | None:
    """Return the size of the machine's memory; None if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
