"""Freezing: a trained decoder becomes integer operations.

Every tensor gets a scale that is a power of two, the largest that leaves it 16 bits: a real value r stands as the
integer round(r 2^s). Then a layer is products of integers and a shift back to 16 bits, and every activation function is
a short table. Scales of activations come from calibration codes, with a margin; beyond it values saturate.
`narrows.codec.freezing.translation` has the operations of each layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.chain import Chain
from narrows.codec.freezing.ranges import Ranged, magnitude, ranged
from narrows.codec.freezing.translation import MARGIN, Translation, scale_of
from narrows.codec.program import Program
from narrows.errors import ModelFileError, NotFreezableError
from narrows.networks.activations import activation

__all__ = ["FrozenDecoder", "freeze_decoder"]

_BATCH = 256


@dataclass(frozen=True)
class FrozenDecoder:
    """A decoder in integers.

    Attributes
    ----------
    program : Program
        From z as 16-bit integers, (n, *z_shape), to the likelihood's mean, (n, *shape).
    input_shift : int
        z is what goes in times 2^-input_shift.
    output_shift : int
        The mean, in preprocessed units, is what comes out times 2^-output_shift.
    """

    program: Program
    input_shift: int
    output_shift: int


def freeze_decoder(chain: Chain, codes: Tensor) -> FrozenDecoder:
    """Return the decoder of a chain, likelihood's mean included, as integer operations.

    Parameters
    ----------
    chain : Chain
        A trained one.
    codes : Tensor of shape (n, *z_shape)
        Codes of training records: from them comes how large activations get.

    Raises
    ------
    NotFreezableError
        If a part of it has no counterpart in integers, or holds or computes what is not finite; says which.
    """
    out_shape = chain.likelihood.out_shape(chain.shape)
    if out_shape != chain.shape:
        raise NotFreezableError(
            f"The '{chain.parts.likelihood.name}' likelihood has parameters of shape {out_shape} for records of shape "
            f"{chain.shape}; only decoders with one number for each value can be frozen."
        )
    stages = [*chain.decoder.as_sequence(), activation(chain.likelihood.mean_activation)]
    codes = codes.detach().to(dtype=chain.dtype, device=chain.device)
    with torch.no_grad():
        largest, seen = _largest(chain, stages, codes)
    translation = Translation(tuple(codes.shape[1:]), scale_of(MARGIN * largest))
    input_shift = translation.shift
    try:
        translation.add_all(seen)
        program = Program(tuple(codes.shape[1:]), translation.operations)
    except ModelFileError as error:
        raise NotFreezableError(f"The decoder cannot be computed in whole numbers. {error}") from error
    return FrozenDecoder(program, input_shift, translation.shift)


def _largest(chain: Chain, stages: list[nn.Module], codes: Tensor) -> tuple[float, list[Ranged]]:
    """Return the largest magnitude among the codes, the stages with theirs, and check that they are the decoder."""
    largest, seen = 0.0, ranged(stages)
    for batch in torch.split(codes, _BATCH):
        largest = max(largest, magnitude("the codes", batch))
        y = batch
        for stage in seen:
            y = stage.run(y)
        mean = chain.likelihood.mean(chain.decode(batch))
        smallest = 1e-4 * max(seen[-1].largest, 1e-30)
        if y.shape != mean.shape or not torch.allclose(y, mean, rtol=1e-3, atol=smallest):
            raise NotFreezableError(
                f"The stages of {type(chain.decoder).__name__.lstrip('_')} do not do one after the other what it does "
                "itself; its 'as_sequence' must be corrected."
            )
    return largest, seen
