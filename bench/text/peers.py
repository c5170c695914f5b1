"""Other compressors at their best: zstd with dictionaries line by line, and xz and zstd of many lines together."""

from __future__ import annotations

import lzma
from collections.abc import Sequence

import zstandard

__all__ = ["by_line", "of_groups", "xz"]

_RAW_DICTIONARY, _TRAINED = 112 * 1024, (112_640, 65_536, 16_384)


def xz(data: bytes) -> int:
    """Return the size of data after xz -9e, without a checksum."""
    return len(lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, preset=9 | lzma.PRESET_EXTREME))


def _parameters(level: int) -> zstandard.ZstdCompressionParameters:
    """Return parameters of frames without magic number, content size, checksum and number of the dictionary."""
    return zstandard.ZstdCompressionParameters.from_level(
        level, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0, write_checksum=0, write_dict_id=0
    )


def by_line(train: Sequence[bytes], test: Sequence[bytes]) -> dict[str, dict[str, int]]:
    """Return the bytes of lines, each compressed alone by zstd -19, and of the dictionary after xz."""
    raw = zstandard.ZstdCompressionDict(_joined(train)[-_RAW_DICTIONARY:], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    found = {"raw dictionary": _with(raw, test)}
    for size in _TRAINED:
        try:
            trained = zstandard.train_dictionary(size, list(train), level=19)
        except zstandard.ZstdError:  # too little text for this size
            continue
        one = _with(trained, test)
        best = found.get("trained dictionary")
        if best is None or one["bytes"] < best["bytes"]:
            found["trained dictionary"] = one
    return found


def of_groups(lines: Sequence[bytes], group: int) -> dict[str, int]:
    """Return the bytes of groups of lines, each compressed alone."""
    groups = [_joined(lines[start : start + group]) for start in range(0, len(lines), group)]
    compressor = zstandard.ZstdCompressor(compression_params=_parameters(22))
    return {"xz": sum(map(xz, groups)), "zstd": sum(len(compressor.compress(one)) for one in groups)}


def _with(dictionary: zstandard.ZstdCompressionDict, lines: Sequence[bytes]) -> dict[str, int]:
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=_parameters(19))
    return {"bytes": sum(len(compressor.compress(line)) for line in lines), "dictionary": xz(dictionary.as_bytes())}


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
