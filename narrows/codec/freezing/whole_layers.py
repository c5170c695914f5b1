"""Linear layers as whole numbers: 16-bit weights with the finest scale for which all sums are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from narrows.codec.arithmetic import HIGHEST
from narrows.codec.freezing.ranges import stage_name
from narrows.codec.operations import EXACT_BELOW, LinearOperation
from narrows.errors import NotFreezableError

__all__ = ["MARGIN", "MakeOperation", "n_outputs", "scale_of", "spread_out", "whole_layer"]

MARGIN = 1.5
"""Activations saturate at this multiple of their largest magnitude in calibration."""

_MOST_SHIFT = 40  # of a scale: activations below 2^-25, or below this share of small outputs, are treated as zero

MakeOperation = Callable[[NDArray[np.int16], NDArray[np.int64], int], LinearOperation]
"""Makes an operation from weights, biases and a shift."""


def scale_of(largest: float, finer: int = 0) -> int:
    """Return the largest s for which round(largest · 2^s) fits 16 bits; round(r · 2^s) then represents a value r.

    It is limited to 40 + ``finer``.
    """
    if largest <= 0:
        return finer
    shift = min(math.frexp(HIGHEST / largest)[1] - 1, _MOST_SHIFT + finer)
    return shift - (round(math.ldexp(largest, shift)) > HIGHEST)


def whole_layer(
    stage: Any,
    in_shift: int,
    wanted: int,
    finer: int,
    make: MakeOperation,
    *,
    octaves: NDArray[np.int64] | None = None,
) -> tuple[LinearOperation, int]:
    """Return a linear layer as an operation, and the scale of its output.

    Parameters
    ----------
    stage : Module
        The layer.
    in_shift : int
        The layer's input is whole numbers times 2^-in_shift.
    wanted : int
        The scale of the output that its largest values allow.
    finer : int
        Added to the limit of all scales.
    make : callable
        Makes the operation.
    octaves : ndarray of shape (out,), optional
        Each row's weights and bias are divided by two to this power.

    Raises
    ------
    NotFreezableError
        If weights are not finite, or biases too large for any scale.
    """
    n_out = n_outputs(stage)
    weights = stage.weight.detach().double().cpu().contiguous().numpy()
    biases = np.zeros(n_out) if stage.bias is None else stage.bias.detach().double().cpu().numpy()
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise NotFreezableError(
            f"The decoder cannot be frozen: the weights of its {stage_name(stage)} must be finite. "
            "Train again with a lower learning rate."
        )
    if octaves is not None:
        weights, biases = np.ldexp(weights, -octaves[:, None]), np.ldexp(biases, -octaves)
    for scale in range(scale_of(float(np.abs(weights).max()), finer), -in_shift - 64, -1):
        in_sums = scale + in_shift
        out = min(wanted, in_sums)
        if np.abs(biases).max() * 2.0**in_sums >= EXACT_BELOW // 2 or in_sums - out > 50:
            continue
        whole = np.rint(np.ldexp(weights, scale)).astype(np.int16), np.rint(np.ldexp(biases, in_sums)).astype(np.int64)
        operation = make(*whole, in_sums - out)
        if operation.largest_sum() < EXACT_BELOW:
            return operation, out
    raise NotFreezableError(
        f"The decoder cannot be frozen: the biases of its {stage_name(stage)} are too large for the scale of its "
        f"weights and inputs. Got up to {np.abs(biases).max():.3g}. Train again with a lower learning rate."
    )


def n_outputs(stage: Any) -> int:
    """Return the number of outputs, or of channels, of a linear layer."""
    if stage.bias is not None:
        return len(stage.bias)
    return int(stage.out_features if isinstance(stage, nn.Linear) else stage.out_channels)


def spread_out(weights: NDArray[np.int16], dilation: tuple[int, int]) -> NDArray[np.int16]:
    """Return kernels (out, in, kh, kw) whose taps are ``dilation`` rows and columns apart, with zeros between them."""
    if dilation == (1, 1):
        return weights
    sizes = ((k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilation, strict=True))
    spread = np.zeros((*weights.shape[:2], *sizes), np.int16)
    spread[:, :, :: dilation[0], :: dilation[1]] = weights
    return spread
