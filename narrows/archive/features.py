"""Must-understand features: bits in an archive's header for metadata that change what its bytes mean.

Readers pass over metadata that they do not know. Where that would make something else of the records, the writer sets
a bit, and a reader that does not know the bit refuses the archive instead of restoring it wrongly. A new entry of the
metadata that changes what bytes mean gets the next bit here, and a line in `_NEEDED_BY`.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["Feature", "check_features", "features_of"]


class Feature(IntFlag):
    """What a reader must understand, by its bit."""

    TILES = 1 << 0  # records are tiles of images
    BOUND = 1 << 1  # errors are bounded: what chunks keep besides their code counts in steps of the bound


READ = Feature.TILES | Feature.BOUND
"""The features that this reader understands."""

_NEEDED_BY = {Feature.TILES: "tiling", Feature.BOUND: "max_error"}
"""The entry of the metadata that needs a feature, unless it is null."""

_NAMES = {Feature.TILES: "tiles", Feature.BOUND: "a bound on errors"}


def features_of(metadata: dict[str, Any]) -> Feature:
    """Return the features that a reader of an archive with these metadata must understand."""
    needed = Feature(0)
    for feature, entry in _NEEDED_BY.items():
        if metadata.get(entry) is not None:
            needed |= feature
    return needed


def check_features(bits: int, metadata: dict[str, Any]) -> None:
    """Refuse an archive whose header has a bit that this reader does not understand, or that its metadata do not need.

    Metadata without their bit are read: archives of the first versions have none.

    Raises
    ------
    ArchiveError
        If the archive uses a feature that this narrows does not read; names it, and the version that wrote it.
    CorruptArchiveError
        If the metadata lack what a bit stands for.
    """
    unread = [position for position in range(32) if bits & ~int(READ) & (1 << position)]
    if unread:
        written_by = metadata.get("narrows")
        version = f"narrows {written_by[:40]}" if isinstance(written_by, str) else "an unknown version of narrows"
        raise ArchiveError(
            f"it uses {' and '.join(map(_name, unread))}, which this narrows does not read. "
            f"It was written by {version}: upgrade narrows"
        )
    lacking = bits & ~int(features_of(metadata))
    if lacking:
        names = " and ".join(_NAMES[feature] for feature in _NAMES if feature & lacking)
        raise CorruptArchiveError(f"its header says that it uses {names}, and its metadata do not describe any")


def _name(position: int) -> str:
    """Return what a bit is called; its number where nothing here knows it."""
    return next((name for feature, name in _NAMES.items() if feature == 1 << position), f"feature {position}")
