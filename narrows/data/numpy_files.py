"""NumPy's files: `.npy`, memory-mapped, and `.npz`. Nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.data.arrays import check_dtype, check_shape, check_values
from narrows.data.source import Source
from narrows.errors import CorruptFileError, DataError, InvalidParameterError, UnknownNameError

__all__ = ["VALUE_KEYS", "map_npy", "open_npy", "open_npz", "write_npy"]

VALUE_KEYS = ("x", "X", "values", "data", "images", "x_train", "X_train")
LABEL_KEYS = ("y", "labels", "y_train")
DEFLATE_MAX_RATIO = 1032  # the largest ratio that deflate can reach


class Header(NamedTuple):
    """The header of a `.npy` file, and the position of its values."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    n_bytes: int

    @property
    def expected(self) -> int:
        """The size in bytes that the file must have."""
        return self.n_bytes + math.prod(self.shape) * self.dtype.itemsize


def open_npy(path: Path, name: str) -> Source:
    """Return the records of a `.npy` file, memory-mapped (copy on write: the file never changes).

    Values in a foreign byte order are read into memory.

    Raises
    ------
    CorruptFileError
        If the file is not a `.npy` file, is truncated or too long.
    DataError
        If its array cannot be records.
    """
    values = map_npy(path, name)
    check_shape(values.shape, name)
    return Source(check_values(values, name), name=name, kind="npy")


def map_npy(path: Path, name: str, *, may_be_text: bool = False) -> npt.NDArray[Any]:
    """Return the array of a `.npy` file, of any real dtype and any number of axes, memory-mapped.

    Parameters
    ----------
    path : Path
    name : str
        What it is called in errors.
    may_be_text : bool
        Whether its dtype may be text or bytes of fixed length as well.

    Raises
    ------
    CorruptFileError, DataError
        As `open_npy`.
    """
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        header = _read_header(file, str(path))
    if not (may_be_text and header.dtype.kind in "US"):
        check_dtype(header.dtype, name)
    if 0 in header.shape:
        check_shape((*header.shape, 1) if len(header.shape) == 1 else header.shape, name)
    _check_size(header, n_bytes, str(path))
    order = "F" if header.fortran_order else "C"
    values: npt.NDArray[Any] = np.memmap(path, header.dtype, "c", header.n_bytes, header.shape, order)  # type: ignore[call-overload]
    return values


def open_npz(path: Path, name: str, key: str | None = None) -> Source:
    """Return the records of one array in a `.npz` file, with the labels beside it.

    Parameters
    ----------
    path : Path
    name : str
        Name of the source.
    key : str, optional
        Name of the array. None: the array called x, X, values, data, images or x_train, otherwise the only one with two
        or more axes. Labels are the array called y, labels or y_train (for ``key="x_test"``: y_test), if it has one
        entry per record. An array ``y`` or ``labels`` of another length is ignored if `key` is given, and an error
        otherwise.

    Raises
    ------
    UnknownNameError
        If there is no array called `key`.
    InvalidParameterError
        If more than one array fits; the message lists them.
    CorruptFileError
        If the file or the array in it is damaged.
    DataError
        If the number of labels is not that of the records.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {
                info.filename.removesuffix(".npy"): _member_header(archive, info, path)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
            is_asked_for = key is not None
            key = _choose_key(headers, key, name)
            values = check_values(_read_member(archive, key, headers[key], path), f"{name}[{key!r}]")
            labels = None
            for candidate in _label_keys(key):
                header = headers.get(candidate)
                if header is not None and header.shape in {(len(values),), (len(values), 1)}:
                    labels = _read_member(archive, candidate, header, path).reshape(-1)
                    break
            if labels is None and not is_asked_for:
                _check_labels(headers, key, len(values), name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CorruptFileError(f"{path} is not a .npz file, or is damaged or cut off: {error}.") from error
    label_names = None
    if labels is not None and labels.dtype.kind == "U":
        names, labels = np.unique(labels, return_inverse=True)
        label_names = tuple(names.tolist())
    return Source(values, labels, label_names, name=name, kind="npz")


def _choose_key(headers: dict[str, Header], key: str | None, name: str) -> str:
    if key is not None:
        if key not in headers:
            raise UnknownNameError(f"array in {name}", key, headers)
        return key
    usual = [k for k in VALUE_KEYS if k in headers]
    tables = [k for k, header in headers.items() if len(header.shape) >= 2 and not header.dtype.hasobject]
    chosen = usual if len(usual) == 1 else tables
    if len(chosen) == 1:
        return chosen[0]
    listed = ", ".join(f"{k} {header.shape} {header.dtype}" for k, header in headers.items()) or "nothing"
    if not tables:
        raise DataError(f"{name} has no array of records, of shape (n, *shape). The arrays in the file: {listed}.")
    raise InvalidParameterError(
        f"{name} has more than one array of records. Choose one with key=NAME (--key NAME). "
        f"The arrays in the file: {listed}."
    )


def _label_keys(key: str) -> tuple[str, ...]:
    if key[:2] in {"x_", "X_"}:
        return (f"y_{key[2:]}", f"labels_{key[2:]}")
    return LABEL_KEYS


def _check_labels(headers: dict[str, Header], key: str, n: int, name: str) -> None:
    """Refuse labels whose number is not that of the records."""
    for candidate in ("y", "labels"):
        if candidate in headers and len(shape := headers[candidate].shape) == 1:
            raise DataError(
                f"The array {key!r} in {name} has {n:,} records, but the array {candidate!r} has {shape[0]:,} labels. "
                f"To read the records without labels, choose the array with key={key!r} (--key {key})."
            )


def _member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Header:
    with archive.open(info) as stream:
        return _read_header(stream, f"{path}[{info.filename}]")


def _read_member(archive: zipfile.ZipFile, key: str, header: Header, path: Path) -> npt.NDArray[Any]:
    info, name = archive.getinfo(f"{key}.npy"), f"{path}[{key!r}]"
    if header.dtype.kind not in "SU":
        check_dtype(header.dtype, name)
    _check_size(header, info.file_size, name)
    if info.file_size > path.stat().st_size * DEFLATE_MAX_RATIO:
        raise CorruptFileError(
            f"{name} is damaged: the declared size of {info.file_size:,} bytes is too large for the size of {path}."
        )
    with archive.open(info) as stream:
        values: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # reading to the end checks the CRC
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _read_header(stream: IO[bytes], name: str) -> Header:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except (ValueError, TypeError, SyntaxError, EOFError) as error:
        raise CorruptFileError(f"{name} is not a .npy file, or its header is damaged or cut off: {error}.") from error
    if any(length < 0 for length in shape):
        raise CorruptFileError(f"{name} is damaged: its header declares the shape {shape}.")
    return Header(shape, fortran_order, dtype, stream.tell())


def _check_size(header: Header, found: int, name: str) -> None:
    if header.expected != found:
        raise CorruptFileError(
            f"{name} is damaged or cut off: its header declares {header.shape} {header.dtype}, "
            f"so the file must have {header.expected:,} bytes. Got {found:,} bytes."
        )


def write_npy(file: BinaryIO, pieces: Iterable[npt.NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write an array as `numpy.save` does, from pieces (m, *shape[1:]) along its first axis."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for piece in pieces:
        file.write(np.ascontiguousarray(piece, dtype).data)
