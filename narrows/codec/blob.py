"""The bytes of a frozen codec: a safetensors file with tensors, and JSON in its header.

`pack` and `unpack` are inverse. The same contents always give the same bytes, because archives identify the model by
their SHA-256. `unpack` verifies the checksum of the tensors, and checks each value before it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as read_tensors

from narrows.codec.dequantise import DTYPES, Dequantise
from narrows.codec.entropy_models import entropy_model
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.operations import Codebook, Operation, Rescale, Reshape, Transpose
from narrows.codec.program import Program
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.serialise import pack_tensors
from narrows.codec.validation import stored_number
from narrows.errors import ModelFileError
from narrows.io.json_values import finite_or_none

__all__ = ["FORMAT", "MOST_QUALITIES", "Contents", "as_rescale", "as_shape", "pack", "unpack"]

FORMAT = 1
"""The newest format of the bytes: `pack` writes it; `unpack` reads it and all older ones."""

MOST_QUALITIES = 256
"""The largest number of qualities of a codec."""

_KEY = "narrows_codec"
_MEASURED = ("psnr_db", "bytes_per_record", "mse_limit")
_MOST_VALUES = 1 << 26
_RESCALES: tuple[list[type[Operation]], ...] = ([Rescale, Reshape], [Codebook, Reshape, Transpose, Reshape])


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of the bytes: the parts of a `FrozenCodec`, and digests of its results on the writer's machine.

    Attributes
    ----------
    program, output, qualities, z_shape, peak, default, golden, causal
        As in `FrozenCodec`.
    golden_digests : tuple of str
        For each quality the SHA-256 of the message and the records of the golden symbols.
    causal_digest : str or None
        The digest of the causal network's outputs; None without a network.
    """

    program: Program
    output: Dequantise
    qualities: tuple[OperatingPoint, ...]
    z_shape: tuple[int, ...]
    peak: float
    default: int
    golden: NDArray[np.int32]
    golden_digests: tuple[str, ...]
    causal: FrozenCausal | None = None
    causal_digest: str | None = None


def pack(contents: Contents) -> bytes:
    """Return the bytes of a codec."""
    settings, named = contents.program.to_tensors()
    tensors = {f"decoder.{name}": tensor for name, tensor in named.items()}
    tensors |= {f"output.{name}": tensor for name, tensor in contents.output.to_tensors().items()}
    tensors["golden"] = contents.golden
    described = []
    for position, quality in enumerate(contents.qualities):
        entropy, named = quality.entropy.to_tensors()
        of_rescale, of_multipliers = quality.rescale.to_tensors()
        tensors |= {f"quality.{position}.entropy.{name}": tensor for name, tensor in named.items()}
        tensors |= {f"quality.{position}.rescale.{name}": tensor for name, tensor in of_multipliers.items()}
        tensors[f"quality.{position}.steps"] = quality.steps
        measured = {name: finite_or_none(getattr(quality, name)) for name in _MEASURED}
        described.append({"entropy": entropy, "rescale": of_rescale, **measured})
    header = {
        "format": FORMAT,
        "shape": list(contents.output.shape),
        "dtype": contents.output.dtype.name,
        "z_shape": list(contents.z_shape),
        "peak": finite_or_none(contents.peak),
        "usual": contents.default,
        "decoder": settings,
        "qualities": described,
        "golden": list(contents.golden_digests),
    }
    if contents.causal is not None:
        of_causal, named = contents.causal.to_tensors()
        tensors |= {f"causal.{name}": tensor for name, tensor in named.items()}
        header["causal"] = {**of_causal, "golden": contents.causal_digest}
    header["sha256"] = _digest(tensors)
    text = json.dumps(header, sort_keys=True, allow_nan=False, separators=(", ", ": "))
    return pack_tensors(tensors, {_KEY: text})


def unpack(blob: bytes) -> Contents:
    """Return the contents of the bytes of a codec.

    Raises
    ------
    ModelFileError
        If the bytes are of a newer format, their checksum is wrong, or they hold a value that is not allowed.
    LookupError, TypeError, ValueError, SafetensorError, …
        If they are damaged in another way: `FrozenCodec.from_bytes` converts these to a ModelFileError.
    """
    tensors = read_tensors(blob)
    header = json.loads(_metadata(blob)[_KEY])
    if not 1 <= header["format"] <= FORMAT:
        raise ModelFileError(
            f"The frozen decoder has format {header['format']}; this version of narrows reads formats up to {FORMAT}. "
            "Upgrade narrows."
        )
    if header["sha256"] != _digest(tensors):
        raise ModelFileError("The frozen decoder is damaged: the checksum of its tensors is wrong.")
    shape, z_shape = as_shape(header["shape"]), as_shape(header["z_shape"])
    if header["dtype"] not in DTYPES:
        raise ModelFileError(
            f"The dtype of the frozen decoder's records must be one of {', '.join(DTYPES)}. "
            f"Got {header['dtype']!r:.80}."
        )
    qualities = tuple(_quality(one, position, tensors) for position, one in enumerate(header["qualities"]))
    causal = causal_digest = None
    if "causal" in header:
        causal = FrozenCausal.from_tensors(header["causal"], _under("causal.", tensors))
        causal_digest = str(header["causal"]["golden"])
    return Contents(
        Program.from_tensors(header["decoder"], _under("decoder.", tensors)),
        Dequantise.from_tensors(shape, np.dtype(header["dtype"]), _under("output.", tensors)),
        qualities,
        z_shape=z_shape,
        peak=_measured("peak", header["peak"]),
        default=stored_number(header, "usual", 0, MOST_QUALITIES - 1),
        golden=tensors["golden"],
        golden_digests=tuple(header["golden"]),
        causal=causal,
        causal_digest=causal_digest,
    )


def _quality(described: dict[str, Any], position: int, tensors: dict[str, NDArray[Any]]) -> OperatingPoint:
    """Return the quality at a position, from its description in the header and its tensors."""
    prefix = f"quality.{position}."
    return OperatingPoint(
        rescale=as_rescale(described["rescale"], _under(f"{prefix}rescale.", tensors)),
        entropy=entropy_model(described["entropy"], _under(f"{prefix}entropy.", tensors)),
        steps=tensors[f"{prefix}steps"],
        **{name: _measured(name, described[name]) for name in _MEASURED},
    )


def _metadata(blob: bytes) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file that has already been validated."""
    length = int.from_bytes(blob[:8], "little")
    metadata: dict[str, str] = json.loads(blob[8 : 8 + length])["__metadata__"]
    return metadata


def _digest(tensors: dict[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of the names and bytes of tensors, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _under(prefix: str, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def as_rescale(settings: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Program:
    """Return the program from symbols to codes.

    Raises
    ------
    ModelFileError
        If its operations are neither a rescale and a reshape, nor a codebook, a reshape, a transpose and a reshape.
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
    """Return a measured number; null stands for infinity, which JSON does not have.

    Raises
    ------
    ModelFileError
        If the value is not a number.
    """
    if value is None:
        return math.inf
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ModelFileError(f"The '{name}' of the frozen decoder must be a number. Got {value!r:.80}.")
    return float(value)


def as_shape(values: list[int]) -> tuple[int, ...]:
    """Return a stored shape.

    Raises
    ------
    ModelFileError
        If it is not a shape, or has more values than a record may have.
    """
    sizes = tuple(values)
    if not all(type(size) is int and size >= 1 for size in sizes) or not 1 <= math.prod(sizes) <= _MOST_VALUES:
        raise ModelFileError(
            f"The shapes of the frozen decoder must have positive lengths and at most {_MOST_VALUES} values. "
            f"Got {values!r:.80}."
        )
    return sizes
