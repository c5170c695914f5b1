"""The plan of an archive in a file: all that depends on more than the records of one shard."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass, fields
from typing import Any, BinaryIO

import numpy as np

from narrows.archive.labels import Label
from narrows.data import Source
from narrows.errors import DataError, DataNotFoundError, InvalidParameterError, WrongModelError
from narrows.io.files import as_path, write_atomically
from narrows.io.remote import fetched

__all__ = ["SHARD", "SavedPlan", "data_facts", "digest_of", "parse_shard", "read_plan", "write_saved"]

SHARD = "shard"
"""Entry of the metadata of a part: digest of the plan, number and count of the shards, first record, all records."""

_KIND = "narrows-plan"
_SAMPLE_ITEMS = 64  # whose checksum is compared


@dataclass(frozen=True)
class SavedPlan:
    """What is fixed before shards of an archive are written.

    Attributes
    ----------
    narrows : str
        The version of narrows that made the plan; workers must have the same.
    data : dict
        Facts about the data, see `data_facts`.
    reading : dict
        Options with which the command line reads the data.
    model_path : str or None
        The model file, relative to the folder of the plan if it is a relative path.
    codec, weights : str
        SHA-256 of the codec and of the weights of the model.
    metadata : dict
        What the plan decides of the archive's header.
    quality : int
        The number of the quality among those of the model.
    bound, weight, fill_value, values_range, group_records
        As in `narrows.archive.plan.Plan`.
    chunk_records : int or None
        The largest number of records of a chunk, if it was given.
    items_apart, records_per_item : int
        Shards begin at multiples of this number of items, each of which has so many records.
    psnr, bytes_per_record : float or None
        What was asked for.
    is_default, keep_codes, embed_model : bool
        Whether nothing was asked for, codes are kept that restoring does not need, the model is to be in the archive.
    effort : int
        As for `narrows.compress`.
    overlap : int or None
        Likewise.
    labels : str or None
        "auto" or the path of a file.
    labels_digest : str or None
        SHA-256 of the labels of all records.
    """

    narrows: str
    data: dict[str, Any]
    reading: dict[str, Any]
    model_path: str | None
    codec: str
    weights: str
    metadata: dict[str, Any]
    quality: int
    bound: float | None
    weight: float | None
    fill_value: float | None
    values_range: tuple[float, float] | None
    group_records: int | None
    chunk_records: int | None
    items_apart: int
    records_per_item: int
    psnr: float | None
    bytes_per_record: float | None
    is_default: bool
    keep_codes: bool
    embed_model: bool
    effort: int
    overlap: int | None
    labels: str | None
    labels_digest: str | None

    @property
    def digest(self) -> str:
        """SHA-256 of all that has an influence on the archive, in hexadecimal."""
        values = {**asdict(self), "model_path": None, "reading": None, "labels": None}
        values["data"] = {name: value for name, value in self.data.items() if name != "name"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @property
    def n_items(self) -> int:
        """The number of items of all shards."""
        return int(self.data["n_items"])

    @property
    def most_shards(self) -> int:
        """The largest number of shards that all have records."""
        return -(-self.n_items // self.items_apart)

    def items_of(self, number: int, n_shards: int) -> range:
        """Return the items of a shard, by its number from 1.

        Raises
        ------
        InvalidParameterError
            If there is no such shard, or a shard would have no records.
        """
        if not 1 <= number <= n_shards:
            raise InvalidParameterError(
                f"Shards are numbered from 1 to their number, as in 'shard' (--shard) 1/{max(n_shards, 1)}. "
                f"Got {number}/{n_shards}."
            )
        if n_shards > self.most_shards:
            raise InvalidParameterError(
                f"The plan has {self.n_items:,} records in pieces of {self.items_apart:,}, which is enough for "
                f"{self.most_shards:,} shards. Got {number}/{n_shards}. Use fewer shards, or make a plan with smaller "
                "chunks (--chunk-records)."
            )
        first, last = (self.most_shards * k // n_shards * self.items_apart for k in (number - 1, number))
        return range(first, min(last, self.n_items))

    def check_data(self, source: Source) -> None:
        """Refuse data that the plan was not made of.

        Raises
        ------
        DataError
            Names what differs.
        """
        found = data_facts(source)
        for name, what in _FACTS.items():
            if found[name] != self.data[name]:
                raise DataError(
                    f"The plan was made of other data, {self.data['name']}: {what} is {self.data[name]} in the plan. "
                    f"Got {found[name]} in {source.name}. Give all of the plan's data to each worker, which takes its "
                    "shard of them, or make a plan of these data."
                )

    def check_labels(self, labels: list[Label] | None) -> None:
        """Refuse labels that are not those of the plan.

        Raises
        ------
        DataError
            Names where they come from.
        """
        if digest_of(labels) != self.labels_digest:
            where = "the data" if self.labels == "auto" else self.labels
            raise DataError(
                f"The plan was made with other labels than those of {where}. Give each worker the labels of the plan, "
                "or make a plan with these."
            )

    def check_model(self, codec: str, weights: str) -> None:
        """Refuse a model that the plan was not made with, by the digests of its codec and weights.

        Raises
        ------
        WrongModelError
            Names both.
        """
        if (codec, weights) != (self.codec, self.weights):
            raise WrongModelError(
                f"The plan was made with the model {self.codec[:12]} of weights {self.weights[:12]}. Got the model "
                f"{codec[:12]} of weights {weights[:12]}. Give the plan's model (--model), or make another plan."
            )

    def check_version(self, version: str) -> None:
        """Refuse plans of other versions of narrows, which may write other bytes.

        Raises
        ------
        InvalidParameterError
            Names both.
        """
        if self.narrows != version:
            raise InvalidParameterError(
                f"The plan was made by narrows {self.narrows}, and this is narrows {version}. All workers must have "
                "the version of the plan. Make the plan again, or install its version."
            )

    def model_beside(self, path: str | os.PathLike[str]) -> str | None:
        """Return the path of the model file of the plan in the file `path`; None if it is not known."""
        if self.model_path is None or "://" in self.model_path:
            return self.model_path
        return os.path.join(os.path.dirname(os.fspath(path)), self.model_path)


_FACTS = {
    "n_items": "the number of records",
    "shape": "the shape",
    "dtype": "the type",
    "crc": "the checksum of some records",
}


def data_facts(source: Source) -> dict[str, Any]:
    """Return by what data are recognised: name, number, shape and type of items, and the CRC-32 of 64 of them."""
    crc = 0
    for item in np.unique(np.linspace(0, len(source) - 1, _SAMPLE_ITEMS).round().astype(np.int64)).tolist():
        crc = zlib.crc32(np.ascontiguousarray(source.values[item]).tobytes(), crc)
    facts = {"n_items": len(source), "shape": list(source.shape), "dtype": source.dtype.name, "crc": f"{crc:08x}"}
    return {"name": source.name, **facts}


def digest_of(labels: list[Label] | None) -> str | None:
    """Return the SHA-256 of the labels of records, in hexadecimal; None without labels."""
    return None if labels is None else hashlib.sha256(json.dumps(labels).encode()).hexdigest()


def parse_shard(shard: str | tuple[int, int]) -> tuple[int, int]:
    """Return number and count of ``"2/8"``, or of a pair.

    Raises
    ------
    InvalidParameterError
        If it is neither.

    Examples
    --------
    >>> parse_shard("2/8")
    (2, 8)
    """
    parts = shard.split("/") if isinstance(shard, str) else list(shard)
    try:
        number, n_shards = (int(part) for part in parts)
    except (TypeError, ValueError):
        raise InvalidParameterError(
            f"The 'shard' (--shard) must be number and count, such as 2/8, the second of eight. Got {shard!r}."
        ) from None
    return number, n_shards


def write_saved(saved: SavedPlan, path: str | os.PathLike[str], *, force: bool) -> None:
    """Write a plan as JSON."""
    values = asdict(saved)

    def write(file: BinaryIO) -> None:
        file.write(json.dumps({"kind": _KIND, **values, "checksum": _checksum(values)}, indent=1).encode() + b"\n")

    write_atomically(path, write, force=force)


def _checksum(values: dict[str, Any]) -> str:
    """Return the SHA-256 of all entries of a plan, in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_plan(path: str | os.PathLike[str]) -> SavedPlan:
    """Return the plan in a file.

    Raises
    ------
    DataNotFoundError, DataError
        If there is no such file, it is no plan that this version can read, or it was changed.
    """
    try:
        values = json.loads(fetched(as_path(path)).read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise DataNotFoundError(
            f"There is no plan '{os.fspath(path)}'. `narrows plan DATA -m MODEL` makes one."
        ) from None
    except (ValueError, RecursionError):
        values = None
    names = {field.name for field in fields(SavedPlan)}
    is_plan = isinstance(values, dict) and values.pop("kind", None) == _KIND
    if not is_plan or values.keys() != {*names, "checksum"}:
        raise DataError(
            f"{os.fspath(path)} is no plan of this version. `narrows plan DATA -m MODEL -o PLAN` makes one."
        )
    if values.pop("checksum") != _checksum(values):
        raise DataError(
            f"{os.fspath(path)} was changed after `narrows plan` wrote it: its checksum differs. Make the plan again "
            "with other options; another path of the model is given with -m."
        )
    if values["values_range"] is not None:
        values["values_range"] = tuple(values["values_range"])
    return SavedPlan(**values)
