"""A second, independent reader of archives of series, written from docs/format.md and nothing else.

It uses `archive_decoder` and `field_decoder` for what all archives have in common. `read` gives the steps of an
archive, `times` the times of the steps. Whatever is damaged, or not as the page says, is a ValueError.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from archive_decoder import Array, Shape, parse_block_head, parse_trailer, read_records, require, take
from bisection_decoder import file_bytes, read_again
from field_decoder import COLUMN, Field, block_at, read_blocks, restore

FIELD, WINDOWS, DECIMALS, READINGS, EXCEPTIONS = 4, 16, 32, 256, 512  # bits of features
TIME_STEPS, OVER_CHANNELS = 1 << 14, 1 << 17
DTYPES = ("int64", "uint8", "int8", "int32", "int64")


def read(path: str | Path, model_blob: bytes | None = None) -> Array:
    """The steps of an archive."""
    features, meta = metadata(path)
    require((features & WINDOWS != 0) == ("windows" in meta), "the bit of windows is not as it should be")
    if features & FIELD:
        steps = read_blocks(path, DECIMALS | READINGS | EXCEPTIONS | TIME_STEPS | OVER_CHANNELS)
    else:
        records, tiling = read_records(path, model_blob, WINDOWS | DECIMALS | READINGS | EXCEPTIONS | TIME_STEPS)
        require(tiling is None, "tiles are no windows")
        steps = steps_of(records, meta["windows"]["lengths"])
    if "decimals" not in meta:
        require(not features & DECIMALS, "no decimals are described")
        return steps
    result = decimals(path, steps, meta["decimals"], meta.get("readings", 0))
    if meta.get("exceptions"):
        result = (result.view(np.int64) + column(path, 4, steps.shape[1:])).view(np.float64)
    if meta["decimals"].get("missing"):
        result[column(path, 1, steps.shape[1:]) != 0] = np.nan
    return result


def times(path: str | Path, model_blob: bytes | None = None) -> Array:
    """The times of all steps, in ticks."""
    _, meta = metadata(path)
    described = meta["series"]["time"]
    if "starts" not in described:
        first, unit = meta.get("time_steps") or (None, 1)
        return column(path, 0, ()) if first is None else first + unit * np.cumsum(column(path, 0, ()))
    lengths = meta["series"].get("lengths") or [len(read(path, model_blob))]
    each = zip(described["starts"], described["steps"], lengths, strict=True)
    return np.concatenate([start + step * np.arange(n) for start, step, n in each])


def metadata(path: str | Path) -> tuple[int, dict[str, Any]]:
    """Features and metadata; their checksum is checked where the records are read."""
    data = file_bytes(path)
    features, length = struct.unpack_from("<II", data, 12)
    return features, json.loads(data[20 : 20 + length])


def steps_of(records: Array, lengths: list[int]) -> Array:
    """The steps in windows, without what the last window of a series is filled up with."""
    w, at, parts = records.shape[1], 0, []
    for n in lengths:
        count = -(-n // w)
        parts.append(records[at : at + count].reshape(-1, *records.shape[2:])[:n])
        at += count
    require(at == len(records), "there are not the windows of the series")
    return np.concatenate(parts)


def decimals(path: str | Path, steps: Array, described: dict[str, Any], readings: int) -> Array:
    """The decimals that steps stand for."""
    digits, flat = described["digits"], steps.reshape(len(steps), -1)
    require(len(digits) == flat.shape[1] and all(0 <= d <= 15 for d in digits), "not digits for each channel")
    result = np.empty(flat.shape)
    for channel, d in enumerate(digits):
        for step, v in enumerate(flat[:, channel].tolist()):
            k = v if isinstance(v, int) else v if math.isnan(v) else float(np.rint(v * 10.0**d))
            quotient = k / 10.0**d
            for _ in range(readings):
                quotient = read_again(quotient)
            result[step, channel] = quotient
    result = result.reshape(steps.shape)
    if described.get("ulps"):
        ulps = column(path, 2, steps.shape[1:])
        result = (result.view(np.int64) + ulps).view(np.float64)
        result[ulps == -128] = -0.0
    return result


def column(path: str | Path, content: int, shape: Shape) -> Array:
    """A column with a value of this shape for each step."""
    data = file_bytes(path)
    offset, n_records = parse_trailer(data)
    n_entries = parse_block_head(take(data, offset, 32))[5]
    index, _ = block_at(data, offset, (3, 0, n_records, n_entries))
    (length,) = struct.unpack_from("<I", index)
    parts = []
    for at, first, n, crc, kind in struct.iter_unpack("<QQIIB3x", index[4 + length :]):
        if (kind, first) != (COLUMN, content):
            continue
        payload, payload_crc = block_at(data, at, (COLUMN, 0, content, n))
        require(crc == payload_crc, "a column of another archive")
        whole = (n, *shape)
        field = Field(np.dtype(DTYPES[content]), 0.0, whole, whole, False)
        parts.append(restore(payload, field, whole))
    require(parts, "a column is missing")
    return np.concatenate(parts)
