"""A frozen codec: everything that a reader of archives needs of a model, in whole numbers, as one blob of bytes.

::

    symbols ─► rescale ─► integer decoder ─► output ─► records
    (n, D)     × m ≫ s    16-bit numbers     × scale + offset, in the records' dtype
               or codebook

The blob is a safetensors file: tensors, and JSON in its header. Its SHA-256 is the model's name in archives, so the
same codec always makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors

from narrows.codec.entropy_models import EntropyModel, entropy_model
from narrows.codec.operations import Codebook, Operation, Rescale, Reshape, Transpose
from narrows.codec.output import DTYPES, Output
from narrows.codec.program import MOST_WORK, Program
from narrows.codec.residual.causal import Causal, as_image
from narrows.codec.stored import stored_number
from narrows.codec.tensor_bytes import pack_tensors
from narrows.errors import ModelFileError, NarrowsError, NotFreezableError

__all__ = ["FrozenCodec", "Quality"]

FORMAT = 1
_KEY = "narrows_codec"
_MEASURED = ("psnr_db", "bytes_per_record", "mse_limit")
_MOST_GOLDEN = 64
_MOST_VALUES = 1 << 26
_MOST_QUALITIES = 256
_OF_CAUSAL = ("bool", "uint8", "uint16")
_RESCALES: tuple[list[type[Operation]], ...] = ([Rescale, Reshape], [Codebook, Reshape, Transpose, Reshape])
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


@dataclass(frozen=True, eq=False)
class Quality:
    """One way to write the codes of a model as whole numbers: how finely, and what that gave on the training data.

    Attributes
    ----------
    rescale : Program
        From symbols to the decoder's input: factors that hold the steps of quantisation, or a codebook.
    entropy : EntropyModel
        How symbols become bits.
    steps : ndarray of shape (n_symbols,), float64
        What one symbol is worth in the code, 1 where it is an index; only the encoder needs it.
    psnr_db, bytes_per_record : float
        Measured on training data, with this integer decoder.
    mse_limit : float
        Mean squared error, in the records' units, beyond which a record looks nothing like the training data: four
        times what one training record in a thousand exceeded.
    """

    rescale: Program
    entropy: EntropyModel
    steps: NDArray[np.float64]
    psnr_db: float
    bytes_per_record: float
    mse_limit: float


class FrozenCodec:
    """The integer half of a model.

    Parameters
    ----------
    program : Program
        The decoder, from 16-bit codes to 16-bit values.
    output : Output
        From these to records.
    qualities : sequence of Quality
        From coarse to fine.
    z_shape : tuple of int
        Shape of a code.
    peak : float
        What counts as full signal in PSNR: 255 for bytes, else the range of the training data.
    usual : int
        The quality to take where none is asked for.
    golden : ndarray of shape (g, n_symbols), int32
        Symbols whose message and records are written down with the codec and replayed where it is read; fewer of them
        where replaying all would take too long.
    causal : Causal or None
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
        output: Output,
        qualities: tuple[Quality, ...],
        *,
        z_shape: tuple[int, ...],
        peak: float,
        usual: int,
        golden: NDArray[np.int32],
        causal: Causal | None = None,
    ) -> None:
        self.program, self.output, self.qualities = program, output, tuple(qualities)
        self.z_shape, self.peak, self.usual, self.golden = z_shape, peak, usual, golden
        self._check()
        self.golden = golden[:: -(-len(golden) // self._most_golden())]
        self._causal = causal
        self._carrier = "float64"
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
    def causal(self) -> Causal | None:
        """The network under which archives keep values exactly, once it has said what it did where it was made."""
        if self._causal is not None and self._unproved_causal not in (None, self._causal.digest()):
            raise ModelFileError("The model's network of residuals is damaged: it does not say what it did when made.")
        self._unproved_causal = None
        return self._causal

    def with_causal(self, causal: Causal) -> FrozenCodec:
        """Return the codec with a network under which archives keep values exactly."""
        codec = self._with(self.qualities, self.usual, None)
        codec._take_causal(causal)
        return codec

    def _take_causal(self, causal: Causal) -> None:
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
        return self._to_bytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the blob, in hexadecimal: the model's name in archives."""
        return hashlib.sha256(self.blob).hexdigest()

    def decode(self, symbols: NDArray[np.int32], quality: int, *, carrier: str | None = None) -> NDArray[Any]:
        """Return the records (n, *shape), in their dtype, that symbols (n, n_symbols) stand for at a quality.

        Parameters
        ----------
        symbols : ndarray of shape (n, n_symbols), int32
            At most ±32,767.
        quality : int
            Index into `qualities`.
        carrier : str, optional
            What carries the whole numbers, as `Program.run`; the result is the same with each.
        """
        if carrier is None:
            self._prove(quality)
            carrier = self._carrier
        codes = self.qualities[quality].rescale.run(symbols, carrier=carrier)
        return self.output.of(self.program.run(codes, carrier=carrier))

    def only(self, quality: int, *, with_causal: bool = False) -> FrozenCodec:
        """Return a codec with this quality alone, for archives that carry their model."""
        return self._with((self.qualities[quality],), 0, self.causal if with_causal else None)

    def _with(self, qualities: tuple[Quality, ...], usual: int, causal: Causal | None) -> FrozenCodec:
        codec = FrozenCodec(
            self.program,
            self.output,
            qualities,
            z_shape=self.z_shape,
            peak=self.peak,
            usual=usual,
            golden=self.golden,
            causal=causal,
        )
        codec._carrier = self._carrier
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
            1 <= len(self.qualities) <= _MOST_QUALITIES
            and 0 <= self.usual < len(self.qualities)
            and self.program.in_shape == self.z_shape
            and math.prod(self.program.out_shape) == self.output.n_values
            and all(quality.entropy.n_symbols == n and _are_steps(quality.steps, n) for quality in self.qualities)
            and all(
                (quality.rescale.in_shape, quality.rescale.out_shape) == ((n,), self.z_shape)
                for quality in self.qualities
            )
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
            is_right = self._replay(quality, self._carrier) == expected
            if not is_right and self._replay(quality, "int64") == expected:
                self._carrier, is_right = "int64", True
        if not is_right:
            raise ModelFileError(
                "The frozen decoder is damaged: it does not restore its golden vectors as it did where it was made."
            )
        self._unproved.pop(quality, None)

    def _replay(self, quality: int, carrier: str) -> str:
        """Return what becomes of the golden symbols: a SHA-256 of message and records."""
        coded = self.qualities[quality].entropy.encode(self.golden, n_lanes=2)
        records = self.decode(self.golden, quality, carrier=carrier)
        digest = hashlib.sha256(coded.message.states.astype("<u4").tobytes())
        digest.update(coded.message.words.astype("<u2").tobytes())
        digest.update(coded.escapes)
        digest.update(records.astype(records.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()

    def _golden_digests(self) -> list[str]:
        """Return what the golden symbols become at each quality, once int64 has said that float64 is right here."""
        if self._carrier == "float64" and self._replay(self.usual, "float64") != self._replay(self.usual, "int64"):
            self._carrier = "int64"
        return [self._replay(position, self._carrier) for position in range(len(self.qualities))]

    def _to_bytes(self) -> bytes:
        settings, named = self.program.to_tensors()
        tensors = {f"decoder.{name}": tensor for name, tensor in named.items()}
        tensors |= {f"output.{name}": tensor for name, tensor in self.output.to_tensors().items()}
        tensors["golden"] = self.golden
        described = []
        for position, quality in enumerate(self.qualities):
            entropy, named = quality.entropy.to_tensors()
            of_rescale, of_multipliers = quality.rescale.to_tensors()
            tensors |= {f"quality.{position}.entropy.{name}": tensor for name, tensor in named.items()}
            tensors |= {f"quality.{position}.rescale.{name}": tensor for name, tensor in of_multipliers.items()}
            tensors[f"quality.{position}.steps"] = quality.steps
            measured = {name: _finite(getattr(quality, name)) for name in _MEASURED}
            described.append({"entropy": entropy, "rescale": of_rescale, **measured})
        header = {
            "format": FORMAT,
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "z_shape": list(self.z_shape),
            "peak": _finite(self.peak),
            "usual": self.usual,
            "decoder": settings,
            "qualities": described,
            "golden": self._golden_digests(),
        }
        if self._causal is not None:
            of_causal, named = self._causal.to_tensors()
            tensors |= {f"causal.{name}": tensor for name, tensor in named.items()}
            header["causal"] = {**of_causal, "golden": self._causal.digest()}
        header["sha256"] = _digest(tensors)
        text = json.dumps(header, sort_keys=True, allow_nan=False, separators=(", ", ": "))
        return pack_tensors(tensors, {_KEY: text})

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
            codec = cls._parse(blob)
        codec._prove(codec.usual)
        codec.__dict__["blob"] = blob
        return codec

    @classmethod
    def _parse(cls, blob: bytes) -> Self:
        tensors = read_tensors(blob)
        header = json.loads(_metadata(blob)[_KEY])
        if not 1 <= header["format"] <= FORMAT:
            raise ModelFileError(
                f"The frozen decoder has format {header['format']}; this narrows reads up to {FORMAT}: upgrade it."
            )
        if header["sha256"] != _digest(tensors):
            raise ModelFileError("The frozen decoder is damaged: its tensors have another checksum than was written.")
        shape, z_shape = _sizes(header["shape"]), _sizes(header["z_shape"])
        if header["dtype"] not in DTYPES:
            raise ModelFileError(f"The frozen decoder restores records of type {header['dtype']!r:.80}, which is none.")
        qualities = []
        for position, described in enumerate(header["qualities"]):
            prefix = f"quality.{position}."
            qualities.append(
                Quality(
                    rescale=_rescale(described["rescale"], _under(f"{prefix}rescale.", tensors)),
                    entropy=entropy_model(described["entropy"], _under(f"{prefix}entropy.", tensors)),
                    steps=tensors[f"{prefix}steps"],
                    **{name: _measured(name, described[name]) for name in _MEASURED},
                )
            )
        codec = cls(
            Program.from_tensors(header["decoder"], _under("decoder.", tensors)),
            Output.from_tensors(shape, np.dtype(header["dtype"]), _under("output.", tensors)),
            tuple(qualities),
            z_shape=z_shape,
            peak=_measured("peak", header["peak"]),
            usual=stored_number(header, "usual", 0, _MOST_QUALITIES - 1),
            golden=tensors["golden"],
        )
        if "causal" in header:
            described = header["causal"]
            codec._take_causal(Causal.from_tensors(described, _under("causal.", tensors)))
            codec._unproved_causal = str(described["golden"])
        if len(codec.golden) != len(tensors["golden"]):
            raise ModelFileError(
                f"The frozen decoder has {len(tensors['golden'])} golden vectors; of its kind {codec._most_golden()} "
                "may be replayed."
            )
        codec._unproved = dict(enumerate(header["golden"]))
        if len(codec._unproved) != len(qualities):
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


def _metadata(blob: bytes) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file that has been read already."""
    length = int.from_bytes(blob[:8], "little")
    metadata: dict[str, str] = json.loads(blob[8 : 8 + length])["__metadata__"]
    return metadata


def _are_steps(steps: NDArray[Any], n: int) -> bool:
    return steps.shape == (n,) and steps.dtype == np.float64 and bool((steps > 0).all() and np.isfinite(steps).all())


def _finite(value: float) -> float | None:
    """Return a measured number as JSON has it; None where it is infinite."""
    return value if math.isfinite(value) else None


def _digest(tensors: dict[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of tensors: their names and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _under(prefix: str, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _rescale(settings: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Program:
    """Return the program from symbols to codes.

    Raises
    ------
    ModelFileError
        If it is anything but a rescale and a reshape, or a codebook and what lays its rows out.
    """
    program = Program.from_tensors(settings, tensors)
    kinds = [type(operation) for operation in program.operations]
    if kinds not in _RESCALES:
        names = ", ".join(operation.name for operation in program.operations[:9]) or "nothing"
        raise ModelFileError(
            "The 'rescale' of a quality must be a rescale and a reshape; or a codebook, a reshape, a transpose and a "
            f"reshape. Got {names}."
        )
    return program


def _measured(name: str, value: Any) -> float:
    """Return a number that was measured; JSON has no infinity, so null stands for it.

    Raises
    ------
    ModelFileError
        If it is none.
    """
    if value is None:
        return math.inf
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ModelFileError(f"The '{name}' of the frozen decoder must be a number. Got {value!r:.80}.")
    return float(value)


def _sizes(values: list[int]) -> tuple[int, ...]:
    """Return a shape that is one.

    Raises
    ------
    ModelFileError
        If it is none, or of more values than a record may have.
    """
    sizes = tuple(values)
    if not all(type(size) is int and size >= 1 for size in sizes) or not 1 <= math.prod(sizes) <= _MOST_VALUES:
        raise ModelFileError(f"The frozen decoder claims the shape {values!r}.")
    return sizes
