"""Coarser weights of an integer decoder, which take fewer bytes, as far as they hardly change its records.

Weights and biases of a tensor become multiples of a step. The squared error of the output grows with the square of the
step, so one trial for each tensor gives the steps with which the tensors share a given error: in proportion to their
sizes, which takes the fewest bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.freezing.coarse_weights import Rounder, rounded_to
from narrows.codec.operations import Operation
from narrows.codec.operations.branches import Branches
from narrows.codec.operations.convolutions import Convolution
from narrows.codec.operations.dense import Dense
from narrows.codec.program import Program
from narrows.errors import ModelFileError

__all__ = ["MOST_RECORDS", "coarser_decoder"]

_TRIED_RECORDS, _TRIED_WORK = 1024, 1 << 34  # of the codes with which programs are compared
MOST_RECORDS = 8192
"""The number of codes that are of use."""

_MOST_WORK = 1 << 36
_TRIED_SHARE, _FEWEST_RECORDS = 4, 1000  # others are tried than those whose inputs are known
_MOST_PATCHES, _MOST_INPUTS = 16_384, 2_304  # of a layer whose errors are compensated
_TRIED = 0.5  # step of a trial, relative to the standard deviation of a tensor
_COARSEST = 2.0  # largest step, likewise
_ROUNDS = 3
_MOST_WEIGHT, _MOST_BIAS = 32_767, 1 << 50


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer with weights: the names of its tensors, and what rounds its weights."""

    weights: str
    biases: str
    rounder: Rounder | None


def coarser_decoder(
    program: Program, codes: NDArray[np.int16], most_error: float, scale: NDArray[np.float64]
) -> Program:
    """Return a program with coarser weights, whose outputs differ at most by the given mean squared error.

    Parameters
    ----------
    program : Program
        The decoder.
    codes : ndarray of shape (n, *in_shape), integers
        Codes of training records, as inputs of the program.
    most_error : float
        The largest mean squared difference of the outputs, each multiplied by its scale.
    scale : ndarray that broadcasts to (n, *out_shape)
        The scale of each output.
    """
    codes = codes[: max(2, min(MOST_RECORDS, _MOST_WORK // program.work))]
    if most_error <= 0 or len(codes) < _FEWEST_RECORDS:
        return program
    return _Search(program, codes, scale).within(most_error)


class _Search:
    def __init__(self, program: Program, codes: NDArray[np.int16], scale: NDArray[np.float64]) -> None:
        n_tried = max(1, min(_TRIED_RECORDS, _TRIED_WORK // program.work, len(codes) // _TRIED_SHARE))
        self._program, self._codes = program, codes[:n_tried]
        self._scale = scale
        self._settings, self._tensors = program.to_tensors()
        self._expected = program.run(self._codes).astype(np.float64)
        self.layers = _layers(program, codes[n_tried:], self._settings["operations"])

    def within(self, most_error: float) -> Program:
        """Return the program with the coarsest weights within an error."""
        costs = {name: cost for name in self._names() if (cost := self._cost(name)) > 0}
        size = sum(self._tensors[name].size for name in costs)
        best, share = self._program, 1.0
        for _ in range(_ROUNDS):
            steps = {
                name: self._step(name, math.sqrt(share * most_error * self._tensors[name].size / size / cost))
                for name, cost in costs.items()
            }
            program = self._with(steps)
            error = self._error(program)
            if error <= most_error:
                best = program
            share *= min(1.5, max(0.3, 0.97 * most_error / max(error, most_error / 100)))
        return best

    def _step(self, name: str, step: float) -> int:
        """Return a step as a whole number, with which some of a tensor's numbers stay above 0."""
        return max(1, math.floor(min(step, _COARSEST * float(self._tensors[name].std()))))

    def _names(self) -> list[str]:
        return [name for layer in self.layers for name in (layer.weights, layer.biases)]

    def _cost(self, name: str) -> float:
        """Return the error that a step of 1 of a tensor adds, by a trial with a large step; 0 if none is possible."""
        step = math.floor(_TRIED * float(self._tensors[name].std()))
        return self._error(self._with({name: step})) / step**2 if step > 1 else 0.0

    def _error(self, program: Program) -> float:
        return float(np.square((program.run(self._codes) - self._expected) * self._scale).mean())

    def _with(self, steps: dict[str, int]) -> Program:
        """Return the program with steps for some of the tensors; the exact one if a sum could be too large."""
        tensors = dict(self._tensors)
        for layer in self.layers:
            weights, biases = self._tensors[layer.weights], self._tensors[layer.biases].astype(np.float64)
            if layer.weights in steps:
                flat = weights.reshape(len(weights), -1).astype(np.float64)
                step = steps[layer.weights]
                if layer.rounder is None:
                    flat = rounded_to(flat, step, _MOST_WEIGHT)
                else:
                    flat, more = layer.rounder.rounded(flat, step, _MOST_WEIGHT)
                    biases = np.rint(biases + more)
                tensors[layer.weights] = flat.reshape(weights.shape).astype(np.int16)
            if layer.biases in steps:
                biases = rounded_to(biases, steps[layer.biases], _MOST_BIAS)
            tensors[layer.biases] = biases.astype(np.int64)
        try:
            return Program.from_tensors(self._settings, tensors)
        except ModelFileError:
            return self._program


def _layers(program: Program, codes: NDArray[np.int16], described: list[dict[str, Any]]) -> list[_Layer]:
    """Return the layers of a program whose tensors no other layer has."""
    found = list(_walk(program.operations, described, codes))
    named = [name for layer in found for name in (layer.weights, layer.biases)]
    return [layer for layer in found if named.count(layer.weights) == named.count(layer.biases) == 1]


def _walk(operations: Sequence[Operation], described: list[dict[str, Any]], x: NDArray[np.int16]) -> Iterator[_Layer]:
    """Yield the layers of operations with inputs x, also those in branches."""
    for operation, settings in zip(operations, described, strict=True):
        if isinstance(operation, Branches):
            for branch, of_branch in zip(operation.branches, settings["branches"], strict=True):
                yield from _walk(branch, of_branch, x)
        elif "weights" in settings:
            yield _Layer(settings["weights"], settings["biases"], _rounder(operation, x))
        x = Program(x.shape[1:], [operation]).run(x)


def _rounder(operation: Operation, x: NDArray[np.int16]) -> Rounder | None:
    """Return what rounds the weights of a layer with inputs x; None if errors are not compensated."""
    if isinstance(operation, Dense):
        inputs = x
    elif isinstance(operation, Convolution):
        inputs = _patches(operation, x)
    else:
        return None
    if inputs.shape[1] > _MOST_INPUTS:
        return None
    return Rounder(inputs[:: max(1, len(inputs) // _MOST_PATCHES)].astype(np.float64))


def _patches(operation: Convolution, x: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the inputs (n, in · kh · kw) of each place of the result of a convolution of maps (n, h, w, in)."""
    _, _, kh, kw = operation.weights.shape
    p0, p1 = operation.padding
    x = x[: max(1, _MOST_PATCHES * 4 // (x.shape[1] * x.shape[2]))]
    padded = np.pad(x, ((0, 0), (p0, p0), (p1, p1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), (1, 2))  # (n, h, w, in, kh, kw)
    places = (
        windows.reshape(-1, *windows.shape[3:])
        if windows.size < 1 << 24
        else windows[:, ::2, ::2].reshape(-1, *windows.shape[3:])
    )
    return places.reshape(len(places), -1)
