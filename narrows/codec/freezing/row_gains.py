"""How finely each row of a dense layer must be stored: by how much its output changes the records.

An error of output i of a layer adds g_i times its square to the squared error of a record. With g_i the squared length
of column i of the Jacobian of what follows the layer, a given error takes the fewest bits if the step of row i is in
proportion to 1 / √g_i. Rows are therefore divided by powers of two, rounded with one step for all, and their outputs
multiplied again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.numerics.randomness import Stream, generator

__all__ = ["may_have_octaves", "row_octaves"]

_FEWEST_WEIGHTS, _MOST_WEIGHTS = 1 << 12, 1 << 24

_PROBED, _PROBES = 256, 8
_MOST_OCTAVES = 8
_BITS_OF_AN_OCTAVE = 4  # what a row's power of two takes in a model, at most


def may_have_octaves(stage: nn.Module) -> bool:
    """Return whether rows of a stage may be divided: dense layers with fewer or very many weights keep one step."""
    return isinstance(stage, nn.Linear) and _FEWEST_WEIGHTS <= stage.weight.numel() <= _MOST_WEIGHTS


def row_octaves(stages: Sequence[nn.Module], codes: Tensor) -> dict[nn.Module, NDArray[np.int64]]:
    """Return for dense layers the base-2 logarithms of what their rows are divided by, (out,), where this saves bits.

    Parameters
    ----------
    stages : sequence of Module
        The decoder, stage by stage.
    codes : Tensor of shape (n, *z_shape)
        Codes of training records.
    """
    layers = [stage for stage in stages if isinstance(stage, nn.Linear) and may_have_octaves(stage)]
    if not layers or len(set(layers)) < len(layers):
        return {}
    found: dict[nn.Module, NDArray[np.int64]] = {}
    for layer, gains in zip(layers, _gains(stages, layers, codes[:_PROBED]), strict=True):
        octaves = _octaves(gains)
        if octaves is not None and _saved_bits(gains, octaves) * layer.in_features > _BITS_OF_AN_OCTAVE:
            found[layer] = octaves
    return found


def _gains(stages: Sequence[nn.Module], layers: list[nn.Linear], codes: Tensor) -> list[NDArray[np.float64]]:
    """Return g of the outputs of layers, each (out,), in the mean of the codes (Hutchinson 1990)."""
    noise, outputs = generator(0, Stream.CODEC_PROBES), []
    with torch.enable_grad():
        y = codes.detach().clone().requires_grad_()
        for stage in stages:
            y = stage(y)
            if stage in layers:
                outputs.append(y)
        probed = []
        for _ in range(_PROBES):
            v = torch.randn(y.shape, generator=noise, dtype=y.dtype).to(y.device)
            slopes = torch.autograd.grad((y * v).sum(), outputs, retain_graph=True)
            probed.append([slope.double().square().flatten(0, -2).mean(0).cpu().numpy() for slope in slopes])
    return [np.mean(of_layer, axis=0) for of_layer in zip(*probed, strict=True)]


def _octaves(gains: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the octaves of rows with these gains; None if no row has a gain."""
    largest = float(gains.max())
    if not 0 < largest < np.inf:
        return None
    relative = np.maximum(gains / largest, 4.0**-_MOST_OCTAVES)
    return np.rint(-0.5 * np.log2(relative)).astype(np.int64)


def _saved_bits(gains: NDArray[np.float64], octaves: NDArray[np.int64]) -> float:
    """Return the bits a weight that are saved at equal error; the mean gain must stay for the same step."""
    before, after = gains.mean(), (gains * 4.0**octaves).mean()
    return float(octaves.mean() - 0.5 * np.log2(after / before))
