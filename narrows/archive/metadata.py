"""The metadata in the header of an archive."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narrows.archive.chunk_sizes import MOST_BOUNDED_VALUES
from narrows.archive.layout import (
    CODED_GROUP_RECORDS,
    GROUP_RECORDS,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_RECORDS,
    MAX_CHUNK_SYMBOLS,
    MAX_RECORD_BYTES,
)
from narrows.archive.table_entries import OF_TABLES, entries_of_table
from narrows.codec.dequantise import DTYPES
from narrows.errors import CorruptArchiveError

__all__ = [
    "BYTE_MODEL",
    "CODED_GROUPS",
    "KEEP_CODES",
    "LABELS",
    "MODEL_FILE",
    "NO_MODEL",
    "OVER_CHANNELS",
    "PARTS",
    "ROUNDED",
    "Metadata",
    "header_entries",
]

MODEL_FILE = "model_file"
"""Entry of archives that contain a part of a model: the first digits of the hash of the model file's codec."""
ROUNDED = "rounded"
"""Entry of archives whose pixels were rounded to levels before they were coded losslessly."""
PARTS = 1
"""The entry ``parts`` of archives with a model in parts."""
CODED_GROUPS = "coded_groups"
"""The entry of archives whose causal network codes groups of records one by one; its value is 1."""
LABELS, KEEP_CODES = "labels", "keep_codes"
"""Entries of archives whose chunks have labels, and of those that keep codes for search; their value is 1."""
BYTE_MODEL = "byte_model"
"""The entry of archives whose texts a model of bytes codes; its value is the number of records of a coded group."""
OVER_CHANNELS = "over_channels"
"""The entry of archives with channels that are bisected, each predicted from those before it; its value is 1."""
NO_MODEL = "0" * 64
"""The model of an archive of a field, which has none."""
MAX_AXES = 31  # of a record


@dataclass(frozen=True)
class Metadata:
    """The metadata of an archive, checked.

    Attributes
    ----------
    record_shape : tuple of int
        Shape of one record of the codec.
    dtype : dtype
        The records' dtype.
    model : str
        SHA-256 of the frozen codec, in hexadecimal.
    quality : int
        Index of the codec's quality.
    n_symbols : int
        D, the number of symbols of a record.
    chunk_records : int
        The largest number of records of a chunk.
    group_records : int
        The number of records that share a checksum and are decoded together.
    container : dict
        The kind of the input, for example ``{"kind": "idx"}``, as JSON.
    tiling : dict or None
        The tiling of images into records; None without tiles.
    narrows : str
        The version of narrows that wrote the archive.
    max_error : float or None
        The error bound in the records' units; 0: lossless; None: only the model's code is stored.
    parts : int or None
        1 if the model is named and stored in parts; None: as a whole.
    more : dict
        Unknown entries.
    """

    record_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    model: str
    quality: int
    n_symbols: int
    chunk_records: int
    group_records: int
    container: dict[str, Any]
    tiling: dict[str, Any] | None
    narrows: str
    max_error: float | None = None
    parts: int | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def record_bytes(self) -> int:
        """Size of one restored record in bytes."""
        return math.prod(self.record_shape) * self.dtype.itemsize

    @property
    def coded_groups(self) -> int | None:
        """The number of records of a group if a causal network codes them group by group; None if by chunk."""
        return self.group_records if self.more.get(CODED_GROUPS) is not None else None

    @property
    def text_group(self) -> int | None:
        """The number of records of a group that a model of bytes codes; None if there is no such model.

        Raises
        ------
        CorruptArchiveError
            If there can be no such groups.
        """
        group = self.more.get(BYTE_MODEL)
        if group is None or (type(group) is int and group in {1, self.group_records}):
            return group
        raise CorruptArchiveError(f"its metadata declare groups of {group!r:.20} texts")

    @property
    def position(self) -> int:
        """Index of the quality in the codec that reads the archive: a codec in parts has one quality."""
        return self.quality if self.parts is None else 0

    @property
    def model_file(self) -> str:
        """The first 12 digits of the hash of the codec in the model file that the archive was written with."""
        given = self.more.get(MODEL_FILE)
        return given if isinstance(given, str) and re.fullmatch(r"[0-9a-f]{12}", given) else self.model[:12]

    @property
    def field(self) -> dict[str, Any] | None:
        """How the blocks of a field make an array; None if the archive has records of a model."""
        found = self.more.get("field")
        return found if isinstance(found, dict) else None

    @property
    def table(self) -> dict[str, Any] | None:
        """What the rows of a table are; None if the archive has none."""
        found = self.more.get("table")
        return found if isinstance(found, dict) else None

    @property
    def windows(self) -> dict[str, Any] | None:
        """The series that records are windows of; None if items are no steps of series."""
        found = self.more.get("windows")
        return None if found is None else found if isinstance(found, dict) else {}

    @property
    def text(self) -> dict[str, Any] | None:
        """How records are pieces of texts; None if they are not."""
        found = self.more.get("text")
        return None if found is None else found if isinstance(found, dict) else {"texts": found}

    @property
    def has_labels(self) -> bool:
        """Whether chunks have labels."""
        return self.more.get(LABELS) is not None

    @property
    def keeps_codes(self) -> bool:
        """Whether chunks whose residuals need no code contain it nevertheless."""
        return self.more.get(KEEP_CODES) is not None

    @property
    def is_series(self) -> bool:
        """Whether the records, or the slices of a field, are parts of series."""
        return self.more.get("record") == "series" or "series" in self.more

    @property
    def fill_value(self) -> float | None:
        """The value that is kept exactly within the bound; None if there is none. Only appending needs it."""
        value = self.more.get("fill_value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return None
        return float(value)

    @property
    def rounding_weight(self) -> float | None:
        """How much squared error a bit was worth where pixels were rounded to levels; None if they were not."""
        found = self.more.get(ROUNDED)
        if found is None:
            return None
        weight: Any = found.get("weight") if isinstance(found, dict) else None
        is_weight = type(weight) in {int, float} and 0 <= weight <= sys.float_info.max
        return float(weight) if is_weight else 0.0

    def entry(self, name: str) -> Any:
        """Return an entry that a layout may have; None if there is none."""
        return self.tiling if name == "tiling" else self.more.get(name)

    def n_groups(self, n_records: int) -> int:
        """Return the number of groups, and so of checksums, of a chunk of n_records records."""
        return -(-n_records // self.group_records)

    def to_json(self) -> dict[str, Any]:
        """Return the metadata as JSON values."""
        return {
            **self.more,
            "record_shape": list(self.record_shape),
            "dtype": self.dtype.name,
            "model": self.model,
            "quality": self.quality,
            "n_symbols": self.n_symbols,
            "chunk_records": self.chunk_records,
            "group_records": self.group_records,
            "container": self.container,
            "tiling": self.tiling,
            "narrows": self.narrows,
            **({} if self.max_error is None else {"max_error": self.max_error}),
            **({} if self.parts is None else {"parts": self.parts}),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Metadata:
        """Return the metadata in a header.

        Raises
        ------
        CorruptArchiveError
            If an entry is missing or invalid.
        """
        given = dict(values)
        if given.get("field") is not None:
            given = _without_model(given)
        elif given.get("table") is not None:
            given = entries_of_table(given)
        known = {name: given.pop(name, None) for name in _CHECKS}
        for name, check in _CHECKS.items():
            if not check(known[name]):
                raise CorruptArchiveError(f"the '{name}' in its metadata is missing or not valid: {known[name]!r:.80}")
        known["record_shape"], known["dtype"] = tuple(known["record_shape"]), np.dtype(known["dtype"])
        if known["max_error"] is not None:
            known["max_error"] = float(known["max_error"])
        metadata = cls(**known, more=given)
        if metadata.group_records not in (CODED_GROUP_RECORDS if metadata.coded_groups else GROUP_RECORDS):
            raise CorruptArchiveError(
                f"its metadata declare groups of {metadata.group_records} records, without a reason"
            )
        if metadata.record_bytes > MAX_RECORD_BYTES:
            raise CorruptArchiveError(
                f"its metadata declare records of {metadata.record_bytes:,} bytes. Allowed: {MAX_RECORD_BYTES:,}"
            )
        n = metadata.chunk_records
        if n > 1 and (n * metadata.record_bytes > MAX_CHUNK_BYTES or n * metadata.n_symbols > MAX_CHUNK_SYMBOLS):
            raise CorruptArchiveError(
                f"its metadata declare chunks of {n:,} records with {n * metadata.record_bytes:,} bytes and "
                f"{n * metadata.n_symbols:,} symbols. "
                f"Allowed: {MAX_CHUNK_BYTES:,} bytes and {MAX_CHUNK_SYMBOLS:,} symbols"
            )
        n_values = n * math.prod(metadata.record_shape)
        if n > 1 and metadata.max_error is not None and n_values > MOST_BOUNDED_VALUES:
            raise CorruptArchiveError(
                f"its metadata declare chunks of {n:,} records with {n_values:,} values. "
                f"Allowed with an error bound: {MOST_BOUNDED_VALUES:,}"
            )
        return metadata


def _without_model(values: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a field with the entries that are the same for all fields, which headers do not have.

    Raises
    ------
    CorruptArchiveError
        If the description of the field is not valid.
    """
    described = values["field"]
    if not isinstance(described, dict) or values.get("max_error") is None:
        raise CorruptArchiveError(f"the 'field' in its metadata is not valid, or has no bound: {described!r:.80}")
    return {"container": {}} | values | _OF_FIELDS | {"record_shape": described.get("block", described.get("shape"))}


def header_entries(metadata: Metadata) -> dict[str, Any]:
    """Return the metadata as JSON values for a header, without what is the same for all fields, or all tables."""
    values = metadata.to_json()
    if metadata.field is None:
        return values if metadata.table is None else {key: one for key, one in values.items() if key not in OF_TABLES}
    return {name: value for name, value in values.items() if name not in _OF_FIELDS and name != "record_shape"}


_OF_FIELDS: dict[str, Any] = {
    "model": NO_MODEL,
    "quality": 0,
    "n_symbols": 1,
    "chunk_records": 1,
    "group_records": 16,
    "tiling": None,
}


def _is_int(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


_CHECKS: dict[str, Any] = {
    "record_shape": lambda value: (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_AXES
        and all(_is_int(length, 1, MAX_RECORD_BYTES) for length in value)
    ),
    "dtype": lambda value: isinstance(value, str) and value in DTYPES,
    "model": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None,
    "quality": lambda value: _is_int(value, 0, 255),
    "n_symbols": lambda value: _is_int(value, 1, 1 << 26),
    "chunk_records": lambda value: _is_int(value, 1, MAX_CHUNK_RECORDS),
    "group_records": lambda value: type(value) is int and value in CODED_GROUP_RECORDS,
    "container": lambda value: isinstance(value, dict),
    "tiling": lambda value: value is None or isinstance(value, dict),
    "narrows": lambda value: isinstance(value, str),
    "parts": lambda value: value is None or value == PARTS,
    "max_error": lambda value: value is None or (type(value) in {int, float} and 0 <= value <= sys.float_info.max),
}
