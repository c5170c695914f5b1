"""The records that a damaged archive has lost."""

from __future__ import annotations

from narrows.archive.layout import Block
from narrows.archive.report import Problem

__all__ = ["gaps", "missing"]

Placed = tuple[int, Block]


def gaps(chunks: list[Placed], problems: list[Problem], declared: int | None) -> tuple[tuple[int, int], ...]:
    """Return the ranges of records that are in no chunk, up to the last known record."""
    damaged = [problem.records[1] for problem in problems if problem.records is not None]
    stops = [block.stop for _, block in chunks] + ([declared] if declared is not None else damaged)
    found, start = [], 0
    for first, stop in [(block.first, block.stop) for _, block in chunks] + [(max(stops, default=0),) * 2]:
        if first > start:
            found.append((start, first))
        start = max(start, stop)
    return tuple(found)


def missing(lost: tuple[tuple[int, int], ...], problems: list[Problem], n_bytes: int) -> list[Problem]:
    """Return a problem for each range of lost records that is not part of a damaged block."""
    explained = sorted(problem.records for problem in problems if problem.records is not None)
    unexplained = []
    for start, stop in lost:
        at = start
        for first, last in explained:
            if at < first < stop:
                unexplained.append((at, first))
            if first < stop:
                at = max(at, last)
        if at < stop:
            unexplained.append((at, stop))
    return [Problem(n_bytes, "these records are missing", records) for records in unexplained]
