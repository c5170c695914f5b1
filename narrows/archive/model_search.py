"""Finds the model of an archive by its hash, among the model files in a few folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import naming, read_header, read_index
from narrows.errors import DataWarning, NarrowsError, recorded, warn
from narrows.io.files import as_path

__all__ = ["FOLDERS", "archives_of", "digest_of", "find_model", "model_folders", "warn_of_archives"]

FOLDERS = "NARROWS_MODELS"
"""Environment variable with the folders of models, separated as in PATH."""

_MODELS, _ARCHIVES = "*.safetensors", "*.narrows"
_CODEC = "frozen"


def find_model(path: str | os.PathLike[str], digest: str) -> Path | None:
    """Return the model file whose codec has a hash, from the archive's folder or those in ``$NARROWS_MODELS``.

    Parameters
    ----------
    path : path-like
        The archive.
    digest : str
        The hash of the codec, in hexadecimal, or its first digits; see `narrows.archive.Description`.

    Returns
    -------
    Path or None
        None if there is no such file.
    """
    files = (file for folder in model_folders(path) for file in _files(folder, _MODELS))
    return next((file for file in files if (digest_of(file) or "").startswith(digest)), None)


def model_folders(path: str | os.PathLike[str]) -> list[Path]:
    """Return the folders in which the model of an archive is searched."""
    others = [as_path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    return list(dict.fromkeys([as_path(path).parent, *others]))


def digest_of(model: str | os.PathLike[str]) -> str | None:
    """Return the hash of the archive codec in a model file; None if it is not a model, or has no codec."""
    from narrows.io.model_file import read_model_file

    try:
        blob = read_model_file(model, {_CODEC})[1].get(_CODEC)
    except (NarrowsError, OSError):
        return None
    return None if blob is None else hashlib.sha256(blob.tobytes()).hexdigest()


def archives_of(model: str | os.PathLike[str], digest: str) -> list[Path]:
    """Return the archives in the folder of a model file that can be read only with the model of this hash."""
    return [file for file in _files(as_path(model).parent, _ARCHIVES) if _needs(file, digest)]


def warn_of_archives(model: str | os.PathLike[str]) -> None:
    """Warn that archives need a model file that is about to be replaced; has no effect if it has no archive codec."""
    digest = digest_of(model)
    if digest is None:
        return
    found = archives_of(model, digest)
    named = f", for example {found[0].name}," if found else ""
    warn(
        DataWarning(
            f"The model {digest[:12]} in {os.fspath(model)} is replaced when the new one is complete. Archives that "
            f"were written with it{named} cannot be read without it, unless they contain it. If you need such "
            "archives, interrupt the command and copy the model file first.",
            kind="replaced-model",
            count=len(found),
            first=found[0].name if found else None,
        )
    )


def _needs(archive: Path, digest: str) -> bool:
    try:
        with recorded(held=True), ByteFile(archive) as source, naming(source.path):  # damage does not matter here
            header = read_header(source)
            metadata = header.metadata
            if metadata.parts is None:
                return metadata.model == digest and not read_index(source, header).models
            index = read_index(source, header)
            return digest.startswith(metadata.model_file) and bool(index.needed & ~index.held)
    except (NarrowsError, OSError):
        return False


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of a folder that match a pattern, in the order of their names; none if it cannot be read."""
    try:
        found = sorted(folder.glob(pattern))
    except OSError:
        return
    yield from (file for file in found if os.path.isfile(file))  # False if it may not be asked
