"""Recovery: the intact chunks of a damaged archive, written to a new one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from narrows.archive.blocks import BlockWriter
from narrows.archive.byte_file import ByteFile
from narrows.archive.header import naming
from narrows.archive.labels import labels_before
from narrows.archive.layout import BLOCK_BYTES, pack_header
from narrows.archive.layouts import Field
from narrows.archive.metadata import Metadata, header_entries
from narrows.archive.models import held_by, needed_by
from narrows.archive.report import Report
from narrows.archive.series_recovery import left_of
from narrows.archive.verification import Found, examine
from narrows.errors import CorruptArchiveError, DataWarning
from narrows.io.files import as_path, check_output, naming_output, replacing

__all__ = ["Recovery", "recover"]


@dataclass(frozen=True)
class Recovery:
    """The result of `recover`.

    Attributes
    ----------
    path : str
        The new archive.
    n_records : int
        Its number of records. They keep their order, and are numbered from 0 without gaps.
    n_chunks : int
        Its number of chunks.
    has_model : bool
        Whether it contains the model.
    report : Report
        The problems of the old archive; `Report.lost` are the records that are not in the new one.
    """

    path: str
    n_records: int
    n_chunks: int
    has_model: bool
    report: Report

    @property
    def warnings(self) -> tuple[DataWarning, ...]:
        """A warning with the number of lost records, if there are any."""
        report = self.report
        if not report.n_lost and report.n_records is not None:
            return ()
        return (DataWarning(_lost_text(report), kind="lost-records", count=report.n_lost),)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**vars(self), "report": self.report.to_json()}


def recover(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, model: Any = None, force: bool = False
) -> Recovery:
    """Write all intact chunks of a damaged or truncated archive to a new one.

    Of a field, it writes the slices along the first axis whose blocks are all intact, as a smaller field; of series the
    steps that are left, with their times; of texts the records that are left of each.

    Parameters
    ----------
    path : path-like
        The archive; it is not changed.
    out : path-like
        The new archive; written atomically.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        As in `verify`: with it, the checksums of restored records are checked too.
    force : bool
        Overwrite `out`.

    Returns
    -------
    recovery : Recovery
        Size and origin of the new archive.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError, WrongModelError
        As `verify`; also if no chunk is intact.
    OutputExistsError, OutputError, InvalidParameterError
        If `out` cannot be written.
    """
    target = as_path(out)
    check_output(target, force=force)
    with ByteFile(path) as source:
        with naming(source.path):
            found = examine(source, model)
            if not found.chunks:
                raise CorruptArchiveError(f"No chunk of {source.path} is intact, so no records can be recovered.")
            metadata, parts_of = left_of(source, found.header, found.chunks)
        header = _header(found, metadata)
        with naming_output(out), replacing(Path(os.path.realpath(target)), force=force) as file:
            file.write(header)
            blocks = BlockWriter(file, header, len(header))
            for blob in dict.fromkeys(found.models):
                blocks.model(blob, held_by(blob, metadata))
            for column in () if parts_of is None else parts_of.blocks():
                blocks.column(*column)
            first = 0
            for offset, block in found.chunks:
                with naming(source.path):
                    payload = source.read(offset + BLOCK_BYTES, block.n_payload_bytes)
                    labels = labels_before(source, offset, block.first, block.n_records, found.labels)
                if labels is not None:
                    blocks.labels(labels, first, block.n_records)
                blocks.records(payload, first, block.n_records, block.coding, needed_by(payload, block, metadata))
                first += block.n_records
            blocks.finish(first)
    return Recovery(os.fspath(out), first, len(found.chunks), bool(found.models), found.report)


def _header(found: Found, metadata: Metadata) -> bytes:
    """Return the header of the new archive: that of the old one, or of a field or series with fewer slices."""
    if metadata.field is None:
        return found.header.data if metadata == found.header.metadata else pack_header(metadata.to_json())
    field = Field.from_json(metadata.field)
    rows = sorted({block.first // field.n_records for _, block in found.chunks})
    if len(rows) == field.grid[0] and metadata == found.header.metadata:
        return found.header.data
    fewer = field.with_rows(rows).to_json()
    return pack_header(header_entries(replace(metadata, more={**metadata.more, "field": fewer})))


def _lost_text(report: Report) -> str:
    """Return how many records of how many are lost."""
    if report.n_records is not None:
        n, them = report.n_records, f"{report.unit} is" if report.n_lost == 1 else f"{report.unit}s are"
        return f"{report.n_lost:,} of {n:,} {them} lost: they are damaged in {report.path}."
    known = (
        f"At least {report.n_lost:,} {report.unit}s are"
        if report.n_lost
        else f"Any {report.unit}s after the last intact chunk are"
    )
    return f"{known} lost: the end of {report.path} is damaged, so its number of {report.unit}s is unknown."
