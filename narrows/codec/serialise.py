"""A deterministic writer of safetensors files: a model is identified by the hash of its bytes.

Any safetensors library can read the bytes. None is used for writing, because the order of tensors is up to the library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["pack_tensors"]

_DTYPES = {"int64": "I64", "float64": "F64", "int32": "I32", "uint16": "U16", "int16": "I16"}
"""The allowed dtypes, widest first, so that every tensor is aligned to the size of its values."""

_ALIGNMENT = 8


def pack_tensors(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a safetensors file, with tensors sorted by dtype, widest first, and then by name.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Tensors of int64, float64, int32, uint16 or int16.
    metadata : mapping of str to str
        Metadata for the header.

    Examples
    --------
    >>> import numpy as np
    >>> data = pack_tensors({"b": np.array([1, 2], np.int16)}, {"about": "numbers"})
    >>> data[8:-4]
    b'{"__metadata__":{"about":"numbers"},"b":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}       '
    """
    order = list(_DTYPES)
    header: dict[str, Any] = {"__metadata__": {name: metadata[name] for name in sorted(metadata)}}
    parts, offset = [], 0
    for name in sorted(tensors, key=lambda name: (order.index(tensors[name].dtype.name), name)):
        tensor = tensors[name]
        part = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes()
        place = [offset, offset + len(part)]
        header[name] = {"dtype": _DTYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": place}
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))
