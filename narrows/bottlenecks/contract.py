"""The contract of bottlenecks, which map the encoder's output to the code."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.bottlenecks.diagonal_normal import DiagonalNormal
from narrows.bottlenecks.quantisation import Distortion, Quantisation, by_sensitivity
from narrows.numerics.record_noise import Noise
from narrows.parts.part import Part

__all__ = ["Bottleneck", "BottleneckModule", "Code"]


@dataclass(frozen=True)
class Code:
    """The output of a bottleneck for n records.

    Attributes
    ----------
    z : Tensor of shape (n, *z_shape)
        The code, the decoder's input.
    cost : Tensor of shape (n,)
        Cost of the code in nats; zero if the bottleneck has no cost.
    symbols : Tensor of shape (n, ...), integers, or None
        The code as whole numbers; None if the bottleneck does not quantise.
    """

    z: Tensor
    cost: Tensor
    symbols: Tensor | None = None


class BottleneckModule(nn.Module, ABC):
    """The module of a bottleneck, for codes of one shape.

    Attributes
    ----------
    h_shape : tuple of int
        Shape of the encoder's output for one record.
    z_shape : tuple of int
        Shape of the code of one record.
    draws : bool
        Whether codes are drawn from a distribution. The loss is then an expectation over random codes.
    normal_prior : bool
        Whether training makes the codes of all records together follow N(0, I), so that draws from N(0, I) can be
        decoded.
    rate_weight : float
        Weight of the rate of the code in its cost; 0: the code has no rate.
    couples_records : bool
        Whether, in training, the code or the cost of a record depends on the other records of its batch, or each batch
        changes the bottleneck. Such batches are not split into shards.
    needs_whole_batch : bool
        Whether one process must have all records of a batch, so that several processes cannot train together.
    """

    draws: bool = False
    normal_prior: bool = False
    rate_weight: float = 0.0
    couples_records: bool = False
    needs_whole_batch: bool = False

    def __init__(self, h_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.h_shape, self.z_shape = h_shape, z_shape

    @property
    def n_symbols(self) -> int:
        """The length of the code of one record: how many numbers or symbols it has."""
        return math.prod(self.z_shape)

    @property
    def n_codes(self) -> int | None:
        """Number of codewords, if the symbols of a code are indices of codewords; otherwise None."""
        return None

    @abstractmethod
    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        """Return the code of each record.

        Parameters
        ----------
        h : Tensor of shape (n, *h_shape)
            The encoder's output.
        generator : Generator or RecordNoise, optional
            Source of noise in training, and in measurements if codes are drawn. Without it the code is deterministic.
        """

    def posterior(self, h: Tensor) -> DiagonalNormal | None:
        """Return the distribution of the codes, given h (n, *h_shape); None if codes are not drawn."""
        return None

    def project(self, z: Tensor) -> Tensor:
        """Return the codes nearest to z (n, *z_shape) that the bottleneck can produce; by default z itself."""
        return z

    def continuous_code(self, h: Tensor) -> Tensor:
        """Return the values (n, ...) that the archive codec quantises: the code before any rounding.

        A bottleneck that chooses codewords from a codebook returns their indices (n, ...) as floats.
        """
        z: Tensor = self(h).z
        return z

    def continuous_to_z(self, code: Tensor) -> Tensor:
        """Return the decoder's input (n, *z_shape) for a continuous code (n, ...); see `continuous_code`."""
        return code

    def symbols_to_z(self, symbols: Tensor) -> Tensor:
        """Return the codes (n, *z_shape) of symbols (n, ...); by default the symbols are the values of the code."""
        return symbols.to(torch.get_default_dtype())

    def quantisations(self, codes: NDArray[np.float64], distortion: Distortion) -> list[Quantisation]:
        """Return the quantisations of the code that the codec measures, from coarse to fine.

        By default there are ten. The step of each latent dimension depends on its effect on the decoder's output.

        Parameters
        ----------
        codes : ndarray of shape (n, n_symbols)
            `continuous_code` of training records.
        distortion : Distortion
            Measures how changes of the codes of some of these records change the decoder's output.
        """
        return by_sensitivity(codes, distortion)

    def metrics(self, codes: Callable[[], NDArray[np.float64]]) -> dict[str, float]:
        """Return additional metrics of the codes of records, by name; by default none.

        Parameters
        ----------
        codes : callable
            Returns `continuous_code` of the records, (n, n_symbols).
        """
        return {}


class Bottleneck(Part, ABC, axis="bottleneck"):
    """Settings of a bottleneck."""

    h_per_z: ClassVar[int] = 1
    """How many numbers of the encoder's output each number of the code needs; they are on the first axis."""

    @abstractmethod
    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        """Return the bottleneck for codes of this shape."""
