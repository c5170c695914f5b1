"""The file of an index: a safetensors file with the coordinates, the metric, names and labels, and a checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from narrows.errors import CorruptFileError, DataError, DataNotFoundError
from narrows.io.files import write_atomically
from narrows.io.magic import SAFETENSORS, kind_of
from narrows.model.artefacts.search_metric import SearchMetric
from narrows.numerics.nearest import MOST_SQUARES
from narrows.uses.search.items import Items

__all__ = ["KEY", "About", "IndexFile", "read_index_file", "write_index_file"]

FORMAT = 1
KEY = "narrows-index"
"""Key of the header in the metadata of the file."""

_CODES, _GRAPH = "codes", "graph"


@dataclass(frozen=True)
class About:
    """The model and the records of an index.

    Attributes
    ----------
    model : str
        Digest of the weights of the model, or of its archive codec, in hexadecimal.
    codec : str or None
        SHA-256 of the archive codec in the model file, or its first digits, by which the file is found.
    shape : tuple of int
        Shape of a record.
    dtype : str
        The records' dtype.
    record : str
        What a record is: "image", "series", "text" or "vector".
    data : str
        Name of the data.
    """

    model: str
    codec: str | None
    shape: tuple[int, ...]
    dtype: str
    record: str
    data: str


@dataclass(frozen=True)
class IndexFile:
    """The contents of the file of an index."""

    coordinates: NDArray[np.int16]
    metric: SearchMetric
    items: Items
    about: About
    graph: bytes | None = None


def write_index_file(path: str | os.PathLike[str], contents: IndexFile, *, force: bool = False) -> None:
    """Write an index.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As `narrows.io.files.write_atomically`.
    """
    from safetensors.numpy import save

    from narrows import __version__

    of_items, described = contents.items.to_tensors()
    tensors = {_CODES: contents.coordinates, **contents.metric.to_tensors(), **of_items}
    if contents.graph is not None:
        tensors[_GRAPH] = np.frombuffer(contents.graph, np.uint8)
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    header = {
        "format": FORMAT,
        "narrows": __version__,
        **{name: getattr(contents.about, name) for name in ("model", "codec", "dtype", "record", "data")},
        "shape": list(contents.about.shape),
        **contents.metric.to_json(),
        **described,
        "sha256": _digest(tensors),
    }
    data = save(tensors, {KEY: json.dumps(header)})

    def fill(file: BinaryIO) -> None:
        file.write(data)

    write_atomically(path, fill, force=force)


def read_index_file(path: str | os.PathLike[str]) -> IndexFile:
    """Return the index in a file, after checking its checksum.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    DataError
        If it is another kind of file, or has a newer format.
    CorruptFileError
        If it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    if not os.path.exists(path):
        raise DataNotFoundError(f"The index {name} does not exist.")
    _check_kind(name)
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise DataError(f"{name} is no index, but a model or another safetensors file. {_HOW}")
            header = dict(json.loads(text))
            if header.get("format", 0) > FORMAT:
                raise DataError(
                    f"{name} has index format {header['format']}, written by narrows {header.get('narrows')}. This "
                    f"version reads formats up to {FORMAT}. Upgrade narrows."
                )
            tensors = {one: file.get_tensor(one) for one in sorted(file.keys())}
        if header.get("sha256") != _digest(tensors):
            raise ValueError("its checksum is wrong")
        return _parsed(tensors, header)
    except (SafetensorError, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise CorruptFileError(f"{name} is damaged: {str(error).rstrip('.')}. Make the index again.") from error


_HOW = "Give an index that `narrows index` wrote, or an archive."


def _check_kind(name: str) -> None:
    if os.path.isdir(name):
        raise DataError(f"{name} is a folder, and an index is a file. {_HOW}")
    try:
        with open(name, "rb") as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error
    kind = kind_of(start.ljust(16, b"\0"))
    if kind != SAFETENSORS:
        raise DataError(f"{name} is no index{'' if kind is None else f', but {kind}'}. {_HOW}")


def _parsed(tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> IndexFile:
    coordinates, metric = tensors[_CODES], SearchMetric.from_entries(tensors, header)
    if metric is None or coordinates.dtype != np.int16 or coordinates.ndim != 2:
        raise ValueError("its codes or its metric are not valid")
    if coordinates.shape[1] != metric.n_numbers or (np.abs(coordinates.astype(np.int32)) > metric.limits).any():
        raise ValueError("its codes do not match its metric")
    if len(coordinates) and int(np.square(coordinates.astype(np.int64)).sum(axis=1).max()) > MOST_SQUARES:
        raise ValueError("its codes are longer than allowed")
    texts = [header["model"], header["dtype"], header["record"], header["data"]]
    codec, shape = header["codec"], tuple(header["shape"])
    if not all(isinstance(one, str) for one in texts) or not all(type(length) is int for length in shape):
        raise ValueError("its header is not valid")
    about = About(texts[0], codec if isinstance(codec, str) else None, shape, *texts[1:])
    graph = tensors[_GRAPH].tobytes() if _GRAPH in tensors else None
    return IndexFile(coordinates, metric, Items.from_tensors(len(coordinates), tensors, header), about, graph)


def _digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
