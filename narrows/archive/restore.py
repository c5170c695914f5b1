"""Records back from an archive: as an array, or chunk by chunk into the kind of file that was handed in."""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from narrows.archive.reader import Archive, open_archive
from narrows.data.streaming import check_stream_target, stream
from narrows.errors import ArchiveError, InvalidParameterError

__all__ = ["restore"]


def restore(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    records: slice | range | tuple[int, int] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> npt.NDArray[Any] | Path:
    """Restore the records of an archive.

    Parameters
    ----------
    path : path-like
        The archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that it was made with. Not needed if the archive carries it.
    records : slice, range or (start, stop), optional
        Which records, all by default. Only the chunks they are in are read.
    out : path-like, optional
        Where to write them, in bounded memory. The name decides how: ``.npy``; IDX for names such as
        ``t10k-images-idx3-ubyte`` and ``.idx``, gzipped with ``.gz``; ending in ``/`` or without an ending, a folder of
        PNG images under the names that they came with.
    force : bool
        Overwrite what is at `out`.

    Returns
    -------
    ndarray of shape (n, *shape) in the records' dtype, or Path
        The records; with `out`, what was written.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError, WrongModelError
        As `open_archive`, and if a chunk that is needed is damaged. Nothing is then written.
    InvalidParameterError
        If `records` lie outside the archive, or `out` is no name that says how to write them.
    OutputExistsError, OutputError
        If `out` cannot be written.
    DataError
        If records of this kind cannot be written in the way that `out` asks for.

    Examples
    --------
    ::

        images = narrows.restore("digits.narrows", model="digits.safetensors")
        narrows.restore("digits.narrows", model="digits.safetensors", records=(100, 200), out="some.npy")
    """
    if out is not None:
        check_stream_target(out, force=force)
    with open_archive(path, model=model) as archive:
        chosen = _range(records, len(archive), archive.path)
        if out is None:
            return _in_memory(archive, chosen)
        shape = (len(chosen), *archive.shape[1:])
        return stream(
            out,
            archive.pieces(chosen),
            shape=shape,
            dtype=archive.dtype,
            files=lambda: archive.names(chosen),
            force=force,
        )


def _range(records: slice | range | tuple[int, int] | None, n: int, name: str) -> range:
    """Return which records are meant."""
    if records is None:
        return range(n)
    if isinstance(records, slice):
        try:
            return range(*records.indices(n))
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(f"The 'records' of restore cannot be {records!r}: {error}.") from error
    if isinstance(records, range):
        chosen = records
    else:
        try:
            start, stop = (operator.index(bound) for bound in records)
        except (TypeError, ValueError):
            raise InvalidParameterError(
                f"The 'records' of restore must be a slice, a range or (start, stop). Got {records!r:.80}."
            ) from None
        chosen = range(start, stop)
    if not chosen or min(chosen[0], chosen[-1]) < 0 or max(chosen[0], chosen[-1]) >= n:
        raise InvalidParameterError(
            f"The 'records' of restore must lie within 0 … {n:,}, as {name} has {n:,}. Got {records!r:.80}."
        )
    return chosen


def _in_memory(archive: Archive, records: range) -> npt.NDArray[Any]:
    """Return records as one array, or say that they are too many for this machine."""
    n_bytes = math.prod(archive.shape[1:]) * archive.dtype.itemsize * len(records)
    available = _memory_bytes()
    try:
        if available is not None and n_bytes > available:
            raise MemoryError
        return archive.read(records)
    except MemoryError:
        raise ArchiveError(
            f"The {len(records):,} records of {archive.path} take {n_bytes:,} bytes, more memory than there is. "
            "Restore fewer at a time with 'records' (--only), or to a file with 'out' (-o)."
        ) from None


def _memory_bytes() -> int | None:
    """Return the machine's memory; None where it doesn't say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
