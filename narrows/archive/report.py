"""What verification finds: the intact and the lost records of an archive, and each defect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

__all__ = ["Problem", "Report"]


class Problem(NamedTuple):
    """A defect of an archive.

    Attributes
    ----------
    offset : int
        Its position in the file.
    what : str
        A description in words.
    records : tuple of (start, stop), optional
        The affected records.
    """

    offset: int
    what: str
    records: tuple[int, int] | None = None


@dataclass(frozen=True)
class Report:
    """The result of `verify`.

    Attributes
    ----------
    path : str
        Path of the archive.
    n_bytes : int
        Size of the file.
    n_records : int or None
        Number of records that the archive should have; None if trailer and index are lost.
    n_intact : int
        Number of intact records.
    n_chunks : int
        Number of intact chunks.
    lost : tuple of (start, stop)
        Ranges of missing or damaged records. If `n_records` is None, records at the end may be missing as well.
    problems : tuple of Problem
        All defects, in the order of their offsets.
    largest_error : float or None
        The largest error of a value in the intact chunks, in the records' units, measured when the archive was written.
        None if the archive has no error bound.
    unit : str
        What the records are: ``"record"``, or ``"block"`` of a field.
    is_restored : bool
        Whether all records were restored and compared with their checksums. Without a model, only the checksums of the
        file's bytes are checked.
    """

    path: str
    n_bytes: int
    n_records: int | None
    n_intact: int
    n_chunks: int
    lost: tuple[tuple[int, int], ...]
    problems: tuple[Problem, ...]
    is_restored: bool
    largest_error: float | None = None
    unit: str = "record"

    @property
    def n_lost(self) -> int:
        """Number of records that are known to be missing or damaged."""
        return sum(stop - first for first, stop in self.lost)

    @property
    def is_intact(self) -> bool:
        """Whether the archive has no defects."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        problems = [{"offset": one.offset, "what": one.what, "records": one.records} for one in self.problems]
        return {**asdict(self), "problems": problems}
