"""Rounding of weights to multiples of a step, so that the outputs of a layer change as little as possible.

The inputs of a layer are correlated, so the error of one weight can be compensated by the weights that follow. With
H = E[x xᵀ] of the inputs, weights are rounded input by input, and the remaining ones change to the minimiser of the
expected squared error of the outputs (Hassibi and Stork 1993; Frantar et al. 2023, "GPTQ")::

    e = (w_j - round(w_j)) / U_jj        w_k -= e U_jk for k > j        with U the upper Cholesky factor of H⁻¹
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rounder", "rounded_to"]

_DAMPING, _DAMPING_FEW = 1e-2, 0.25  # of the mean of H's diagonal; the second times inputs per record


class Rounder:
    """Rounds the weights of a layer.

    Parameters
    ----------
    inputs : ndarray of shape (n, inputs), float64
        Inputs of the layer.
    """

    def __init__(self, inputs: NDArray[np.float64]) -> None:
        n = inputs.shape[1]
        self.mean = inputs.mean(0)
        centred = inputs - self.mean  # the biases compensate the mean
        moments = centred.T @ centred / max(1, len(inputs))
        scale = max(float(np.diag(moments).mean()), 1e-12)
        self._order = np.argsort(-np.diag(moments), kind="stable")
        damping = _DAMPING + _DAMPING_FEW * n / max(1, len(inputs))  # few records say little of correlations
        damped = moments[np.ix_(self._order, self._order)] + damping * scale * np.eye(n)
        self._factor = np.linalg.cholesky(np.linalg.inv(damped)).T

    def rounded(
        self, weights: NDArray[np.float64], step: float, largest: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (outputs, inputs) as multiples of a step, and what biases (outputs,) must add.

        Parameters
        ----------
        weights : ndarray of shape (outputs, inputs)
            The weights.
        step : float
            The step.
        largest : int
            The largest magnitude of a weight.
        """
        rest = weights[:, self._order].astype(np.float64)
        found = np.empty_like(rest)
        for j in range(rest.shape[1]):
            found[:, j] = rounded_to(rest[:, j], step, largest)
            error = (rest[:, j] - found[:, j]) / self._factor[j, j]
            rest[:, j + 1 :] -= error[:, None] * self._factor[j, j + 1 :]
        result = np.empty_like(found)
        result[:, self._order] = found
        return result, (weights - result) @ self.mean


def rounded_to(values: NDArray[np.float64], step: float, largest: float) -> NDArray[np.float64]:
    """Return the nearest multiples of a step within a range."""
    most = largest // step
    return np.asarray(np.clip(np.rint(values / step), -most, most) * step)
