"""A causal network in integer arithmetic: predicts each value of an image from the values decoded before it.

For images of integers with C channels, coded pixel by pixel, row by row, channel by channel within a pixel. The network
of channel c has two hidden layers. Its inputs are the preceding pixels within reach, and the channels before c of the
same pixel; x is a value minus the lowest value, 0 beyond the edge::

    e = rows[c, i] + columns[c, j] + Σ_k weights_1[c, k] x_k          a = ⌊e / 2^shifts_0⌋ within 0 … 32767
    f = biases_2[c] + Σ weights_2[c] a                                b = ⌊f / 2^shifts_1⌋ within 0 … 32767
    o = biases_3[c] + Σ weights_3[c] b                                K logits, then K means, then K scales
    logit = ⌊o / 2^shifts_2⌋ in 1/32 nats      mean = ⌊o / 2^shifts_3⌋ in sixteenths of a value, relative to the lowest
    scale = ⌊o / 2^shifts_4⌋, an index of residual/mixture.py, for values

    weight_k = ⌊2^15 EXP[min(largest logit - logit_k, 511)] / Σ_k EXP[…]⌋; the first largest gets the remainder to 2^15

If there are levels, the network is for the positions of the values in this list, from 0 to highest.

The constructor checks that sums stay below 2^53, so that float64 is exact (see codec/arithmetic.py). If all sums fit 32
bits, compiled kernels compute the same faster with 16-bit integers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.causal_kernel import NarrowCausal
from narrows.codec.residual.causal_run import MOST_ACTIVE, MOST_INPUT, CausalRun
from narrows.codec.residual.causal_window import window
from narrows.codec.residual.contract import Lattice
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.levels import Levels
from narrows.codec.residual.mixture import MAX_COMPONENTS
from narrows.codec.validation import check_array, check_number, stored_array, stored_number
from narrows.errors import InvalidParameterError, ModelFileError
from narrows.records.image_layout import ImageLayout

__all__ = ["FrozenCausal", "as_image", "window"]

ImageGrid = tuple[int, int, int]

_EXACT = 1 << 53
_MOST_HIDDEN, _MOST_REACH, _MOST_SHIFT = 1024, 16, 52
_MOST_SEEN = 1 << 24  # inputs of the networks at all values of a record
_MOST_WORK = 1 << 36  # multiplications per record: minutes
_SPREAD, _GOLDEN_VALUES = 40_503, 256


def as_image(shape: tuple[int, ...]) -> tuple[ImageGrid, NDArray[np.int64]]:
    """Return (height, width, channels) of image records, and the coding order of their values, as flat indices.

    Raises
    ------
    ModelFileError
        If records of this shape are not images.
    """
    try:
        layout = ImageLayout.of(shape)
    except InvalidParameterError:
        raise ModelFileError(f"A residual model is for images. Got records of shape {shape}.") from None
    flat = np.arange(math.prod(shape)).reshape(shape)
    if layout.axis == "first":
        flat = flat.transpose(1, 2, 0)
    return (layout.height, layout.width, layout.channels), flat.ravel()


@dataclass(frozen=True, eq=False)
class FrozenCausal:
    """The networks of C channels, each with n inputs, H hidden units and K components.

    Attributes
    ----------
    lowest, highest : int
        Range of the values.
    reach : int
        The distance of the furthest inputs up, left and right, in pixels.
    weights_1 : ndarray of shape (C, n, H), int16
    rows : ndarray of shape (C, height, H), int64
    columns : ndarray of shape (C, width, H), int64
    weights_2 : ndarray of shape (C, H, H), int16
    biases_2 : ndarray of shape (C, H), int64
    weights_3 : ndarray of shape (C, H, 3 K), int16
    biases_3 : ndarray of shape (C, 3 K), int64
    shifts : ndarray of shape (5,), int64
    levels : ndarray of shape (highest + 1,), int64, or None
        The values that the records have, in ascending order; the lowest is 0 then. None: the values are coded.

    Raises
    ------
    ModelFileError
        If the arrays do not fit together, or a sum could reach 2^53.
    """

    lowest: int
    highest: int
    reach: int
    weights_1: NDArray[np.int16]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights_2: NDArray[np.int16]
    biases_2: NDArray[np.int64]
    weights_3: NDArray[np.int16]
    biases_3: NDArray[np.int64]
    shifts: NDArray[np.int64]
    levels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_number("lowest", self.lowest, -(1 << 31), 1 << 31)
        check_number("highest", self.highest, self.lowest + 1, self.lowest + MOST_INPUT)
        check_number("reach", self.reach, 1, _MOST_REACH)
        check_array("weights_1", self.weights_1, np.int16, (None, None, None))
        c, n, h = self.weights_1.shape
        if not 1 <= h <= _MOST_HIDDEN or not 1 <= c <= 4 or n != len(window(self.reach, c)[0]):
            raise ModelFileError(
                f"The residual model must have 1 to 4 channels, 1 to {_MOST_HIDDEN} hidden units, and "
                f"the inputs within its reach of {self.reach}. Got {c} channels, {h} hidden units and {n} inputs."
            )
        check_array("rows", self.rows, np.int64, (c, None, h))
        check_array("columns", self.columns, np.int64, (c, None, h))
        check_array("weights_2", self.weights_2, np.int16, (c, h, h))
        check_array("biases_2", self.biases_2, np.int64, (c, h))
        check_array("weights_3", self.weights_3, np.int16, (c, h, None))
        outputs = self.weights_3.shape[2]
        if outputs % 3 or not 3 <= outputs <= 3 * MAX_COMPONENTS:
            raise ModelFileError(
                f"The outputs of the residual model must be 3 for each of 1 to {MAX_COMPONENTS} "
                f"components. Got {outputs}."
            )
        check_array("biases_3", self.biases_3, np.int64, (c, outputs))
        check_array("shifts", self.shifts, np.int64, (5,))
        if self.shifts.min() < 0 or self.shifts.max() > _MOST_SHIFT:
            raise ModelFileError(
                f"The shifts of the residual model must be from 0 to {_MOST_SHIFT}. Got {self.shifts.tolist()}."
            )
        if math.prod(self.grid) * n > _MOST_SEEN:
            raise ModelFileError(
                f"The residual model has {math.prod(self.grid) * n:,} inputs per record. Allowed: {_MOST_SEEN:,}."
            )
        if math.prod(self.grid) * self.work > _MOST_WORK:
            raise ModelFileError(
                "The residual model needs "
                f"{math.prod(self.grid) * self.work:,} multiplications per record. Allowed: 2^36."
            )
        if self.levels is not None:
            _check_levels(self.levels, self.lowest, self.highest)
        if self.largest_sum() >= _EXACT:
            raise ModelFileError("The weights of the residual model are too large: a sum could reach 2^53.")

    @property
    def grid(self) -> ImageGrid:
        """Height, width and channels."""
        return self.rows.shape[1], self.columns.shape[1], len(self.weights_1)

    @property
    def n_components(self) -> int:
        """K, the number of components of the mixtures."""
        return int(self.weights_3.shape[2]) // 3

    @property
    def work(self) -> int:
        """The number of multiplications for one value."""
        n, h = (int(length) for length in self.weights_1.shape[1:])
        return h * (n + h + 3 * self.n_components)

    def grid_of(self, bound: ErrorBound) -> ErrorBound:
        """Return the integers that the network predicts for records within a bound; with levels it is lossless."""
        if self.levels is None:
            return bound
        return Levels(bound.dtype, 0, bound.fill_value, levels=tuple(self.levels.tolist()))

    def largest_sum(self, highest: int = MOST_INPUT) -> float:
        """Return an upper bound of all sums, for values of at most ``highest`` above the lowest."""
        sums = [
            np.abs(self.rows.astype(np.float64)).max(1)
            + np.abs(self.columns.astype(np.float64)).max(1)
            + highest * np.abs(self.weights_1.astype(np.float64)).sum(1),
            np.abs(self.biases_2.astype(np.float64)) + MOST_ACTIVE * np.abs(self.weights_2.astype(np.float64)).sum(1),
            np.abs(self.biases_3.astype(np.float64)) + MOST_ACTIVE * np.abs(self.weights_3.astype(np.float64)).sum(1),
        ]
        return max(float(sum_.max(initial=0)) for sum_ in sums)

    def is_narrow(self, highest: int) -> bool:
        """Return whether all sums fit 32 bits for values of at most ``highest`` above the lowest."""
        return 0 <= highest < 1 << 15 and self.largest_sum(highest) < 1 << 31 and int(self.shifts.max()) < 32

    @cached_property
    def narrow(self) -> NarrowCausal:
        """The network as the compiled kernels take it; only if `is_narrow`."""
        return NarrowCausal(self)

    def digest(self) -> str:
        """Return the SHA-256 of the network's outputs for two golden records with scattered values."""
        n = math.prod(self.grid)
        records = np.arange(2 * n, dtype=np.int64).reshape(n, 2) * _SPREAD % (self.highest - self.lowest + 1)
        lattice = Lattice(np.zeros((n, 2), np.int64), 1, self.lowest, self.highest, has_code=False)
        run, digest = self.start(lattice), hashlib.sha256()
        for values in records[:_GOLDEN_VALUES] + self.lowest:
            mixture = run.predict()
            for parameters in (mixture.weights, mixture.means, mixture.scales):
                digest.update(parameters.astype("<i8").tobytes())
            run.update(values)
        return digest.hexdigest()

    def start(self, lattice: Lattice, *, dtype: type[np.float64 | np.int64] = np.float64) -> CausalRun:
        """Return a run over the records of a lattice, with values in the order of `as_image`."""
        return CausalRun(self, lattice, np.dtype(dtype))

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays from which `from_tensors` makes the same network."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if values["levels"] is None:
            del values["levels"]
        settings = {name: value for name, value in values.items() if isinstance(value, int)}
        return settings, {name: value for name, value in values.items() if name not in settings}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network of `to_tensors`; raises ModelFileError if settings or arrays are invalid."""
        values: dict[str, Any] = {
            name: stored_number(settings, name, -(1 << 31), 1 << 32) for name in ("lowest", "highest", "reach")
        }
        arrays = [field.name for field in fields(cls) if field.name not in values]
        if "levels" not in tensors:
            arrays.remove("levels")
        return cls(**values | {name: stored_array(tensors, name) for name in arrays})


def _check_levels(levels: NDArray[np.int64], lowest: int, highest: int) -> None:
    check_array("levels", levels, np.int64, (None,))
    if lowest or len(levels) != highest + 1 or (np.diff(levels) <= 0).any() or levels[0] < 0 or levels[-1] > MOST_INPUT:
        raise ModelFileError(
            f"The levels of the residual model must be {highest + 1} ascending numbers from 0 to {MOST_INPUT}."
        )
