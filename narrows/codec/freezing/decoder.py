"""Freezing: converts a trained decoder to integer operations.

Every tensor gets a scale 2^s, the largest power of two with which it fits 16 bits: a real value r is represented by the
integer round(r 2^s). A layer is then a sum of integer products and a shift back to 16 bits, and an activation function
is a short table. The scales of activations are measured on calibration codes, with a margin; values beyond it
saturate. `narrows.codec.freezing.translation` has the operations of each layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.chain import Chain
from narrows.codec.freezing.pruning import pruned
from narrows.codec.freezing.ranges import Ranged, magnitude, ranged
from narrows.codec.freezing.row_gains import row_octaves
from narrows.codec.freezing.translation import Translation
from narrows.codec.freezing.whole_layers import MARGIN, scale_of
from narrows.codec.program import Program
from narrows.errors import ModelFileError, NotFreezableError
from narrows.networks.activations import activation

__all__ = ["FrozenDecoder", "freeze_decoder"]

_BATCH = 256


@dataclass(frozen=True)
class FrozenDecoder:
    """A decoder in integer arithmetic.

    Attributes
    ----------
    program : Program
        From z as 16-bit integers, (n, *z_shape), to the likelihood's point estimate, with the values of (n, *shape).
    input_shift : int
        z is the program's input times 2^-input_shift.
    output_shift : int
        A number, in preprocessed units, is the program's output times 2^-output_shift.
    categories : ndarray of bool, shape ``shape``
        Which values are categories instead. These are the program's output itself, in the units of the records.
    """

    program: Program
    input_shift: int
    output_shift: int
    categories: NDArray[np.bool_]


def freeze_decoder(chain: Chain, codes: Tensor) -> FrozenDecoder:
    """Return the decoder of a chain, with the likelihood's point estimate, as integer operations.

    Parameters
    ----------
    chain : Chain
        The trained chain.
    codes : Tensor of shape (n, *z_shape)
        Codes of training records, on which the magnitudes of activations are measured.

    Raises
    ------
    NotFreezableError
        If a layer has no integer operation, or weights or activations are not finite; the message names the layer.
    """
    out_shape, estimate = chain.likelihood.out_shape(chain.shape), chain.likelihood.point_estimate(chain.shape)
    if estimate.n_values(out_shape) != math.prod(chain.shape):
        raise NotFreezableError(
            f"The '{chain.parts.likelihood.name}' likelihood has parameters of shape {out_shape} for records of shape "
            f"{chain.shape}, and its point estimate does not have as many values as a record. Correct its "
            "'point_estimate', or train with another likelihood."
        )
    stages = chain.decoder.as_sequence()
    if estimate.positions is not None:
        stages = pruned(stages, estimate.positions)
    stages = [*stages, activation(estimate.activation)]
    codes = codes.detach().to(dtype=chain.dtype, device=chain.device)
    with torch.no_grad():
        largest, measured = _measure(chain, stages, codes)
    translation = Translation(
        tuple(codes.shape[1:]),
        scale_of(MARGIN * largest),
        _finer(measured[-1].largest),
        octaves=row_octaves(stages, codes),
    )
    input_shift = translation.shift
    try:
        translation.add_all(measured)
        if estimate.lengths is not None:
            translation.categories(estimate.lengths)
        program = Program(tuple(codes.shape[1:]), translation.operations)
    except ModelFileError as error:
        raise NotFreezableError(f"The decoder cannot be computed in integer arithmetic. {error}") from error
    return FrozenDecoder(program, input_shift, translation.shift, estimate.categories(chain.shape))


def _finer(largest: float) -> int:
    """Return by how many powers of two outputs are below 2^-8, as they may be without preprocessing."""
    return max(0, -8 - math.frexp(largest)[1])


def _measure(chain: Chain, stages: list[nn.Module], codes: Tensor) -> tuple[float, list[Ranged]]:
    """Return the largest magnitudes of the codes and of each stage; check that the stages compute the decoder."""
    largest, measured, estimate = 0.0, ranged(stages), chain.likelihood.point_estimate(chain.shape)
    for batch in torch.split(codes, _BATCH):
        largest = max(largest, magnitude("the codes", batch))
        y = batch
        for stage in measured:
            y = stage.run(y)
        outputs = chain.decode(batch)
        if estimate.positions is not None:
            outputs = outputs.flatten(1)[:, torch.from_numpy(estimate.positions).to(outputs.device)]
        wanted = activation(estimate.activation)(outputs)
        smallest = 1e-4 * measured[-1].largest
        if y.shape != wanted.shape or not torch.allclose(y, wanted, rtol=1e-3, atol=smallest):
            raise NotFreezableError(
                f"The stages of {type(chain.decoder).__name__.lstrip('_')}, run in sequence, do not compute its "
                "output. Correct its 'as_sequence'."
            )
    return largest, measured
