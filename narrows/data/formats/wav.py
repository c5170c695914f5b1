"""Sound as a series, in a WAV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.series_options import stride_option, window_option
from narrows.io.files import write_atomically
from narrows.io.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from narrows.data.series import WholeSeries
    from narrows.data.source import Source

__all__ = ["Wav"]


class Wav(Format, name="wav"):
    """A series of samples, with a channel for each channel of the sound."""

    title: ClassVar[str] = ".wav files"
    reads: ClassVar[str] = ".wav files"
    target: ClassVar[str] = "a path that ends in .wav (sound)"

    window: int | str | None = window_option()
    stride: int | None = stride_option()

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        is_wave = head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE"
        return is_wave or path.name.lower().endswith((".wav", ".wave"))

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.series.sources import source_of

        return source_of(self.read(path, name), name, "wav", window=self.window, stride=self.stride)

    def read(self, path: Path, name: str) -> WholeSeries:
        """Return the whole series."""
        from narrows.data.series.wav_files import series_in_wav

        return series_in_wav(path, name)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith((".wav", ".wave"))

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        from narrows.data.series.wav_files import check_wav

        check_wav(shape, dtype, None)

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        from narrows.data.series.wav_files import write_wav

        origin = None if records.series is None else records.series.origin
        write_atomically(
            path,
            lambda file: write_wav(file, records.pieces, records.shape, records.dtype, origin),
            force=force,
        )
