"""A frozen codec: everything that a reader of archives needs from a model, in integer arithmetic, as bytes.

::

    symbols ─► rescale ─► integer decoder ─► output ─► records
    (n, D)     × m ≫ s    16-bit numbers     × scale + offset, in the records' dtype
               or codebook

Its golden vectors are symbols whose message and records are stored as digests: a codec that is read from bytes must
reproduce them before it is used, once in a process. `narrows.codec.blob` writes and reads the bytes.
"""

from __future__ import annotations

import hashlib
import math
import threading
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.blob import MOST_QUALITIES, Contents, pack, unpack
from narrows.codec.damage import naming_damage
from narrows.codec.dequantise import Dequantise
from narrows.codec.golden_symbols import spread_symbols
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.program import MOST_WORK, Program
from narrows.codec.reproduced import reproducing_backend
from narrows.codec.residual.causal import FrozenCausal, as_image
from narrows.errors import ModelFileError, NotFreezableError

__all__ = ["FrozenCodec", "check_causal", "check_record_work"]

_MOST_GOLDEN = 64
_OF_CAUSAL = {"bool": 1, "uint8": 255, "uint16": 65_535}  # the highest values
_A_SYMBOL = 1 << 16  # time to code a symbol, in multiplications


class FrozenCodec:
    """The archive codec of a model: its decoder in integer arithmetic, and the quantisation and coding of its codes.

    Parameters
    ----------
    program : Program
        The decoder, from 16-bit codes to 16-bit values.
    output : Dequantise
        From 16-bit values to records.
    qualities : sequence of OperatingPoint
        From coarse to fine.
    z_shape : tuple of int
        Shape of a code.
    peak : float
        The peak of PSNR: 255 for bytes, otherwise the range of the training data.
    default : int
        Index of the default quality.
    golden : ndarray of shape (g, n_symbols), int32
        Symbols whose message and records are stored as digests with the codec, and replayed when it is read. Fewer are
        used if replaying all would take too long.
    causal : FrozenCausal or None
        The network that codes residuals for lossless archives and error bounds, if the model has one.

    Raises
    ------
    ModelFileError
        If the parts do not fit together.
    NotFreezableError
        If restoring a record takes more work than is allowed.
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
        self._proving = threading.RLock()  # so that several threads replay golden vectors once
        self._backend = "float64"
        self._single: tuple[tuple[int, bool], FrozenCodec] | None = None
        self._unproved_causal: str | None = None  # expected digest of the causal network, until it is verified
        self._unproved: dict[int, str] = {}  # expected golden digests of the qualities that are not verified yet

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
        """The number of symbols of a record."""
        return self.qualities[0].entropy.n_symbols

    @property
    def texts(self) -> None:
        """The model of bytes, which codecs with a code have not."""
        return

    @property
    def causal(self) -> FrozenCausal | None:
        """The network that codes residuals; raises ModelFileError if it does not reproduce its stored digest."""
        with self._proving:
            expected = self._unproved_causal
            if self._causal is not None and expected is not None and expected != self._causal.digest():
                raise ModelFileError(
                    "The residual model is damaged: it does not compute the same outputs as when it was stored."
                )
            self._unproved_causal = None
        return self._causal

    def with_causal(self, causal: FrozenCausal) -> FrozenCodec:
        """Return the codec with a network that codes residuals."""
        codec = self._with(self.qualities, self.default, None)
        codec._take_causal(causal)
        return codec

    def _take_causal(self, causal: FrozenCausal) -> None:
        check_causal(causal, self.shape, self.dtype)
        self._causal = causal

    @cached_property
    def blob(self) -> bytes:
        """The codec as bytes."""
        return self.to_bytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the blob, in hexadecimal: it identifies the model in archives."""
        return hashlib.sha256(self.blob).hexdigest()

    def decode(self, symbols: NDArray[np.int32], quality: int, *, backend: str | None = None) -> NDArray[Any]:
        """Decode symbols to records.

        Parameters
        ----------
        symbols : ndarray of shape (n, n_symbols), int32
            Symbols within ±32,767.
        quality : int
            Index into `qualities`.
        backend : str, optional
            The backend of the integer arithmetic, as in `Program.run`; the result is the same with each.

        Returns
        -------
        records : ndarray of shape (n, *shape)
            The records, in their dtype.

        Raises
        ------
        ModelFileError
            If the codec does not reproduce its golden vectors at this quality.
        """
        if backend is None:
            self._prove(quality)
            backend = self._backend
        codes = self.qualities[quality].rescale.run(symbols, backend=backend)
        return self.output.of(self.program.run(codes, backend=backend))

    def alone(self, quality: int) -> FrozenCodec:
        """Return a codec with only this quality, with golden vectors that need not be stored."""
        codec = self._with((self.qualities[quality],), 0, None)
        codec.golden = spread_symbols(self.n_symbols)[: codec._most_golden()]
        return codec

    def golden_digest(self) -> str:
        """Return the SHA-256 of the message and the records of the golden symbols at the default quality."""
        return self._golden_digests()[self.default]

    def expect(self, digest: str) -> None:
        """Check that the codec reproduces a golden digest at its default quality.

        Raises
        ------
        ModelFileError
            If it does not.
        """
        self._unproved[self.default] = digest
        self._prove(self.default)

    def only(self, quality: int, *, with_causal: bool = False) -> FrozenCodec:
        """Return a codec with only this quality, for archives that contain their model; the last one is kept."""
        causal = self.causal if with_causal else None
        wanted = (quality, causal is not None)
        if self._single is None or self._single[0] != wanted:
            self._single = wanted, self._with((self.qualities[quality],), 0, causal)
        return self._single[1]

    def to_bytes(self) -> bytes:
        """Serialise the codec; `blob` is instead the bytes that it was read from, if it was."""
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
        """Return the codec of a blob, after it has reproduced the golden vectors of its default quality.

        Those of another quality are replayed when it is first used.

        Raises
        ------
        ModelFileError
            If the blob is damaged, has inconsistent sizes, was written by a newer version of narrows, or does not
            reproduce its golden vectors.
        """
        with naming_damage():
            codec = cls._of(unpack(blob))
        codec.__dict__["blob"] = blob
        codec._prove(codec.default)
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
        """Check that the parts fit together.

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
            raise ModelFileError(
                "The frozen decoder is damaged: qualities, program, output and golden vectors do not match in shape."
            )

    def _most_golden(self) -> int:
        """Return the largest number of golden vectors that may be replayed.

        Raises
        ------
        NotFreezableError
            If even one takes too much work.
        """
        rescale = max(quality.rescale.work for quality in self.qualities)
        work = check_record_work(self.program.work + rescale, self.n_symbols)
        return MOST_WORK // work

    def _prove(self, quality: int) -> None:
        """Replay the golden symbols of a quality, once in a process; use int64 if float64 is not exact here.

        Raises
        ------
        ModelFileError
            If the message or the records differ from those on the writer's machine.
        """
        if quality not in self._unproved:
            return
        with self._proving, naming_damage():
            expected = self._unproved.get(quality)
            if expected is None:  # another thread has done it
                return
            digest = self.digest if "blob" in self.__dict__ else None
            backends = dict.fromkeys((self._backend, "int64"))
            right = reproducing_backend(digest, quality, backends, lambda one: self._replay(quality, one) == expected)
            if right is None:
                raise ModelFileError("The frozen decoder is damaged: it does not reproduce its golden vectors.")
            self._backend = right
            self._unproved.pop(quality)

    def _replay(self, quality: int, backend: str) -> str:
        """Return the SHA-256 of the message and the records of the golden symbols."""
        coded = self.qualities[quality].entropy.encode(self.golden, n_lanes=2)
        records = self.decode(self.golden, quality, backend=backend)
        digest = hashlib.sha256(coded.message.states.astype("<u4").tobytes())
        digest.update(coded.message.words.astype("<u2").tobytes())
        digest.update(coded.escapes)
        digest.update(records.astype(records.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()

    def _golden_digests(self) -> tuple[str, ...]:
        """Return the golden digest of each quality, computed with float64 if it agrees with int64 here."""
        if self._backend == "float64" and self._replay(self.default, "float64") != self._replay(self.default, "int64"):
            self._backend = "int64"
        return tuple(self._replay(position, self._backend) for position in range(len(self.qualities)))

    @classmethod
    def _of(cls, contents: Contents) -> Self:
        """Return the codec with these contents; its golden vectors are not replayed yet."""
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
                f"The frozen decoder may have at most {codec._most_golden()} golden vectors, given its work per "
                f"record. Got {len(contents.golden)}."
            )
        codec._unproved = dict(enumerate(contents.golden_digests))
        n_digests, n_qualities = len(codec._unproved), len(codec.qualities)
        if n_digests != n_qualities:
            raise ModelFileError(f"The frozen decoder has {n_digests} golden digests for {n_qualities} qualities.")
        return codec


def check_causal(causal: FrozenCausal, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that a network of residuals is for records of a shape and dtype.

    Raises
    ------
    ModelFileError
        If it is not.
    """
    is_ours = (
        dtype.name in _OF_CAUSAL
        and math.prod(shape) == math.prod(causal.grid)  # first, because a stored shape may have any size
        and as_image(shape)[0] == causal.grid
        and (causal.levels is None or int(causal.levels[-1]) <= _OF_CAUSAL[dtype.name])
    )
    if not is_ours:
        raise ModelFileError(f"The residual model does not fit the model's records, {dtype} of shape {shape}.")


def check_record_work(decoding: int, n_symbols: int) -> int:
    """Return the work of restoring a record, in multiplications: that of its decoder and that of coding its symbols.

    Raises
    ------
    NotFreezableError
        If it is too much.
    """
    work = decoding + _A_SYMBOL * n_symbols
    if work > MOST_WORK:
        raise NotFreezableError(
            f"Restoring a record of {n_symbols:,} symbols takes {work:,} multiplications. Allowed: 2^36. "
            "Train a model with a smaller decoder."
        )
    return work
