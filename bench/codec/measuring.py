"""One way to store records, and how every way is measured: bytes a record, PSNR, megabytes a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attempt", "measure", "psnr_db"]

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Attempt:
    """A method at one setting.

    Parameters
    ----------
    method, setting : str
        What it is called; settings of a method are the points of its curve.
    encode : callable
        Takes the test records (n, ...) and returns what would lie on the disk, as a list of byte strings.
    decode : callable
        Takes that list and returns the records, uint8 and of the same shape.
    side_bytes : int or callable
        What a reader needs besides: dictionary, codebook or model. Not part of the bytes a record. A function is
        called after encoding.
    every : int
        Measured on every so-manieth test record only: for methods that are slow and code each record alone, so
        that the sample tells the same.
    note : str
        What is counted and how, where that is not plain.
    """

    method: str
    setting: str
    encode: Callable[[Array], list[bytes]]
    decode: Callable[[list[bytes]], Array]
    side_bytes: int | Callable[[], int] = 0
    every: int = 1
    note: str = ""


def measure(attempt: Attempt, test: Array) -> dict[str, Any]:
    """Return the row of one attempt; every number is over all values of all records it was run on."""
    records = np.ascontiguousarray(test[:: attempt.every])
    began = time.perf_counter()
    stored = attempt.encode(records)
    encoded = time.perf_counter()
    restored = attempt.decode(stored)
    decoded = time.perf_counter()
    psnr = psnr_db(records, restored)
    side_bytes = attempt.side_bytes
    return {
        "method": attempt.method,
        "setting": attempt.setting,
        "bytes_per_record": round(sum(map(len, stored)) / len(records), 4),
        "psnr_db": round(psnr, 4) if math.isfinite(psnr) else None,  # None: restored exactly
        "encode_mb_per_s": _speed(records.nbytes, encoded - began),
        "decode_mb_per_s": _speed(records.nbytes, decoded - encoded),
        "side_bytes": side_bytes() if callable(side_bytes) else side_bytes,
        "n_records": len(records),
        "note": attempt.note,
    }


def psnr_db(records: Array, restored: Array) -> float:
    """Return 10 log₁₀(255² / MSE), the mean over all values of all records; infinite if nothing differs."""
    if restored.dtype != np.uint8 or restored.shape != records.shape:
        raise ValueError(f"Got {restored.dtype} {restored.shape} back for uint8 {records.shape}.")
    difference = records.astype(np.int32) - restored
    error = float(np.mean(difference * difference, dtype=np.float64))
    return 10 * math.log10(255**2 / error) if error else math.inf


def _speed(n_bytes: int, seconds: float) -> float:
    return float(f"{n_bytes / 1e6 / seconds:.3g}")
