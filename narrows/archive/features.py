"""Must-understand features: bits in an archive's header for metadata that change the meaning of its bytes.

Readers ignore unknown metadata. If ignoring an entry would lead to wrong records, the writer sets a bit, and a reader
that does not know the bit refuses the archive. A new metadata entry of this kind gets the next bit in `Feature`, and a
line in `READ`, `_NEEDED_BY` and `_NAMES`.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["Feature", "check_features", "features_of"]


class Feature(IntFlag):
    """A feature that a reader must support, as a bit of the header."""

    TILES = 1 << 0  # records are tiles of images
    BOUND = 1 << 1  # errors are bounded: chunks store residuals, in steps that depend on the bound
    FIELD = 1 << 2  # one array without a model, in blocks
    PARTS = 1 << 3  # the model is named and stored in parts
    WINDOWS = 1 << 4  # records are windows of series, whose steps are restored
    DECIMALS = 1 << 5  # values of series are decimals, stored as integers or nearly
    TEXT = 1 << 6  # records are pieces of texts, as symbols of bytes
    GROUPS = 1 << 7  # a causal network codes groups of records one by one
    READINGS = 1 << 8  # decimals are as they are after their texts were read
    EXCEPTIONS = 1 << 9  # some values of decimals are none
    BYTE_MODEL = 1 << 10  # texts are coded with a model of bytes
    LABELS = 1 << 11  # chunks have labels, in blocks of their own
    TABLE = 1 << 12  # rows of a table
    TIME_STEPS = 1 << 14  # the column of times has their differences
    PLAIN_ROWS = 1 << 15  # the rows of a table are a text
    OVER_CHANNELS = 1 << 17  # channels of series are predicted from those before them
    LONG_ROWS = 1 << 19  # this text may have more than 2^20 bytes


READ = (
    Feature.TILES
    | Feature.BOUND
    | Feature.FIELD
    | Feature.PARTS
    | Feature.WINDOWS
    | Feature.DECIMALS
    | Feature.GROUPS
    | Feature.TEXT
    | Feature.READINGS
    | Feature.EXCEPTIONS
    | Feature.LABELS
    | Feature.BYTE_MODEL
    | Feature.TABLE
    | Feature.TIME_STEPS
    | Feature.PLAIN_ROWS
    | Feature.LONG_ROWS
    | Feature.OVER_CHANNELS
)
"""The features that this reader supports."""

_NEEDED_BY = {
    Feature.TILES: "tiling",
    Feature.BOUND: "max_error",
    Feature.FIELD: "field",
    Feature.PARTS: "parts",
    Feature.WINDOWS: "windows",
    Feature.DECIMALS: "decimals",
    Feature.GROUPS: "coded_groups",
    Feature.TEXT: "text",
    Feature.READINGS: "readings",
    Feature.EXCEPTIONS: "exceptions",
    Feature.LABELS: "labels",
    Feature.BYTE_MODEL: "byte_model",
    Feature.TABLE: "table",
    Feature.TIME_STEPS: "time_steps",
    Feature.PLAIN_ROWS: "plain_rows",
    Feature.LONG_ROWS: "long_rows",
    Feature.OVER_CHANNELS: "over_channels",
}
"""The metadata entry that requires a feature, unless it is null."""

_NAMES = {
    Feature.TILES: "tiles",
    Feature.BOUND: "a bound on errors",
    Feature.FIELD: "a field without a model",
    Feature.PARTS: "a model in parts",
    Feature.WINDOWS: "windows of series",
    Feature.DECIMALS: "decimals",
    Feature.GROUPS: "groups that are coded one by one",
    Feature.TEXT: "text",
    Feature.READINGS: "readings of decimals",
    Feature.EXCEPTIONS: "exceptions from decimals",
    Feature.LABELS: "labels",
    Feature.BYTE_MODEL: "a model of bytes",
    Feature.TABLE: "rows of a table",
    Feature.TIME_STEPS: "differences of times",
    Feature.PLAIN_ROWS: "rows of a table as a text",
    Feature.LONG_ROWS: "a long text of a table",
    Feature.OVER_CHANNELS: "channels that are predicted from each other",
}


def features_of(metadata: dict[str, Any]) -> Feature:
    """Return the features that a reader must support to read an archive with these metadata."""
    needed = Feature(0)
    for feature, entry in _NEEDED_BY.items():
        if metadata.get(entry) is not None:
            needed |= feature
    return needed


def check_features(bits: int, metadata: dict[str, Any]) -> None:
    """Check the feature bits of a header against the features of this reader and against the metadata.

    Metadata without their bit are accepted, since archives of the first versions have no bits.

    Raises
    ------
    ArchiveError
        If the archive uses a feature that this version of narrows does not support. The message contains the feature
        and the version that wrote the archive.
    CorruptArchiveError
        If a bit is set, but the metadata entry that requires it is missing.
    """
    unread = [position for position in range(32) if bits & ~int(READ) & (1 << position)]
    if unread:
        written_by = metadata.get("narrows")
        version = f"narrows {written_by[:40]}" if isinstance(written_by, str) else "an unknown version of narrows"
        raise ArchiveError(
            f"it uses {' and '.join(map(_name, unread))}, which this version of narrows does not support. "
            f"It was written by {version}. Upgrade narrows"
        )
    lacking = bits & ~int(features_of(metadata))
    if lacking:
        names = " and ".join(_NAMES[feature] for feature in _NAMES if feature & lacking)
        raise CorruptArchiveError(f"its header declares {names}, but its metadata have no entry for it")


def _name(position: int) -> str:
    """Return the name of a feature, or its number if the feature is unknown."""
    return next((name for feature, name in _NAMES.items() if feature == 1 << position), f"feature {position}")
