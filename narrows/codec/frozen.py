"""A frozen codec: everything that a reader of archives needs of a model, in whole numbers, as one blob of bytes.

::

    symbols ─► rescale ─► integer decoder ─► output ─► records
    (n, D)     × m ≫ s    16-bit numbers     × scale + offset, in the records' dtype
               or codebook

Its golden vectors are symbols whose message and records are known: where a codec is read, it has to compute them anew
before it is used. `narrows.codec.blob` writes and reads the bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from narrows.codec.blob import MOST_QUALITIES, Contents, pack, unpack
from narrows.codec.dequantise import Dequantise
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.program import MOST_WORK, Program
from narrows.codec.residual.causal import FrozenCausal, as_image
from narrows.errors import ModelFileError, NarrowsError, NotFreezableError

__all__ = ["FrozenCodec"]

_MOST_GOLDEN = 64
_OF_CAUSAL = ("bool", "uint8", "uint16")
_A_SYMBOL = 1 << 16  # coding a symbol takes about as long as so many multiplications
_DAMAGE = (
    SafetensorError,
    AttributeError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class FrozenCodec:
    """The archive codec of a model: its decoder in integer arithmetic, and how codes are written as symbols.

    Parameters
    ----------
    program : Program
        The decoder, from 16-bit codes to 16-bit values.
    output : Dequantise
        From these to records.
    qualities : sequence of OperatingPoint
        From coarse to fine.
    z_shape : tuple of int
        Shape of a code.
    peak : float
        What counts as full signal in PSNR: 255 for bytes, else the range of the training data.
    default : int
        Index of the quality to take where none is asked for.
    golden : ndarray of shape (g, n_symbols), int32
        Symbols whose message and records are written down with the codec and replayed where it is read; fewer of them
        where replaying all would take too long.
    causal : FrozenCausal or None
        The network under which archives keep values exactly, where the model has one.

    Raises
    ------
    ModelFileError
        If the parts do not fit together.
    NotFreezableError
        If a record takes more work than is allowed.
    """

    def __init__(
        self,
        program: Program,
        output: Dequantise,
        qualities: tuple[OperatingPoint, ...],
        *,
        z_shape: tuple[int, ...],
        peak: float,
        default: int,
        golden: NDArray[np.int32],
        causal: FrozenCausal | None = None,
    ) -> None:
        self.program, self.output, self.qualities = program, output, tuple(qualities)
        self.z_shape, self.peak, self.default, self.golden = z_shape, peak, default, golden
        self._check()
        self.golden = golden[:: -(-len(golden) // self._most_golden())]
        self._causal = causal
        self._backend = "float64"
        self._unproved_causal: str | None = None  # what is still to come out of it
        self._unproved: dict[int, str] = {}  # what is still to come out of the golden symbols, by quality

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""
        return self.output.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The records' dtype."""
        return self.output.dtype

    @property
    def n_symbols(self) -> int:
        """Whole numbers that stand for one record."""
        return self.qualities[0].entropy.n_symbols

    @property
    def causal(self) -> FrozenCausal | None:
        """The network under which archives keep values exactly, once it has said what it did where it was made."""
        if self._causal is not None and self._unproved_causal not in (None, self._causal.digest()):
            raise ModelFileError("The model's network of residuals is damaged: it does not say what it did when made.")
        self._unproved_causal = None
        return self._causal

    def with_causal(self, causal: FrozenCausal) -> FrozenCodec:
        """Return the codec with a network under which archives keep values exactly."""
        codec = self._with(self.qualities, self.default, None)
        codec._take_causal(causal)
        return codec

    def _take_causal(self, causal: FrozenCausal) -> None:
        is_ours = (
            self.dtype.name in _OF_CAUSAL
            and math.prod(self.shape) == math.prod(causal.grid)  # first, as shapes may claim any size
            and as_image(self.shape)[0] == causal.grid
        )
        if not is_ours:
            raise ModelFileError("The network of residuals is for other records than the model's.")
        self._causal = causal

    @cached_property
    def blob(self) -> bytes:
        """The codec as bytes."""
        return self.to_bytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the blob, in hexadecimal: the model's name in archives."""
        return hashlib.sha256(self.blob).hexdigest()

    def decode(self, symbols: NDArray[np.int32], quality: int, *, backend: str | None = None) -> NDArray[Any]:
        """Return the records (n, *shape), in their dtype, that symbols (n, n_symbols) stand for at a quality.

        Parameters
        ----------
        symbols : ndarray of shape (n, n_symbols), int32
            At most ±32,767.
        quality : int
            Index into `qualities`.
        backend : str, optional
            What computes the whole numbers, as in `Program.run`; the result is the same with each.
        """
        if backend is None:
            self._prove(quality)
            backend = self._backend
        codes = self.qualities[quality].rescale.run(symbols, backend=backend)
        return self.output.of(self.program.run(codes, backend=backend))

    def only(self, quality: int, *, with_causal: bool = False) -> FrozenCodec:
        """Return a codec with this quality alone, for archives that carry their model."""
        return self._with((self.qualities[quality],), 0, self.causal if with_causal else None)

    def to_bytes(self) -> bytes:
        """Return the codec as bytes, written anew; `blob` keeps those that it was read from."""
        return pack(
            Contents(
                self.program,
                self.output,
                self.qualities,
                z_shape=self.z_shape,
                peak=self.peak,
                default=self.default,
                golden=self.golden,
                golden_digests=self._golden_digests(),
                causal=self._causal,
                causal_digest=None if self._causal is None else self._causal.digest(),
            )
        )

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Return the codec in a blob, once its golden vectors have come out right.

        The other qualities' golden vectors are replayed when they are first used.

        Raises
        ------
        ModelFileError
            If the blob is damaged, lies about its sizes, was written by a newer narrows, or does not compute here what
            it computed where it was made.
        """
        with _naming_damage():
            codec = cls._of(unpack(blob))
        codec._prove(codec.default)
        codec.__dict__["blob"] = blob
        return codec

    def _with(self, qualities: tuple[OperatingPoint, ...], default: int, causal: FrozenCausal | None) -> FrozenCodec:
        codec = FrozenCodec(
            self.program,
            self.output,
            qualities,
            z_shape=self.z_shape,
            peak=self.peak,
            default=default,
            golden=self.golden,
            causal=causal,
        )
        codec._backend = self._backend
        return codec

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return type(self).from_bytes, (self.blob,)

    def _check(self) -> None:
        """Refuse parts that do not fit together.

        Raises
        ------
        ModelFileError
            If they do not.
        """
        n = self.n_symbols if self.qualities else 0
        fits = (
            1 <= len(self.qualities) <= MOST_QUALITIES
            and 0 <= self.default < len(self.qualities)
            and self.program.in_shape == self.z_shape
            and math.prod(self.program.out_shape) == self.output.n_values
            and all(quality.fits(n, self.z_shape) for quality in self.qualities)
            and self.golden.dtype == np.int32
            and self.golden.ndim == 2
            and self.golden.shape[1] == n
            and 1 <= len(self.golden) <= _MOST_GOLDEN
        )
        if not fits:
            raise ModelFileError("The parts of the frozen decoder do not fit together.")

    def _most_golden(self) -> int:
        """Return how many golden vectors may be replayed.

        Raises
        ------
        NotFreezableError
            If one is too many.
        """
        work = self.program.work + max(quality.rescale.work for quality in self.qualities) + _A_SYMBOL * self.n_symbols
        if work > MOST_WORK:
            raise NotFreezableError(
                f"A record of {self.n_symbols:,} symbols takes too much work to restore: {work:,}. Allowed: 2^36."
            )
        return MOST_WORK // work

    def _prove(self, quality: int) -> None:
        """Replay the golden symbols of a quality, once; where float64 is none, the slow way decides.

        Raises
        ------
        ModelFileError
            If another message or other records come out than where the codec was made.
        """
        expected = self._unproved.get(quality)
        if expected is None:
            return
        with _naming_damage():
            is_right = self._replay(quality, self._backend) == expected
            if not is_right and self._replay(quality, "int64") == expected:
                self._backend, is_right = "int64", True
        if not is_right:
            raise ModelFileError(
                "The frozen decoder is damaged: it does not restore its golden vectors as it did where it was made."
            )
        self._unproved.pop(quality, None)

    def _replay(self, quality: int, backend: str) -> str:
        """Return what becomes of the golden symbols: a SHA-256 of message and records."""
        coded = self.qualities[quality].entropy.encode(self.golden, n_lanes=2)
        records = self.decode(self.golden, quality, backend=backend)
        digest = hashlib.sha256(coded.message.states.astype("<u4").tobytes())
        digest.update(coded.message.words.astype("<u2").tobytes())
        digest.update(coded.escapes)
        digest.update(records.astype(records.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()

    def _golden_digests(self) -> tuple[str, ...]:
        """Return what the golden symbols become at each quality, once int64 has said that float64 is right here."""
        if self._backend == "float64" and self._replay(self.default, "float64") != self._replay(self.default, "int64"):
            self._backend = "int64"
        return tuple(self._replay(position, self._backend) for position in range(len(self.qualities)))

    @classmethod
    def _of(cls, contents: Contents) -> Self:
        """Return the codec with these contents; what it should compute is still to be proved."""
        codec = cls(
            contents.program,
            contents.output,
            contents.qualities,
            z_shape=contents.z_shape,
            peak=contents.peak,
            default=contents.default,
            golden=contents.golden,
        )
        if contents.causal is not None:
            codec._take_causal(contents.causal)
            codec._unproved_causal = contents.causal_digest
        if len(codec.golden) != len(contents.golden):
            raise ModelFileError(
                f"The frozen decoder has {len(contents.golden)} golden vectors; of its kind {codec._most_golden()} "
                "may be replayed."
            )
        codec._unproved = dict(enumerate(contents.golden_digests))
        if len(codec._unproved) != len(codec.qualities):
            raise ModelFileError("The frozen decoder has not one golden digest for each quality.")
        return codec


@contextmanager
def _naming_damage() -> Iterator[None]:
    """Turn whatever a blob that lies leads to in the block into an error that says so."""
    try:
        yield
    except ModelFileError:
        raise
    except (*_DAMAGE, NarrowsError) as error:
        raise ModelFileError(f"The frozen decoder is damaged: {error}.") from error
