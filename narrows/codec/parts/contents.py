"""The parts of a frozen codec: what each contains, and the codec that is made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.blob import as_rescale, as_shape
from narrows.codec.damage import naming_damage
from narrows.codec.dequantise import DTYPES, Dequantise
from narrows.codec.entropy_models import entropy_model
from narrows.codec.frozen import FrozenCodec, check_causal
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.parts.part import Part, PartKind
from narrows.codec.program import Program
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import ModelFileError
from narrows.io.json_values import finite_or_none

__all__ = ["bytes_part", "code_of", "decoder_part", "model_of_bytes", "network_of", "network_part", "quality_part"]

Tensors = dict[str, NDArray[Any]]


def decoder_part(codec: FrozenCodec) -> Part:
    """Return the decoder of a codec, from codes to records."""
    described, tensors = codec.program.to_tensors()
    settings = {
        "shape": list(codec.shape),
        "dtype": codec.dtype.name,
        "z_shape": list(codec.z_shape),
        "decoder": described,
    }
    return Part(PartKind.DECODER, settings, _named("decoder.", tensors) | _named("output.", codec.output.to_tensors()))


def quality_part(quality: OperatingPoint) -> Part:
    """Return the entropy model of a quality, and its program from symbols to codes."""
    entropy, tensors = quality.entropy.to_tensors()
    rescale, of_rescale = quality.rescale.to_tensors()
    psnr_db = finite_or_none(quality.psnr_db)
    settings = {"entropy": entropy, "rescale": rescale, "psnr_db": psnr_db}
    return Part(PartKind.QUALITY, settings, _named("entropy.", tensors) | _named("rescale.", of_rescale))


def network_part(causal: FrozenCausal) -> Part:
    """Return the network that codes residuals."""
    settings, tensors = causal.to_tensors()
    return Part(PartKind.NETWORK, {**settings, "golden": causal.digest()}, tensors)


def bytes_part(model: FrozenBytes) -> Part:
    """Return a model of bytes as the part that codes exact values."""
    return Part(PartKind.NETWORK, *model.to_tensors())


def code_of(decoder: Part, quality: Part, golden: str | None) -> FrozenCodec:
    """Return the codec with one quality that is made of two parts, after it has reproduced its golden digest.

    Raises
    ------
    ModelFileError
        If the parts are damaged, or do not fit together.
    """
    with naming_damage():
        settings, tensors = decoder.settings, dict(decoder.tensors)
        if settings["dtype"] not in DTYPES:
            raise ModelFileError(f"The dtype of the model's records is not known: {settings['dtype']!r:.80}.")
        output = Dequantise.from_tensors(
            as_shape(settings["shape"]), np.dtype(settings["dtype"]), _under("output.", tensors)
        )
        program = Program.from_tensors(settings["decoder"], _under("decoder.", tensors))
        point = _point(quality)
        codec = FrozenCodec(
            program,
            output,
            (point,),
            z_shape=as_shape(settings["z_shape"]),
            peak=math.inf,
            default=0,
            golden=np.zeros((1, point.entropy.n_symbols), np.int32),  # `alone` sets them
        ).alone(0)
    if golden is not None:
        codec.expect(golden)
    return codec


def network_of(part: Part, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FrozenCausal:
    """Return the network of residuals of a part, after it has reproduced its golden vectors.

    Raises
    ------
    ModelFileError
        If the part is damaged, or is for other records.
    """
    with naming_damage():
        causal = FrozenCausal.from_tensors(part.settings, part.tensors)
        check_causal(causal, shape, dtype)
        if part.settings["golden"] != causal.digest():
            raise ModelFileError(
                "The residual model is damaged: it does not compute the same outputs as when it was stored."
            )
    return causal


def model_of_bytes(part: Part) -> FrozenBytes:
    """Return the model of bytes of a part.

    Raises
    ------
    ModelFileError, CorruptArchiveError
        If the part is damaged, or is no model of bytes.
    """
    with naming_damage():
        return FrozenBytes.from_tensors(part.settings, part.tensors)


def _point(part: Part) -> OperatingPoint:
    settings, tensors = part.settings, dict(part.tensors)
    entropy = entropy_model(settings["entropy"], _under("entropy.", tensors))
    psnr_db = settings["psnr_db"]
    is_number = isinstance(psnr_db, int | float) and not isinstance(psnr_db, bool)
    return OperatingPoint(
        rescale=as_rescale(settings["rescale"], _under("rescale.", tensors)),
        entropy=entropy,
        steps=np.ones(entropy.n_symbols),  # only encoders know them
        psnr_db=float(psnr_db) if is_number else math.inf,
        bytes_per_record=math.nan,
        mse_limit=math.inf,
    )


def _named(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
