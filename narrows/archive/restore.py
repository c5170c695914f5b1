"""Restoring records from an archive: as an array, or chunk by chunk into files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from narrows.archive.originals import check_originals
from narrows.archive.reader import Archive, open_archive
from narrows.archive.selection import Selection, select
from narrows.data.memory import usable_memory
from narrows.data.writing import check_target, stream
from narrows.errors import ArchiveError, InvalidParameterError
from narrows.io.progress import Progress

if TYPE_CHECKING:
    from narrows.archive.table_reader import TableArchive
    from narrows.archive.texts_reader import TextsArchive

__all__ = ["restore", "restore_to"]


def restore(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    records: Selection = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[Any] | list[str] | Path:
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
        folder of PNG images under their original names; lines of text for ``.txt``, ``.log`` and ``.jsonl``.
    force : bool
        Overwrite `out`.
    threads : int, optional
        How many threads restore records, by default as many as CPUs that the process may use. The result does not
        depend on it.
    progress : callable, optional
        With `out`: called as `narrows.data.Progress` with the activity ``"restoring"`` and the number of records done.

    Returns
    -------
    ndarray of shape (n, *shape) in the records' dtype, list of str, or Path
        The records, or texts; with `out`, the path that was written. Those of a data frame come back as an array,
        without index and names of columns.

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
            found: npt.NDArray[Any] | list[str] = _in_memory(archive, chosen)
            return found
        return restore_to(archive, chosen, out, force=force, progress=progress)


def restore_to(
    archive: Archive,
    records: range | list[int],
    out: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write records of an open archive to a file or a folder, as `restore` does, and return its path."""
    if archive.items.unit == "row":
        from narrows.archive.table_restore import restore_table

        return restore_table(cast("TableArchive", archive), records, out, force=force, progress=progress)
    check_originals(archive, records, out)
    text = cast("TextsArchive", archive).rows(records) if archive.items.unit == "text" else None
    n = len(records) if text is None else int(np.sum(text.counts))

    def pieces() -> Iterator[npt.NDArray[Any]]:
        done = 0
        for piece in archive.pieces(records):
            yield piece
            done += len(piece)
            if progress is not None:
                progress("restoring", done, n, "records")

    return stream(
        out,
        pieces(),
        shape=(n, *archive.shape[1:]),
        dtype=archive.dtype,
        files=lambda: archive.file_names(records),
        text=text,
        series=None if archive.series is None else archive.series.rows(_as_index(records)),
        force=force,
    )


def _as_index(records: range | list[int]) -> Any:
    """Return the numbers of records as an index of arrays."""
    return np.array(records, np.int64)


def _in_memory(archive: Archive, records: range | list[int]) -> Any:
    """Return records as one array, or texts as a list; raises ArchiveError if they exceed the usable memory."""
    n_bytes = math.prod(archive.shape[1:]) * archive.dtype.itemsize * len(records)
    available = usable_memory()
    try:
        if available is not None and n_bytes > available:
            raise MemoryError
        return archive.read(records)
    except MemoryError:
        raise ArchiveError(
            f"The {len(records):,} records of {archive.path} take {n_bytes:,} bytes, more than the usable memory. "
            "Restore fewer at a time with 'records' (--only), or to a file with 'out' (-o)."
        ) from None
