"""The codes in an archive, read for search: its symbols are decoded, and no record is restored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import read_chunk
from narrows.archive.contract import Codec
from narrows.archive.header import naming, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.labels import Label, read_labels
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import Metadata
from narrows.archive.model_search import find_model
from narrows.archive.models import find_codec
from narrows.archive.names import item_names
from narrows.codec.operations import Rescale
from narrows.errors import ArchiveError, CorruptArchiveError
from narrows.model.artefacts.search_metric import SearchMetric
from narrows.model.search_codes import numbers_of
from narrows.numerics.surroundings import usual_settings
from narrows.uses.search.index_file import About
from narrows.uses.search.items import Items

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["ArchiveCodes", "read_archive_codes"]

Floats = NDArray[np.float64]

_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)
_HOW = (
    "Make an index of the original records: narrows index DATA -m MODEL -o data.index. Or compress them again with "
    "their codes: narrows compress --keep-codes."
)
_HOW_INDEX = "Make an index of the original records: narrows index DATA -m MODEL -o data.index."


class ArchiveCodes(NamedTuple):
    """The codes of an archive, as an index has them.

    Attributes
    ----------
    coordinates : ndarray of shape (n, d), int16
    metric : SearchMetric
        That of the model; without a model, or if the model has none, each number counts in quantisation steps.
    items : Items
    about : About
    model : Autoencoder or None
        The model that was given or found.
    """

    coordinates: NDArray[np.int16]
    metric: SearchMetric
    items: Items
    about: About
    model: Autoencoder | None


@usual_settings()
def read_archive_codes(path: str | os.PathLike[str], model: Autoencoder | None = None) -> ArchiveCodes:
    """Return the codes of all records of an archive.

    Parameters
    ----------
    path : path-like
        The archive.
    model : Autoencoder, optional
        The model that it was written with. By default it is searched by its hash, as for `open_archive`; an archive
        that contains its model can be searched without it by records of its own.

    Raises
    ------
    ArchiveError
        If records are not codes of their own: fields, series, parts of images or texts, and chunks without codes.
    CorruptArchiveError, WrongModelError
        As `open_archive`.
    """
    with ByteFile(path) as source, naming(source.path):
        header = read_header(source)
        metadata = header.metadata
        _check_layout(source.path, metadata)
        index = read_index(source, header)
        if model is None:
            found = find_model(source.path, metadata.model_file)
            model = None if found is None else _loaded(found)
        codec = find_codec(source, metadata, index.models, model, needed=index.needed)
        symbols = _symbols(source, metadata, index, codec)
        names = item_names(source, metadata, index)
        labels = read_labels(source, metadata, index)
    items = Items(len(symbols), tuple(names) if any(names) else None, _as_array(labels))
    codes, metric = _codes_and_metric(codec, metadata, symbols, model)
    record = "text" if metadata.text is not None else "series" if metadata.is_series else "auto"
    about = About(
        codec.digest, metadata.model_file, metadata.record_shape, metadata.dtype.name, record, os.fspath(path)
    )
    return ArchiveCodes(metric.coordinates(codes), metric, items, about, model)


def _check_layout(path: str, metadata: Metadata) -> None:
    """Refuse archives whose items are not one record each."""
    layout = layout_of(metadata)
    why = None
    if metadata.field is not None:
        why = "was written without a model, so it has no codes"
    elif metadata.windows is not None:
        why = "holds whole series, whose steps are its items"
    elif layout.n_records != 1:
        why = f"holds images that are cut into {layout.n_records:,} records each"
    elif metadata.text is not None and getattr(layout, "n_cut", None) is not None:
        why = "holds texts that are cut into several records"
    if why is not None:
        raise ArchiveError(f"{path} {why}. {_HOW_INDEX}")


def _symbols(source: ByteFile, metadata: Metadata, index: Index, codec: Codec) -> NDArray[np.int32]:
    """Return the symbols (n, n_symbols) of all records.

    Raises
    ------
    ArchiveError
        If a chunk has no codes.
    CorruptArchiveError
        If a chunk is damaged.
    """
    found = np.empty((index.n_records, metadata.n_symbols), np.int32)
    for chunk in range(len(index.offsets)):
        records = index.range_of(chunk)
        payload = read_chunk(source, metadata, index, chunk)
        if payload.coded is None:
            raise ArchiveError(
                f"{source.path} keeps the records {records.start:,} to {records.stop - 1:,} without codes, which took "
                f"fewer bytes. {_HOW}"
            )
        try:
            entropy = codec.qualities[metadata.position].entropy
            found[records.start : records.stop] = entropy.decode(payload.coded, len(records))
        except _DAMAGE as error:
            what = f"the records {records.start:,} to {records.stop - 1:,}"
            raise CorruptArchiveError(f"the codes of {what} cannot be decoded: {error}") from error
    return found


def _codes_and_metric(
    codec: Codec, metadata: Metadata, symbols: NDArray[np.int32], model: Autoencoder | None
) -> tuple[Floats, SearchMetric]:
    """Return the numbers of the codes (n, d), and the metric of their distances."""
    point: Any = codec.qualities[metadata.position]
    if model is None:
        is_scaled = isinstance(point.rescale.operations[0], Rescale)
        whole = symbols if is_scaled else point.rescale.run(symbols).reshape(len(symbols), -1)
        codes: Floats = whole.astype(np.float64)
        return codes, SearchMetric.of("steps", _some(codes), np.ones(codes.shape[1]))
    steps: Floats = point.steps
    codes = numbers_of(model.chain_, symbols * steps)
    if model.model_.has(SearchMetric.name):
        return codes, model.model_.current(SearchMetric)
    weights = 1 / steps if model.chain_.bottleneck.n_codes is None else np.ones(codes.shape[1])
    return codes, SearchMetric.of("steps", _some(codes), weights)


def _as_array(labels: list[Label] | None) -> NDArray[Any] | None:
    """Return labels as an array: of whole numbers if all are, otherwise of text, empty for records without a label."""
    if labels is None:
        return None
    if all(isinstance(label, int) for label in labels):
        return np.array(labels, np.int64)
    return np.array(["" if label is None else str(label) for label in labels])


def _some(codes: Floats) -> Floats:
    return codes if len(codes) else np.zeros((1, codes.shape[1]))


def _loaded(path: str | os.PathLike[str]) -> Autoencoder | None:
    """Return the autoencoder in a file; None if it is the model of another estimator."""
    from narrows.estimators.loading import load

    loaded = load(path)
    return cast("Autoencoder", loaded) if loaded.kind == "autoencoder" else None
