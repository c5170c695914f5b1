"""WAV files: reading by soundfile, and writing of PCM and floats."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from narrows.data.series.whole import WholeSeries
from narrows.errors import CorruptFileError, DataError, MissingPackageError

__all__ = ["check_wav", "is_same_wav", "series_in_wav", "write_wav"]

_FORMATS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}
_READ_AS = {"PCM_U8": "int16", "PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32", "FLOAT": "float32"}
_LARGEST = (1 << 32) - 64
_USUAL_RATE = 44_100
_MOST_RATE = 1 << 20


def series_in_wav(path: Path, source: str) -> WholeSeries:
    """Return the samples of a WAV file, (steps,) or (steps, channels): uint8, int16, or int32 for 24 and 32 bits.

    Raises
    ------
    CorruptFileError
        If it is no WAV file, or cut off.
    DataError
        If it has no samples, or another encoding than PCM and floats.
    MissingPackageError
        If soundfile is not installed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # the library of C may be missing
        raise MissingPackageError(
            "Reading WAV files needs soundfile. To install it: pip install 'narrows[series]'", name="soundfile"
        ) from error
    is_plain = _check_whole(path, source)
    try:
        with soundfile.SoundFile(path) as file:
            encoding, rate = str(file.subtype), int(file.samplerate)
            if encoding not in _FORMATS:
                raise DataError(
                    f"{source} has the encoding {encoding}. narrows reads PCM of 8, 16, 24 and 32 bits, and floats. "
                    "Convert it first."
                )
            samples = file.read(dtype=_READ_AS.get(encoding, "float64"))
    except soundfile.LibsndfileError as error:
        raise CorruptFileError(f"{source} is not a WAV file, or is damaged: {error}") from error
    if not len(samples):
        raise DataError(f"{source} has no samples.")
    if encoding == "PCM_U8":
        samples = ((samples >> 8) + 128).astype(np.uint8)
    elif encoding == "PCM_24":
        samples = samples >> 8
    origin = {"kind": "wav", "rate": rate, "encoding": encoding, **({} if is_plain else {"plain": False})}
    return WholeSeries(samples, (len(samples),), origin=origin, path=path)


def _check_whole(path: Path, source: str) -> bool:
    """Raise CorruptFileError if a WAV file is cut off; return whether it has only a format and samples."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in {b"RIFF", b"RF64"} or head[8:] != b"WAVE":
            raise CorruptFileError(f"{source} is not a WAV file: it does not begin with RIFF and WAVE.")
        if head[:4] == b"RF64":
            return False
        kinds = []
        while len(found := file.read(8)) == 8:
            kind, n_bytes = struct.unpack("<4sI", found)
            kinds.append(kind)
            if file.tell() + n_bytes > size:
                raise CorruptFileError(
                    f"{source} is cut off: its part {kind.decode('latin-1')!r} declares {n_bytes:,} bytes, and "
                    f"{size - file.tell():,} are left. Use another copy of the file."
                )
            file.seek(n_bytes + n_bytes % 2, 1)
    if b"data" not in kinds:
        raise CorruptFileError(f"{source} is cut off or damaged: it has no samples ('data').")
    return kinds == [b"fmt ", b"data"]


def check_wav(shape: tuple[int, ...], dtype: np.dtype[Any], origin: dict[str, Any] | None) -> str:
    """Return the encoding in which samples are written.

    Raises
    ------
    DataError
        If a WAV file cannot hold them.
    """
    usual = {"u1": "PCM_U8", "i2": "PCM_16", "i4": "PCM_32", "f4": "FLOAT", "f8": "DOUBLE"}
    encoding = usual.get(dtype.str[1:])
    if dtype == np.int32 and (origin or {}).get("encoding") == "PCM_24":
        encoding = "PCM_24"
    channels = shape[1] if len(shape) > 1 else 1
    if encoding not in _FORMATS or len(shape) > 2 or channels > 1024:
        raise DataError(
            "A WAV file holds samples of shape (steps,) or (steps, channels), of dtype uint8, int16, int32, float32 or "
            f"float64. Got {shape} {dtype}. Write them to a .npy file."
        )
    if shape[0] * channels * _FORMATS[encoding] // 8 > _LARGEST:
        raise DataError(f"A WAV file holds at most {_LARGEST:,} bytes of samples. Write them to a .npy file.")
    return str(encoding)


def is_same_wav(series: WholeSeries, path: Path) -> bool:
    """Return whether the WAV file that is written for a series is that which it was read from, byte for byte."""
    written = io.BytesIO()
    write_wav(written, [series.values], series.values.shape, series.values.dtype, series.origin)
    return path.stat().st_size == written.tell() and path.read_bytes() == written.getvalue()


def write_wav(
    file: BinaryIO,
    pieces: Iterable[npt.NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    origin: dict[str, Any] | None = None,
) -> None:
    """Write samples (steps,) or (steps, channels) as a WAV file."""
    origin = origin or {}
    encoding = check_wav(shape, dtype, origin)
    rate, channels = origin.get("rate"), shape[1] if len(shape) > 1 else 1
    rate = rate if isinstance(rate, int) and 0 < rate <= _MOST_RATE else _USUAL_RATE
    bits = _FORMATS[encoding]
    frame = channels * bits // 8
    n_bytes = shape[0] * frame
    code = 3 if encoding in {"FLOAT", "DOUBLE"} else 1
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, code, channels, rate, rate * frame, frame, bits)
    file.write(struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + n_bytes + n_bytes % 2, b"WAVE") + form)
    file.write(struct.pack("<4sI", b"data", n_bytes))
    for piece in pieces:
        if encoding == "PCM_24":
            four = np.ascontiguousarray(piece, "<i4").reshape(-1, 1).view(np.uint8)
            file.write(four[:, :3].tobytes())
        else:
            file.write(np.ascontiguousarray(piece, dtype.newbyteorder("<")).tobytes())
    file.write(b"\0" * (n_bytes % 2))
