"""A frozen codec with one quality, as archives name, contain and use it: in parts, each read when it is first needed.

Its name is the SHA-256 of the names of its parts: of decoder, quality and network. An archive that contains some parts
has the names of all beside them, so that parts can be added later::

    names of decoder, quality and network, 32 bytes each; zeros without a network
    kind · length · bytes, for each part; kind 4 is the golden digest of decoder and quality
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.parts.byte_reader import ByteReader, pack_number
from narrows.codec.parts.contents import (
    bytes_part,
    code_of,
    decoder_part,
    model_of_bytes,
    network_of,
    network_part,
    quality_part,
)
from narrows.codec.parts.needs import Needs
from narrows.codec.parts.part import NAME_BYTES, Part, PartKind
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    ModelFileError,
)
from narrows.records.symbols import DTYPE

__all__ = ["NO_NAMES", "PartedCodec", "names_in"]

_DAMAGE = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
_GOLDEN, _GOLDEN_BYTES = 4, 32
_NO_PART = bytes(NAME_BYTES)
NO_NAMES = (_NO_PART,) * len(PartKind)
"""The names of a codec of which nothing is known."""


_KINDS = {Needs.CODE: (PartKind.DECODER, PartKind.QUALITY), Needs.NETWORK: (PartKind.NETWORK,)}


class PartedCodec:
    """A frozen codec with one quality, in parts.

    Parameters
    ----------
    names : sequence of bytes
        The names of decoder, quality and network; 32 zeros without a network.
    shape, dtype
        Of a record.
    n_symbols : int
        The number of symbols of a record.

    digest : str, optional
        The name in archives; by default the SHA-256 of the names of the parts, in hexadecimal.

    Attributes
    ----------
    number : int
        The number of the quality in the codec that it is a part of; 0 if it was read from an archive.
    peak : float
        The peak of PSNR; infinite if it was read from an archive.
    """

    def __init__(
        self,
        names: Sequence[bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        n_symbols: int,
        digest: str | None = None,
    ) -> None:
        self.digest = hashlib.sha256(b"".join(names)).hexdigest() if digest is None else digest
        self.names, self.shape, self.dtype, self.n_symbols = tuple(names), shape, dtype, n_symbols
        self.peak, self.number = math.inf, 0
        self._packed: dict[int, bytes] = {}
        self._parts: dict[PartKind, Part] = {}
        self._code: FrozenCodec | None = None
        self._network: FrozenCausal | None = None
        self._texts: FrozenBytes | None = None
        self._reading = threading.Lock()  # parts are read once, by the first thread that needs them

    @classmethod
    def of(cls, codec: FrozenCodec, quality: int, *, with_network: bool = False) -> PartedCodec:
        """Return the parts of a codec for one of its qualities, with the network of residuals if it has one."""
        causal = codec.causal if with_network else None
        parts = {PartKind.DECODER: _part_of(codec, -1), PartKind.QUALITY: _part_of(codec, quality)}
        if causal is not None:
            parts[PartKind.NETWORK] = _part_of(codec, -2)
        names = [parts[kind].name if kind in parts else _NO_PART for kind in PartKind]
        parted = cls(names, codec.shape, codec.dtype, codec.n_symbols)
        parted.peak, parted.number, parted._parts = codec.peak, quality, parts
        parted._code, parted._network = codec.alone(quality), causal
        return parted

    @classmethod
    def of_bytes(cls, model: FrozenBytes, shape: tuple[int, ...] = (1,)) -> PartedCodec:
        """Return a model of bytes as a codec of texts in records of a shape, which has no code."""
        part = bytes_part(model)
        parted = cls((_NO_PART, _NO_PART, part.name), shape, DTYPE, 1)
        parted._parts, parted._texts = {PartKind.NETWORK: part}, model
        return parted

    @property
    def holds(self) -> Needs:
        """What of it is there."""
        held = {*self._parts, *self._packed}
        return Needs(sum(need for need, kinds in _KINDS.items() if held.issuperset(kinds)))

    @classmethod
    def with_bytes_of(cls, data: bytes) -> PartedCodec:
        """Return the model of bytes that `pack` has written.

        Raises
        ------
        CorruptArchiveError
            If it is damaged, or is no model of bytes.
        """
        codec = cls(names_in(data), (1,), DTYPE, 1)
        codec.take(data)
        model = codec.texts
        if model is None:
            raise CorruptArchiveError("it is no model of bytes")
        return cls.of_bytes(model)

    def of_shape(self, shape: tuple[int, ...]) -> PartedCodec:
        """Return a model of bytes for records of another shape, which it does not depend on."""
        assert self._texts is not None
        return PartedCodec.of_bytes(self._texts, shape)

    @property
    def blob(self) -> bytes:
        """The bytes of all parts that are there."""
        return self.pack(self.holds)

    @property
    def qualities(self) -> tuple[OperatingPoint, ...]:
        """The quality; raises an error if it is not there. None of a model of bytes."""
        return () if self.is_of_bytes else self._codec().qualities

    @property
    def causal(self) -> FrozenCausal | None:
        """The network that codes residuals, if there is one; raises an error if it is not there."""
        with self._reading:
            if self.is_of_bytes:
                return None
            if self._network is None and self.names[PartKind.NETWORK - 1] != _NO_PART:
                self._require(Needs.NETWORK)
                with _as_damage():
                    self._network = network_of(self._part(PartKind.NETWORK), self.shape, self.dtype)
            return self._network

    @property
    def is_of_bytes(self) -> bool:
        """Whether there is a model of bytes, and no code."""
        has_part = [name != _NO_PART for name in self.names]
        return has_part == [False, False, True]

    @property
    def texts(self) -> FrozenBytes | None:
        """The model of bytes that codes texts, if there is one; raises an error if it is not there."""
        if not self.is_of_bytes:
            return None
        with self._reading:
            if self._texts is None:
                self._require(Needs.NETWORK)
                with _as_damage():
                    self._texts = model_of_bytes(self._part(PartKind.NETWORK))
            return self._texts

    def decode(self, symbols: NDArray[np.int32], quality: int = 0, *, backend: str | None = None) -> NDArray[Any]:
        """Decode symbols to records, as `FrozenCodec.decode` does."""
        return self._codec().decode(symbols, quality, backend=backend)

    def pack(self, needs: Needs) -> bytes:
        """Return the bytes of some parts, beside the names of all."""
        self._require(needs)
        kinds = [kind for need, kinds in _KINDS.items() if need in needs for kind in kinds]
        items = [(int(kind), self._packed.get(kind) or self._parts[kind].packed) for kind in kinds]
        if Needs.CODE in needs and (golden := self._golden()) is not None:
            items.append((_GOLDEN, golden))
        return b"".join((*self.names, *(pack_number(kind) + pack_number(len(data)) + data for kind, data in items)))

    def take(self, data: bytes) -> Needs:
        """Add the parts of `pack`, and return which they are; they are read when they are needed.

        Raises
        ------
        CorruptArchiveError
            If they are not parts of this codec.
        """
        with _as_damage():
            found = _items(data, self.names)
        self._packed |= found
        return Needs(sum(need for need, kinds in _KINDS.items() if found.keys() >= set(kinds)))

    def _require(self, needs: Needs) -> None:
        if needs & ~self.holds:
            raise ArchiveError(
                "A chunk needs a part of its model that the archive does not contain, although its index says "
                "otherwise. Give the model that it was written with as 'model' (--model)"
            )

    def _golden(self) -> bytes | None:
        if self._code is None or _GOLDEN in self._packed:
            return self._packed.get(_GOLDEN)
        try:
            return bytes.fromhex(self._code.golden_digest())
        except InvalidParameterError:  # a table codes one value only
            return None

    def _part(self, kind: PartKind) -> Part:
        if kind not in self._parts:
            part = Part.unpack(kind, self._packed[kind])
            if part.name != self.names[kind - 1]:
                named = kind.name.lower()
                raise ModelFileError(f"The part '{named}' of the model is damaged: it has another hash than its name.")
            self._parts[kind] = part
        return self._parts[kind]

    def _codec(self) -> FrozenCodec:
        with self._reading:
            if self._code is None:
                self._code = self._read_code()
            return self._code

    def _read_code(self) -> FrozenCodec:
        self._require(Needs.CODE)
        with _as_damage():
            golden = self._packed.get(_GOLDEN)
            decoder, quality = (self._part(kind) for kind in _KINDS[Needs.CODE])
            code = code_of(decoder, quality, None if golden is None else golden.hex())
            if (code.shape, code.dtype, code.n_symbols) != (self.shape, self.dtype, self.n_symbols):
                raise ModelFileError(
                    f"The model has records of shape {code.shape} {code.dtype} with {code.n_symbols} symbols, and "
                    f"the archive has records of shape {self.shape} {self.dtype} with {self.n_symbols}."
                )
        return code


_OF_CODECS: WeakKeyDictionary[FrozenCodec, dict[int, Part]] = WeakKeyDictionary()


def _part_of(codec: FrozenCodec, number: int) -> Part:
    """Return a quality of a codec by its number, its decoder for -1, its network for -2; each is made once."""
    held = _OF_CODECS.setdefault(codec, {})
    if number not in held:
        if number == -1:
            held[number] = decoder_part(codec)
        elif number == -2:
            assert codec.causal is not None
            held[number] = network_part(codec.causal)
        else:
            held[number] = quality_part(codec.qualities[number])
    return held[number]


def names_in(data: bytes) -> tuple[bytes, ...]:
    """Return the names at the start of the bytes of `PartedCodec.pack`.

    Raises
    ------
    CorruptArchiveError
        If there are too few bytes.
    """
    with _as_damage():
        reader = ByteReader(data, "The model")
        return tuple(reader.take(NAME_BYTES) for _ in PartKind)


def _items(data: bytes, names: tuple[bytes, ...]) -> dict[int, bytes]:
    """Return the parts in the bytes of `PartedCodec.pack`, by kind."""
    reader = ByteReader(data, "The model")
    if reader.take(len(names) * NAME_BYTES) != b"".join(names):
        raise ModelFileError("It has parts of another model.")
    found: dict[int, bytes] = {}
    while reader.n_left:
        kind = reader.number(1, 1 << 20)
        part = reader.take(reader.number(0, reader.n_left))
        if kind in found or (kind == _GOLDEN and len(part) != _GOLDEN_BYTES):
            raise ModelFileError("It has two parts of one kind, or a golden digest of another length.")
        found[kind] = part
    return found


@contextmanager
def _as_damage() -> Iterator[None]:
    """Convert errors of damaged parts, which are in archives, to a CorruptArchiveError."""
    try:
        yield
    except (ModelFileError, *_DAMAGE) as error:
        raise CorruptArchiveError(f"its model cannot be used: {str(error).rstrip('.')}") from error
