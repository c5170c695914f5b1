"""Rates between the measured points of a curve: bytes a record at a PSNR."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Curve", "Rate", "curves", "frontier"]


@dataclass(frozen=True)
class Rate:
    """Bytes a record for a PSNR, or None where it is not reached; `at_most` where the smallest setting has more dB."""

    n_bytes: float | None
    at_most: bool = False

    def __str__(self) -> str:
        return "not reached" if self.n_bytes is None else f"{'≤ ' if self.at_most else ''}{self.n_bytes:.1f}"


@dataclass(frozen=True)
class Curve:
    """The rows of one method on one set, and the points of them that no other row beats: of rising bytes and PSNR."""

    method: str
    rows: tuple[dict[str, Any], ...]
    points: tuple[tuple[float, float], ...]

    @property
    def exact(self) -> bool:
        """Whether everything comes back as it was."""
        return math.isinf(self.points[0][1])

    def rate_at(self, psnr_db: float) -> Rate:
        """Return the bytes a record at this PSNR, straight in dB over log bytes between points; nothing beyond them."""
        if psnr_db <= self.points[0][1]:
            return Rate(self.points[0][0], at_most=psnr_db < self.points[0][1])
        for (fewer, below), (more, above) in zip(self.points, self.points[1:], strict=False):
            if psnr_db <= above:
                share = (psnr_db - below) / (above - below) if math.isfinite(above) else 1.0
                return Rate(fewer * (more / fewer) ** share)
        return Rate(None)


def curves(rows: Iterable[dict[str, Any]]) -> list[Curve]:
    """Return the curves of the rows of one set, in the order the methods come in."""
    methods: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        methods.setdefault(row["method"], []).append(row)
    return [Curve(method, tuple(its), frontier(its)) for method, its in methods.items()]


def frontier(rows: Iterable[dict[str, Any]]) -> tuple[tuple[float, float], ...]:
    """Return the points (bytes a record, dB) that no other row beats, of rising bytes and dB."""
    points = [(row["bytes_per_record"], math.inf if row["psnr_db"] is None else row["psnr_db"]) for row in rows]
    kept: list[tuple[float, float]] = []
    for n_bytes, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or psnr > kept[-1][1]:
            kept.append((n_bytes, psnr))
    return tuple(kept)
