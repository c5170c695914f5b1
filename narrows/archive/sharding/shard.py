"""Writing a shard of an archive, with what a plan has fixed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from narrows.archive.encoder import ModelEncoder
from narrows.archive.labelling import labels_for
from narrows.archive.layout_choice import layout_for
from narrows.archive.plan import Plan
from narrows.archive.plan_writing import write_plan
from narrows.archive.sharding.plan_file import SHARD, SavedPlan, parse_shard, read_plan
from narrows.archive.summary import Summary
from narrows.archive.summary_of import summary_of
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data import Source
from narrows.errors import InvalidParameterError, recorded
from narrows.io.files import check_output
from narrows.io.progress import Progress
from narrows.numerics.pool import check_threads
from narrows.numerics.surroundings import usual_settings

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["compress_shard"]


@usual_settings()
def compress_shard(
    data: Data,
    path: str | os.PathLike[str],
    *,
    plan: SavedPlan | str | os.PathLike[str],
    shard: str | tuple[int, int] | None = None,
    model: Autoencoder | str | os.PathLike[str] | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write a shard of the archive of a plan, or all of it.

    A shard is an archive of its own records, which can be read alone. An interrupted worker leaves no file, and is
    started again with the same arguments.

    Parameters
    ----------
    data : array_like of shape (n, *shape), path, name or Source
        All records of the plan, of which the shard's are taken.
    path : path-like
        The part to write.
    plan : SavedPlan or path
        The plan.
    shard : str or (int, int), optional
        Number and count of shards: ``"2/8"``, the second of eight. None: all records, as one archive.
    model : Autoencoder or path, optional
        The model of the plan; by default the file that the plan names.
    force : bool
        Overwrite an existing file.
    threads : int, optional
        As for `narrows.compress`.
    progress : callable, optional
        As for `narrows.compress`.

    Returns
    -------
    Summary
        Of the records of the shard.

    Raises
    ------
    DataError, WrongModelError
        If the data, their labels or the model are not those of the plan.
    InvalidParameterError
        If there is no such shard, or the plan was made by another version of narrows.
    OutputExistsError, OutputError, DataNotFoundError
        If the part cannot be written.
    """
    from narrows import __version__
    from narrows.model.weights import weights_digest

    check_output(path, force=force)
    check_threads(threads)
    saved = plan if isinstance(plan, SavedPlan) else read_plan(plan)
    saved.check_version(__version__)
    place = (1, 1) if shard is None else parse_shard(shard)
    items = saved.items_of(*place)
    with recorded() as warned:
        encoder = ModelEncoder(_model(saved, plan, model), effort=saved.effort)
        saved.check_model(encoder.codec.digest, weights_digest(encoder.model.chain_))
        source = encoder.records_of(data)
        saved.check_data(source)
        planned = _plan_of(saved, encoder, source, items, path)
        entry = {} if shard is None else {SHARD: _entry(saved, *place)}
        writing = {
            "embed_model": saved.embed_model,
            "chunk_records": saved.chunk_records,
            "force": force,
            "threads": threads,
        }
        writer, tally = write_plan(path, planned, progress, writing, metadata={**saved.metadata, **entry})
    asked = {"asked": saved.psnr, "asked_bytes": saved.bytes_per_record}
    return summary_of(path, planned, writer, tally, warned, **asked)


def _model(saved: SavedPlan, plan: Any, given: Any) -> Any:
    """Return the given model, or the path of the plan's."""
    if given is not None:
        return given
    found = saved.model_path if isinstance(plan, SavedPlan) else saved.model_beside(plan)
    if found is None:
        raise InvalidParameterError("The plan does not name a model file. Give its model as 'model' (--model).")
    return found


def _plan_of(
    saved: SavedPlan, encoder: ModelEncoder, source: Source, items: range, path: str | os.PathLike[str]
) -> Plan:
    """Return how the items of a shard are written."""
    whole = encoder.codec
    layout = layout_for(source, whole, saved.overlap)
    labels = labels_for(source, saved.labels, layout, None, path)
    saved.check_labels(labels)
    part = slice(items.start, items.stop)
    some = replace(
        source,
        values=source.values[part],
        labels=None if source.labels is None else source.labels[part],
        files=None if source.files is None else source.files[part],
        table=None,
    )
    return Plan(
        encoder,
        some,
        layout,
        saved.bound,
        PartedCodec.of(whole, saved.quality, with_network=saved.bound is not None),
        0,
        saved.fill_value,
        saved.values_range,
        saved.group_records,
        psnr=saved.psnr,
        is_default=saved.is_default,
        weight=saved.weight,
        labels=None if labels is None else labels[part],
        keep_codes=saved.keep_codes,
    )


def _entry(saved: SavedPlan, number: int, n_shards: int) -> dict[str, Any]:
    """Return what the header of a part says of its place."""
    first = saved.items_of(number, n_shards).start * saved.records_per_item
    place = {"number": number, "of": n_shards, "first": first, "n_records": saved.n_items * saved.records_per_item}
    return {"plan": saved.digest, **place, "embed_model": saved.embed_model}
