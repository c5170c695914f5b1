"""Reading of series that are stored as windows: time steps, of which only the windows that hold them are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.contract import Codec
from narrows.archive.index import Index
from narrows.archive.layouts import Windows
from narrows.archive.metadata import Metadata
from narrows.archive.nameless import NamelessArchive
from narrows.archive.selection import Selection
from narrows.errors import CorruptArchiveError

__all__ = ["WindowsArchive"]

_PIECE_BYTES = 16 << 20


class WindowsArchive(NamelessArchive):
    """An archive of series. Its items are the time steps of all series, one series after the other.

    ``archive.read()`` is the whole series, ``archive[100:200]`` are a hundred steps of it, ``archive.times`` are the
    times of the steps, and ``archive.series`` the names.
    """

    items: Windows

    def __init__(
        self, source: ByteFile, metadata: Metadata, index: Index, codec: Codec, *, threads: int | None = None
    ) -> None:
        super().__init__(source, metadata, index, codec, threads=threads)
        if index.n_records != self.items.n_windows:
            raise CorruptArchiveError(
                f"it has {index.n_records:,} windows, but its series consist of {self.items.n_windows:,}"
            )

    def __len__(self) -> int:
        return self.items.n_steps

    def pieces(self, items: Selection = None) -> Iterator[npt.NDArray[Any]]:
        chosen = self._within(items)
        series, window = self.series, self.items.window[0]
        assert series is not None, "archives of windows have series"
        n_steps = max(window, _PIECE_BYTES // max(self.metadata.record_bytes // window, 1))
        for start in range(0, len(chosen), n_steps):
            steps = np.array(chosen[start : start + n_steps], np.int64)
            windows, positions = self.items.places(steps)
            needed, places = np.unique(windows, return_inverse=True)
            is_run = len(needed) == needed[-1] - needed[0] + 1
            wanted = range(int(needed[0]), int(needed[-1]) + 1) if is_run else needed.tolist()
            records = np.concatenate(list(self._stream(wanted)))
            yield series.finish(records[places.reshape(-1), positions], steps)

    def _one(self, item: int) -> Any:
        return self.read([item])[0]
