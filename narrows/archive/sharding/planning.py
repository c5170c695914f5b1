"""Making a plan: all that `narrows.compress` decides before it writes, saved to a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from narrows.archive.appending import check_chunk_records, check_together
from narrows.archive.batches import items_apart
from narrows.archive.byte_model_writer import byte_model_of
from narrows.archive.encoder import ModelEncoder
from narrows.archive.new_metadata import new_metadata
from narrows.archive.plan import plan_archive
from narrows.archive.sharding.plan_file import SavedPlan, data_facts, digest_of, write_saved
from narrows.archive.table_codec import is_table_model
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.io.files import check_output

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["check_kind", "plan"]


def plan(
    data: Data,
    path: str | os.PathLike[str],
    *,
    model: Autoencoder | str | os.PathLike[str],
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    quality: int | None = None,
    max_error: float | str | None = None,
    lossless: bool = False,
    accept_loss: str | Sequence[str] = (),
    fill_value: float | None = None,
    overlap: int | None = None,
    effort: int = 0,
    embed_model: bool = False,
    chunk_records: int | None = None,
    labels: str | os.PathLike[str] | None = None,
    keep_codes: bool = False,
    model_path: str | None = None,
    reading: dict[str, Any] | None = None,
    force: bool = False,
) -> SavedPlan:
    """Fix what is global of an archive that several processes write: range, bound and operating point.

    Parameters
    ----------
    data : array_like of shape (n, *shape), path, name or Source
        All records. Series, texts and tables are refused.
    path : path-like
        The plan to write, a JSON file.
    model : Autoencoder or path
        The model of all shards. Its path is stored in the plan.
    psnr, bytes_per_record, quality, max_error, lossless, accept_loss, fill_value, overlap, effort, embed_model
        As for `narrows.compress`. With `psnr` or `bytes_per_record` the operating point is chosen on a sample. A PSNR
        that the sample has and all records miss is warned of by the shards; `narrows.compress` tries again.
    chunk_records : int, optional
        As for `narrows.compress`. Shards begin where chunks do, so that small chunks allow more shards.
    labels : "auto" or path, optional
        As for `narrows.compress`.
    keep_codes : bool
        As for `narrows.compress`.
    model_path : str, optional
        Where workers find the model; by default `model`, if it is a path.
    reading : dict, optional
        Options of the command line for reading the data, which workers use as well.
    force : bool
        Overwrite an existing file.

    Returns
    -------
    SavedPlan
        The plan, as `read_plan` returns it.

    Raises
    ------
    InvalidParameterError
        If the data or the model are of a kind that shards cannot be made of, or as for `narrows.compress`.
    """
    from narrows import __version__
    from narrows.model.weights import weights_digest

    check_chunk_records(chunk_records, append=False)
    check_output(path, force=force)
    asked: dict[str, Any] = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality, "overlap": overlap}
    asked |= {"max_error": max_error, "lossless": lossless}
    check_together(**asked, before=None, effort=effort)
    if labels is not None and not isinstance(labels, str | os.PathLike):
        raise InvalidParameterError(
            "The 'labels' of a plan must be 'auto' or the path of a file, which all workers read. Write the array to a "
            ".npy file."
        )
    check_kind(model)
    encoder = ModelEncoder(model, effort=effort)
    source = encoder.records_of(data)
    _check_source(source)
    given: dict[str, Any] = {
        "accept_loss": accept_loss,
        "fill_value": fill_value,
        "labels": labels,
        "keep_codes": keep_codes,
    }
    made = plan_archive(source, path, encoder=encoder, before=None, **asked, **given)
    header = new_metadata(made.codec, made.quality, chunk_records, made.group_records, made.metadata)
    saved = SavedPlan(
        narrows=__version__,
        data=data_facts(source),
        reading=reading or {},
        model_path=_model_path(model if model_path is None else model_path, path),
        codec=encoder.codec.digest,
        weights=weights_digest(encoder.model.chain_),
        metadata=made.metadata,
        quality=made.number,
        bound=made.bound,
        weight=made.weight,
        fill_value=made.fill_value,
        values_range=made.values_range,
        group_records=made.group_records,
        chunk_records=chunk_records,
        items_apart=items_apart(made, header.chunk_records),
        records_per_item=made.layout.n_records,
        psnr=psnr,
        bytes_per_record=bytes_per_record,
        is_default=made.is_default,
        keep_codes=keep_codes,
        embed_model=embed_model,
        effort=effort,
        overlap=overlap,
        labels=None if labels is None else os.fspath(labels),
        labels_digest=digest_of(made.labels),
    )
    write_saved(saved, path, force=force)
    return saved


def check_kind(model: Any) -> None:
    """Refuse models of texts and tables."""
    is_table = is_table_model(model)
    if is_table or byte_model_of(model) is not None:
        what, part = ("tables", "rows") if is_table else ("texts", "lines")
        raise InvalidParameterError(
            f"A plan is for records of an autoencoder, and the model is one of {what}. Split the {part} into files, "
            "and write an archive of each: `narrows compress PART -m MODEL -o PART.narrows`."
        )


def _check_source(source: Source) -> None:
    """Refuse series and texts, which archives store as a whole."""
    if source.windows is not None or source.text is not None:
        what, kind = ("series", "series") if source.windows is not None else ("texts", "lines")
        raise InvalidParameterError(
            f"{source.name} holds {what}, which an archive stores as a whole, so that shards of it cannot be merged. "
            f"Split the {kind} into files, and write an archive of each: `narrows compress PART -m MODEL`."
        )


def _model_path(model: Any, path: str | os.PathLike[str]) -> str | None:
    """Return where the model file is, as seen from the folder of the plan; None if the model is in no file."""
    if not isinstance(model, str | os.PathLike):
        return None
    text = os.fspath(model)
    if os.path.isabs(text) or "://" in text:
        return text
    return os.path.relpath(text, os.path.dirname(os.fspath(path)) or ".")
