"""Recurrent layers as whole numbers: states in units of 2^-15, and weights with the finest scale for exact sums."""

from __future__ import annotations

import numpy as np

from narrows.codec.freezing.whole_layers import scale_of
from narrows.codec.operations import EXACT_BELOW, GRU, LSTM, Recurrence
from narrows.codec.operations.recurrence import MOST_INPUT_SCALE, MOST_WEIGHT_SCALE, STATE_SCALE
from narrows.errors import NotFreezableError
from narrows.networks.recurrence import RecurrentMaps

__all__ = ["MOST_INPUT_SCALE", "STATE_SCALE", "of_zeros", "whole_recurrence"]

_KINDS: dict[str, type[Recurrence]] = {"gru": GRU, "lstm": LSTM}


def whole_recurrence(stage: RecurrentMaps, in_shift: int) -> Recurrence:
    """Return a recurrent layer as an operation, whose output is states times 2^15.

    Parameters
    ----------
    stage : RecurrentMaps
        The layer.
    in_shift : int
        Its input is whole numbers times 2^-in_shift, 0 to 32.

    Raises
    ------
    NotFreezableError
        If weights are not finite or too large.
    """
    weights, biases = (
        getattr(stage.hidden, name).detach().double().cpu().contiguous().numpy() for name in ("weight", "bias")
    )
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise NotFreezableError(
            "The decoder cannot be frozen: the weights of its recurrent layer must be finite. "
            "Train again with a lower learning rate."
        )
    finest = min(scale_of(float(np.abs(weights).max())), MOST_WEIGHT_SCALE)
    for scale in range(max(finest, 1), max(in_shift - STATE_SCALE, 1) - 1, -1):
        whole = np.clip(np.rint(np.ldexp(weights, scale)), -(2**15), 2**15 - 1).astype(np.int16)
        in_sums = np.rint(np.ldexp(biases, scale + STATE_SCALE))
        if finest >= 1 and np.abs(in_sums).max() < EXACT_BELOW // 2:
            operation = _KINDS[stage.cell](whole, in_sums.astype(np.int64), scale, in_shift)
            if operation.largest_sum() < EXACT_BELOW:
                return operation
    raise NotFreezableError(
        f"The decoder cannot be frozen: the weights of its recurrent layer are too large, up to "
        f"{max(np.abs(weights).max(), np.abs(biases).max()):.3g}. Train again with a lower learning rate."
    )


def of_zeros(stage: RecurrentMaps) -> Recurrence:
    """Return the operation of a layer whose weights are not known yet."""
    rows = len(stage.hidden.bias)  # type: ignore[arg-type]
    weights = np.broadcast_to(np.zeros((), np.int16), (rows, stage.n_hidden))
    biases = np.broadcast_to(np.zeros((), np.int64), (rows,))
    return _KINDS[stage.cell](weights, biases, MOST_WEIGHT_SCALE, 0)
