"""The batches in which records are prepared for an archive: encoded, restored and measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.archive.labels import Label
from narrows.archive.layouts import Layout
from narrows.archive.plan import Plan
from narrows.archive.tally import ErrorTally
from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.numerics.batches import batch_size

__all__ = ["Batch", "batches_of", "items_apart", "prepared"]

_BATCH_BYTES = 32 << 20
_BATCH_RECORDS = 8192
_ENCODED_RECORDS = 1024  # that an encoder processes at once
_FEWEST_ITEMS = 256  # in a batch that is not the last, if chunks are small


class Batch(NamedTuple):
    """Records to be added to an archive: those of the items before `stop` that are not in earlier batches."""

    stop: int
    records: NDArray[Any]
    names: list[str] | None
    symbols: NDArray[np.int32]
    restored: NDArray[Any]
    tally: ErrorTally
    labels: list[Label] | None


def prepared(plan: Plan, items: range) -> Batch:
    """Encode and restore the records of some items, round them if the plan says so, and measure their errors."""
    codec = plan.codec
    labels = None if plan.labels is None else plan.labels[items.start : items.stop]
    records, names = _records(plan.source, items.start, items.stop, plan.layout)
    symbols = plan.symbols(records)
    restored = codec.decode(symbols, plan.quality)
    tally = ErrorTally(codec.qualities[plan.quality], plan.peak)
    records = plan.padded(records, restored, items.start)
    missing = plan.fill_value if plan.encoder.fill_value is None else plan.encoder.fill_value
    exact = restored
    if plan.weight is not None:
        exact, measured = plan.rounded(records), ErrorTally(codec.qualities[plan.quality], plan.peak)
        tally.add(records, restored)
        measured.add(records, exact)
        tally.squared, tally.max_error = measured.squared, measured.max_error
        return Batch(items.stop, exact, names, symbols, restored, tally, labels)
    if missing is not None:
        places = is_fill(records, missing)
        exact = np.where(places, records, restored)
        tally.n_fill = int(places.sum())
    tally.add(records, exact)
    if plan.texts is not None:
        tally.add_texts(records, restored)
    return Batch(items.stop, records, names, symbols, restored, tally, labels)


def items_apart(plan: Plan, chunk_records: int) -> int:
    """Return the number of items after which both a chunk and a batch end, for a largest number of records of a chunk.

    Batches of an encoder may have an influence on the last bits of codes. Archives are therefore the same if they are
    written in parts that begin at such items.
    """
    per_item = plan.layout.n_records
    whole = math.lcm(chunk_records, per_item) // per_item
    return whole * -(-min(_FEWEST_ITEMS, _most_items(plan)) // whole)


def batches_of(plan: Plan, chunk_records: int) -> Iterator[range]:
    """Split the items into ranges, which do not depend on the number of threads, and end where `items_apart` says.

    The encoder processes so many records at once that the number of records in a range makes no difference to its
    speed; of these, a quarter at a time on a CPU. With an effort, which takes long, ranges are so short, for the
    progress.
    """
    source, apart = plan.source, items_apart(plan, chunk_records)
    size = _most_items(plan)
    encoded = batch_size(plan.codec.shape, _ENCODED_RECORDS)
    part = size if plan.layout.n_records > 1 else encoded if plan.effort == 0 else -(-encoded // 4)
    part = min(part, size)
    every = range(len(source))
    for start in range(0, len(source), apart):
        batch = every[start : start + apart]
        for first in range(0, len(batch), part):
            yield batch[first : first + part]


def _most_items(plan: Plan) -> int:
    """Return the largest number of items of a batch."""
    return max(1, min(_BATCH_RECORDS, _BATCH_BYTES // max(plan.source.values[:1].nbytes, 1)))


def _records(source: Source, start: int, stop: int, layout: Layout) -> tuple[NDArray[Any], list[str] | None]:
    """Return the records of items, and their names if they have any. The first record of an item has its name."""
    records = layout.cut(np.asarray(source.values[start:stop]))
    if source.files is None:
        return records, None
    return records, [text for name in source.files[start:stop] for text in (name, *[""] * (layout.n_records - 1))]
