"""The file names of an archive's items: as they are stored, and as a restored folder has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_block
from narrows.archive.header import naming, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.layout import BLOCK_BYTES
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import Metadata
from narrows.archive.records import names_within, parse_names
from narrows.data.image_names import image_names
from narrows.errors import CorruptArchiveError, DataWarning, warn

__all__ = ["file_names", "item_names", "list_names", "numbered", "read_names", "warn_of_repeated"]


def list_names(path: str | os.PathLike[str]) -> list[str]:
    """Return the stored file names of the items of an archive, an empty one for an item without a name.

    No model is needed, and no records are decoded. Items whose chunk is damaged count as items without names.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError
        As `open_archive`.
    """
    with ByteFile(path) as source, naming(source.path):
        header = read_header(source)
        return item_names(source, header.metadata, read_index(source, header))


def read_names(source: ByteFile, metadata: Metadata, index: Index, chunk: int) -> list[str]:
    """Return the names of a chunk's records; no other part of the chunk is read.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    offset, block, what = chunk_block(source, index, chunk)
    start, n_bytes = names_within(source, offset + BLOCK_BYTES, block.n_records, metadata)
    if start + n_bytes > block.n_payload_bytes:
        raise CorruptArchiveError(f"the sizes declared in {what} do not match the number of its bytes")
    return parse_names(source.read(offset + BLOCK_BYTES + start, n_bytes), block.n_records)


def item_names(source: ByteFile, metadata: Metadata, index: Index) -> list[str]:
    """Return the stored names of all items; empty ones where a chunk is damaged."""
    if metadata.field is not None or metadata.text is not None or metadata.table is not None:
        return [""] * layout_of(metadata).n_items(index.n_records)
    names: list[str] = []
    for chunk in range(len(index.offsets)):
        try:
            names += read_names(source, metadata, index, chunk)
        except CorruptArchiveError:
            names += [""] * len(index.range_of(chunk))
    return names[:: layout_of(metadata).n_records]


def file_names(stored: Sequence[str], items: Iterable[int]) -> list[str]:
    """Return the names of the files that a folder gets for some items; they do not depend on which items are chosen.

    Parameters
    ----------
    stored : sequence of str
        The stored names of all items of the archive.
    items : iterable of int
        The chosen items.

    Warns
    -----
    DataWarning
        If names of these items are repeated, or changed for another reason; see `narrows.data.image_names`.

    Examples
    --------
    >>> file_names(["", "cat.jpg", "dog.jpg"], [0, 2])
    ['000000.png', 'dog.png']
    """
    width = max(6, len(str(len(stored) - 1)))
    if not any(stored):
        return [f"{item:0{width}d}.png" for item in items]
    chosen = list(items)
    names = numbered([name or f"{item:0{width}d}.png" for item, name in enumerate(stored)], set(chosen))
    written = image_names(len(names), names, warn_of=set(chosen))
    return [written[item] for item in chosen]


def numbered(names: Sequence[str], warn_of: Set[int] | None = None) -> list[str]:
    """Return names of which none occurs twice: the second a.png becomes a-2.png, and so on.

    Parameters
    ----------
    names : sequence of str
        The names.
    warn_of : set of int, optional
        The places of the names that are used; others cause no warning. By default all.

    Warns
    -----
    DataWarning
        If there are repeated names.
    """
    taken, seen = set(names), set[str]()
    following: dict[str, int] = {}
    made: list[str] = []
    changed: list[int] = []
    for i, name in enumerate(names):
        new = name
        if name in seen:
            stem, ending = os.path.splitext(name)
            while new in taken:
                following[name] = following.get(name, 1) + 1
                new = f"{stem}-{following[name]}{ending}"
            taken.add(new)
            if warn_of is None or i in warn_of:
                changed.append(i)
        seen.add(name)
        made.append(new)
    if changed:
        first, n = changed[0], len(names if warn_of is None else warn_of)
        warn(
            DataWarning(
                f"{len(changed):,} of {n:,} images have the same name as an earlier image and are written "
                f"with a number: {names[first]}, record {first:,}, as {made[first]}.",
                kind="names",
                count=len(changed),
                first=names[first],
            )
        )
    return made


def warn_of_repeated(path: str | os.PathLike[str], added: Sequence[str]) -> None:
    """Warn of names of appended items that items of the archive had before."""
    names = list_names(path)
    held = set(names[: -len(added)])
    repeated = [name for name in added if name and name in held]
    if repeated:
        warn(
            DataWarning(
                f"{len(repeated):,} of the {len(added):,} appended records have names that already exist in "
                f"{os.fspath(path)} (the first is {repeated[0]}). The names are kept; when a folder is restored, the "
                "later files get a number, such as a-2.png.",
                kind="names",
                count=len(repeated),
                first=repeated[0],
            )
        )
