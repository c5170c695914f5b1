"""A part of a frozen codec as bytes, named by the SHA-256 of its content.

::

    length of the text · text (deflated JSON: settings, and name, dtype and shape of each tensor)
    way and length of each tensor · the bytes of the tensors (`narrows.codec.parts.tensors`)

The name does not depend on how the tensors are written, so a later version may write them in fewer bytes.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.parts.byte_reader import ByteReader, pack_number
from narrows.codec.parts.tensors import WAYS, pack_tensor, unpack_tensor
from narrows.errors import ModelFileError

__all__ = ["NAME_BYTES", "Part", "PartKind"]

NAME_BYTES = 32
_MOST_TEXT = 1 << 22
_MOST_TENSORS = 1 << 13
_MOST_VALUES = 1 << 27  # of all tensors
# Typical settings, so that those of a part take few bytes.
_DICTIONARY = (
    b'"padding":[1,1],"output_padding":[0,0],"stride":[2,2],"kind":"branches","branches":"shifts":[],"kind":"codebook",'
    b'"kind":"clip","high":32767,"low":0,"kind":"upsample","size":[],"kind":"transpose","axes":[2,0,1],"kind":"argmax",'
    b'"kind":"rectify","kind":"transposed-convolution","kind":"convolution","kind":"lookup","table":"2.table",'
    b'"kind":"reshape","shape":[28,28,1],"kind":"dense","biases":"0.biases","weights":"0.weights","shift":14,'
    b'{"decoder":{"in_shape":[32],"operations":[{"dtype":"uint8","shape":[8,8],"tensors":[["decoder.0.biases","int64",'
    b'[512]],["decoder.0.weights","int16",[512,32]],["output.offset","float64",[]],["output.scale","float64",[]]],'
    b'"z_shape":[32]}{"entropy":{"name":"independent","n_places":1,"name":"autoregressive","precision":12},'
    b'"psnr_db":20.5,"rescale":{"in_shape":[32],"operations":[{"kind":"rescale","multipliers":"0.multipliers",'
    b'"shift":14},{"kind":"reshape","shape":[32]}]},"tensors":[["entropy.frequencies","uint16",[1024]],["entropy.lows",'
    b'"int32",[32]],["entropy.sizes","int32",[32]],["rescale.0.multipliers","int32",[32]]]}{"golden":"","highest":255,'
    b'"lowest":0,"reach":5,"tensors":[["biases_2","int64",[1,64]],["biases_3","int64",[1,18]],["columns","int64",'
    b'[1,28,64]],["rows","int64",[1,28,64]],["shifts","int64",[5]],["weights_1","int16",[1,60,64]],["weights_2",'
    b'"int16",[1,64,64]],["weights_3","int16",[1,64,18]]]}'
)


class PartKind(IntEnum):
    """The parts of a codec that an archive may need."""

    DECODER = 1
    QUALITY = 2  # the entropy model of a quality, and its conversion of symbols to codes
    NETWORK = 3  # the network that codes residuals


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a frozen codec.

    Attributes
    ----------
    kind : PartKind
    settings : dict
        JSON values, without an entry ``tensors``.
    tensors : mapping of str to ndarray
        Tensors of int64, float64, int32, uint16 or int16.
    """

    kind: PartKind
    settings: dict[str, Any]
    tensors: Mapping[str, NDArray[Any]]

    @cached_property
    def name(self) -> bytes:
        """The SHA-256 of the kind, the text, and the values of all tensors in the order of their names."""
        digest = hashlib.sha256(bytes([self.kind]) + self._text)
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            digest.update(tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.digest()

    @cached_property
    def packed(self) -> bytes:
        """The bytes of the part."""
        deflate = zlib.compressobj(9, wbits=-15, zdict=_DICTIONARY)
        text = deflate.compress(self._text) + deflate.flush()
        written = [pack_tensor(self.tensors[name]) for name in sorted(self.tensors)]
        ways = b"".join(pack_number(WAYS.index(way)) + pack_number(len(data)) for way, data in written)
        return b"".join((pack_number(len(text)), text, ways, *(data for _, data in written)))

    @property
    def _text(self) -> bytes:
        tensors = [
            [name, self.tensors[name].dtype.name, list(self.tensors[name].shape)] for name in sorted(self.tensors)
        ]
        values = {**self.settings, "tensors": tensors}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def unpack(cls, kind: PartKind, data: bytes) -> Self:
        """Return the part of `packed`.

        Raises
        ------
        ModelFileError, CorruptArchiveError
            If the bytes are damaged.
        """
        reader = ByteReader(data, f"The {kind.name.lower()} of the model")
        settings = _parsed(reader.take(reader.number(1, _MOST_TEXT)))
        described = settings.pop("tensors", None)
        if not isinstance(described, list) or len(described) > _MOST_TENSORS or not all(map(_is_described, described)):
            raise ModelFileError(f"The {kind.name.lower()} of the model has no valid list of tensors.")
        sizes = [np.prod([1, *shape], dtype=np.float64) for _, _, shape in described]
        if sum(sizes) > _MOST_VALUES or len({name for name, _, _ in described}) < len(described):
            raise ModelFileError(f"The {kind.name.lower()} of the model has too many values, or two tensors of a name.")
        ways = [(WAYS[reader.number(0, len(WAYS) - 1)], reader.number(0, reader.n_left)) for _ in described]
        tensors = {
            name: unpack_tensor(dtype, tuple(shape), way, reader.take(n_bytes))
            for (name, dtype, shape), (way, n_bytes) in zip(described, ways, strict=True)
        }
        reader.finish()
        return cls(kind, settings, tensors)


def _parsed(data: bytes) -> dict[str, Any]:
    """Return the settings in a deflated text."""
    inflate = zlib.decompressobj(wbits=-15, zdict=_DICTIONARY)
    try:
        text = inflate.decompress(data, _MOST_TEXT)
        settings = json.loads(text.decode())
    except (zlib.error, ValueError, RecursionError) as error:
        raise ModelFileError(f"The settings of a part of the model are damaged: {error}.") from error
    if not inflate.eof or inflate.unused_data or not isinstance(settings, dict):
        raise ModelFileError("The settings of a part of the model are damaged.")
    return settings


def _is_described(tensor: Any) -> bool:
    """Return whether this is name, dtype and shape of a tensor."""
    if not isinstance(tensor, list) or len(tensor) != 3 or not isinstance(tensor[0], str):
        return False
    return (
        isinstance(tensor[1], str)
        and isinstance(tensor[2], list)
        and all(type(length) is int and 0 <= length <= _MOST_VALUES for length in tensor[2])
    )
