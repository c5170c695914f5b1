"""Quantisation of codes for archives: steps, entropy models, and the candidates to measure.

A bottleneck proposes quantisations (`BottleneckModule.quantisations`), and the codec measures each of them on training
records.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrows.codec.arithmetic import HIGHEST, LOWEST
from narrows.codec.entropy_models import MAX_SYMBOL, EntropyModel, Independent
from narrows.codec.operating_point import to_symbols
from narrows.codec.operations import Codebook, Rescale, Reshape, Transpose
from narrows.codec.program import Program

__all__ = ["Codewords", "Distortion", "Quantisation", "Scaling", "by_sensitivity"]

_ADDED_ERROR = tuple(2.0**-k for k in range(-3, 7))
"""Added error of each quantisation, relative to the error of the model, from coarse to fine."""

_COARSEST = 1 / 3  # largest added error, relative to the variance that the code restores
_FINE = 1e-3  # relative to the same variance; if all usual errors are below it, larger ones are 3 dB apart
_WIDE = 1e-5  # except those below this

_NOTHING = 1e-6  # relative to the model's error; a latent dimension with a smaller effect is not used
_LARGEST_SHIFT = 30
_PRECISION = 12


class Distortion(Protocol):
    """Measures how changes of the codes of some training records change the decoder's output.

    Attributes
    ----------
    codes : Tensor of shape (n, *z_shape)
        The codes of these records before any rounding.
    psnr : float or None
        The target PSNR in dB of training; None if the model was trained without a target.
    """

    @property
    def codes(self) -> Tensor: ...

    @property
    def psnr(self) -> float | None: ...

    def error(self, z: Tensor) -> float:
        """Return the squared error of the records restored from codes z, summed over the preprocessed values of a
        record and averaged over records.
        """

    def psnr_of(self, z: Tensor) -> float:
        """Return the PSNR in dB of the records restored from codes z, for preprocessed values in [0, 1]."""

    def gains(self) -> NDArray[np.float64]:
        """Return the ratio of the squared change of the output to that of each latent dimension, (n_symbols,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantisation(ABC):
    """A map from codes to whole numbers, the symbols.

    Attributes
    ----------
    steps : ndarray of shape (n_symbols,)
        Quantisation steps. The symbol of a number is number / step, rounded to the nearest whole number.
    entropy : EntropyModel
        Model of the distribution of the symbols, fitted to training records.
    trained_for : bool
        Whether the model was trained with this quantisation. Such a quantisation is the default.
    """

    steps: NDArray[np.float64]
    entropy: EntropyModel
    trained_for: bool = False

    @abstractmethod
    def program(self, shift: int, z_shape: tuple[int, ...]) -> Program:
        """Return the integer program from symbols (n, n_symbols) to codes (n, *z_shape) in units of 2^-shift."""


class Scaling(Quantisation):
    """The code is the symbols multiplied by their steps."""

    def program(self, shift: int, z_shape: tuple[int, ...]) -> Program:
        wanted = self.steps * 2.0**shift  # multipliers with up to 31 bits
        down = min(max(30 - math.frexp(float(wanted.max()))[1], 0), _LARGEST_SHIFT)
        multipliers = np.clip(np.rint(wanted * 2.0**down), 1, 2**31 - 1)
        return Program((len(wanted),), (Rescale(multipliers.astype(np.int32), down), Reshape(z_shape)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Codewords(Quantisation):
    """Symbols are indices of codewords.

    Attributes
    ----------
    codebook : ndarray of shape (n_codes, dim)
        The codewords.
    vectors : (int, int)
        Number of groups, and of vectors in each group. The symbols of a record have the order (group, vector), and the
        numbers of its code have the order (group, number, vector).
    """

    codebook: NDArray[np.float64]
    vectors: tuple[int, int]

    def program(self, shift: int, z_shape: tuple[int, ...]) -> Program:
        table = np.clip(np.rint(np.ldexp(self.codebook, shift)), LOWEST, HIGHEST).astype(np.int16)
        layout = (Reshape((*self.vectors, table.shape[1])), Transpose((0, 2, 1)), Reshape(z_shape))
        return Program((len(self.steps),), (Codebook(table), *layout))


def by_sensitivity(codes: NDArray[np.float64], distortion: Distortion) -> list[Quantisation]:
    """Return quantisations of codes (n, n_symbols), from coarse to fine, with steps that depend on their effect.

    Let g_d be the mean squared change of the output if number d of the code changes by one. The steps Δ_d = c / √g_d
    add the same error c² / 12 for each number, which is optimal at high rates. Each quantisation has another c: the
    coarsest adds a third of the variance that the code restores, or eight times the error of the model, the finest a
    small fraction of this error.
    """
    gains = distortion.gains()
    error = distortion.error(distortion.codes)
    effects = gains * np.square(codes.std(0))
    unit = _power_of_four(float(effects.mean()))
    matters = effects > _NOTHING * max(error, 1e-30 * unit)
    largest = np.abs(codes).max(0)
    # The step of a number without effect is eight times its largest magnitude, so its symbol is always 0.
    idle = 8 * np.where(largest > 0, largest, 1e-6)
    quantisations: list[Quantisation] = []
    own = max(error, 1e-12 * unit)
    for added in (*_coarser(own, float(effects.sum())), *_ADDED_ERROR):
        c = math.sqrt(12 * own * added / max(int(matters.sum()), 1))
        steps = np.where(matters, c / np.sqrt(np.where(matters, gains, 1.0)), idle)
        steps = np.maximum(steps, np.where(largest > 0, largest / MAX_SYMBOL, 1e-9))
        entropy = Independent.fit(to_symbols(codes, steps), precision=_PRECISION)
        quantisations.append(Scaling(steps=steps, entropy=entropy))
    return quantisations


def _coarser(error: float, variance: float) -> list[float]:
    """Return larger added errors than the usual ones, up to a third of the variance, descending.

    They are relative to the error of the model. If all usual ones are small relative to the variance, the larger ones
    are 3 dB apart, as the usual ones are, or 6 dB where they are very small, since fine qualities have large tables.
    Otherwise they are 6 dB apart.
    """
    added, larger = _ADDED_ERROR[0], list[float]()
    if error <= 0:
        return larger
    is_fine = error * added < _FINE * variance
    while True:
        added *= 2 if is_fine and error * added >= _WIDE * variance else 4
        if error * added > _COARSEST * variance:
            return larger[::-1]
        larger.append(added)


def _power_of_four(square: float) -> float:
    """Return the power of four nearest to a squared effect, 1 for 0: the unit of squared errors that are rounding."""
    return 4.0 ** round(math.log2(square) / 2) if square > 0 else 1.0
