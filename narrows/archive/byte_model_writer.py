"""Writing of texts with a model of bytes, from which they are restored byte for byte: each alone, or in groups."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import narrows.data
from narrows.archive.appending import check_chunk_records, metadata_of
from narrows.archive.description import inspect
from narrows.archive.layout import GROUP_RECORDS
from narrows.archive.layouts import TextLayout
from narrows.archive.metadata import BYTE_MODEL, MODEL_FILE, Metadata
from narrows.archive.models import short_of_file
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.text_writer import with_long_records
from narrows.archive.texts import ArchivedTexts, text_chunk_records
from narrows.archive.writer import Writer
from narrows.codec.model_file import KIND_OF_BYTES, read_codec
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data import Source
from narrows.data.text.pieces import Pieces
from narrows.data.text.sources import source_of_pieces
from narrows.errors import ArchiveError, DataError, InvalidParameterError, recorded
from narrows.io.files import check_output
from narrows.io.model_file import read_model_file
from narrows.io.progress import Progress

__all__ = ["byte_model_of", "compress_with_bytes"]

_ALONE_GROUP = 256  # records that share a checksum if each is coded alone
_USUAL_GROUP = 64
_BATCH = 4096


def byte_model_of(model: Any) -> PartedCodec | None:
    """Return the model of bytes that is given, as a fitted `ByteModel` or its file; None for others and missing files.

    Raises
    ------
    ModelFileError
        If the file is no model.
    """
    if isinstance(model, str | os.PathLike):
        if not os.path.isfile(model) or read_model_file(model, ())[0].get("kind") != KIND_OF_BYTES:
            return None
        found: Any = read_codec(model)
    else:
        found = getattr(model, "codec_", None) if getattr(model, "kind", None) == KIND_OF_BYTES else None
    return found if isinstance(found, PartedCodec) else None


def compress_with_bytes(
    data: Any,
    path: str | os.PathLike[str],
    codec: PartedCodec,
    given: Mapping[str, Any],
    *,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write texts with a model of bytes.

    Parameters
    ----------
    data : list of str, path, name or Source
        The texts.
    path, force, threads, progress
        As for `narrows.compress`.
    codec : PartedCodec
        The model of bytes.
    given : mapping
        Other parameters of `narrows.compress`. ``chunk_records`` is the largest number of records of a group, by
        default 64. Each is predicted from those before it in its group, and to read one, its group is decoded. There
        are groups of 1, 16, 32, 64, 128 and 256 records.

    Raises
    ------
    DataError
        If the data are not texts.
    InvalidParameterError
        If a parameter has no meaning for texts, or texts to be appended are longer than the archive's records.
    ArchiveError
        If texts are to be appended to an archive of something else.
    """
    asked = dict(given)
    chunk_records, append, embed_model = (asked.pop(name, None) for name in ("chunk_records", "append", "embed_model"))
    _check_asked(asked)
    check_chunk_records(chunk_records, append=bool(append))
    check_output(path, force=force or bool(append))
    group = _group(chunk_records)
    before = metadata_of(path) if append else None
    with recorded() as warned:
        source = _texts(data, path, before)
    assert source.text is not None, "the source has texts"
    texts, records = ArchivedTexts.of(source.text), np.asarray(source.values)
    codec = codec.of_shape(source.shape)
    metadata = {
        "container": {"kind": source.kind},
        "record": "text",
        "max_error": 0.0,
        BYTE_MODEL: group,
        MODEL_FILE: short_of_file(codec),
        TextLayout.entry: texts.layout(source.shape).to_json(),
    }
    how: dict[str, Any] = {"embed_model": bool(embed_model), "append": before is not None}
    if before is None:
        how["chunk_records"] = _whole_groups(text_chunk_records(source.text, 1), group)
        how["group_records"] = _ALONE_GROUP if group == 1 else group
        how["copies_header"] = len(records) > how["chunk_records"]  # for a single chunk, it would save nothing
    with Writer(path, codec, 0, metadata, parts_of=texts, force=force, threads=threads, **how) as writer:
        for start in range(0, len(records), _BATCH):
            some = records[start : start + _BATCH]
            writer.add(np.zeros((len(some), 1), np.int32), some, records=some)
            if progress is not None:
                progress("compressing", start + len(some), len(records), "records")
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned)}
    return _summary(path, source, writer, codec, tuple(warnings.values()))


def _check_asked(asked: Mapping[str, Any]) -> None:
    """Refuse parameters that have no meaning for texts that are restored byte for byte; None or False if not given."""
    for name, value in asked.items():
        if value not in (None, False, 0, ()):
            raise InvalidParameterError(
                f"'{name}' (--{name.replace('_', '-')}) has no meaning with a model of bytes, which restores texts "
                f"byte for byte. Got {name}={value!r}. Omit it."
            )


def _group(chunk_records: int | None) -> int:
    """Return the number of records of a group: the largest that is possible, and at most the number asked for."""
    if chunk_records is None:
        return _USUAL_GROUP
    return max([1, *(size for size in GROUP_RECORDS if size <= chunk_records)])


def _whole_groups(n_records: int, group: int) -> int:
    return max(group, n_records // group * group)


def _texts(data: Any, path: str | os.PathLike[str], before: Metadata | None) -> Source:
    """Return texts as records: of the archive's length, if they are appended to one."""
    source = data if isinstance(data, Source) else narrows.data.open(data, record="text")
    if source.text is None:
        raise DataError(
            f"The model is a model of bytes, for text. {source.name} has records of shape {source.shape} "
            f"{source.dtype}. Give lines of text or a column of texts (--column), or another model."
        )
    if before is None:
        return with_long_records(source)
    if before.text is None or before.text_group is None:
        raise ArchiveError(
            f"{os.fspath(path)} was not written with a model of bytes. Append with the archive's model, or write a new "
            "archive."
        )
    (length,) = before.record_shape
    longest = int(source.text.texts.lengths.max(initial=0))
    if longest > length or "texts" in before.text:
        raise InvalidParameterError(
            f"{os.fspath(path)} cannot be appended to, since some texts are longer than a record of {length:,} bytes. "
            "Write a new archive."
        )
    pieces = Pieces(source.text.texts, length)
    return replace(source_of_pieces(pieces, source.name, source.kind), warnings=source.warnings)


def _summary(
    path: str | os.PathLike[str], source: Source, writer: Writer, codec: PartedCodec, warnings: tuple[Any, ...]
) -> Summary:
    assert source.text is not None, "the source has texts"
    texts, written = source.text.texts, inspect(path)
    n_lines = texts.n_bytes + len(texts)
    return Summary(
        path=os.fspath(path),
        records=len(texts),
        total_records=written.n_records,
        n_bytes=writer.n_bytes,
        raw_bytes=round(n_lines * written.n_records / len(texts)),
        psnr_db=None,
        max_error=0.0,
        expected_psnr_db=None,
        expected_bytes_per_record=None,
        model_bytes=len(codec.blob),
        model_embedded=written.has_model,
        unlike=0,
        warnings=warnings,
        error_bound=0.0,
        chunks_kept=ways_of(writer.kept),
        characters_right=1.0,
        sample=texts.first_bytes(ZSTD_SAMPLE_BYTES),
        are_texts=True,
        fixed_bytes=written.fixed_bytes,
    )
