"""The contract of bottlenecks, which make the code from the encoder's output."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

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
        The code as whole numbers, if the bottleneck has them.
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
        Whether codes are draws from a distribution, so that the loss is defined only for random codes.
    normal_prior : bool
        Whether training draws the codes of all records together towards N(0, I), so that other draws decode well.
    couples_records : bool
        Whether the code or the cost of a record in training depends on the others of its batch, or each batch changes
        the bottleneck. Such batches are not split into shards.
    """

    draws: bool = False
    normal_prior: bool = False
    couples_records: bool = False

    def __init__(self, h_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.h_shape, self.z_shape = h_shape, z_shape

    @property
    def n_symbols(self) -> int:
        """The number of numbers, or of symbols, in the code of one record."""
        return math.prod(self.z_shape)

    @abstractmethod
    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        """Return the code of each record.

        Parameters
        ----------
        h : Tensor of shape (n, *h_shape)
            The encoder's output.
        generator : Generator or RecordNoise, optional
            Source of noise in training, and in measurements if codes are draws. Without it nothing is random.
        """

    def posterior(self, h: Tensor) -> DiagonalNormal | None:
        """Return the distribution of the codes, given h (n, *h_shape); None if codes are not draws."""
        return None

    def project(self, z: Tensor) -> Tensor:
        """Return the nearest possible codes to z (n, *z_shape); for most bottlenecks that is z."""
        return z

    def continuous_code(self, h: Tensor) -> Tensor:
        """Return the values (n, ...) that the archive codec quantises: the code, before rounding where there is some.

        A bottleneck that chooses from a list of codes returns its symbols (n, ...) as floats.
        """
        z: Tensor = self(h).z
        return z

    def continuous_to_z(self, code: Tensor) -> Tensor:
        """Return the decoder's input (n, *z_shape) for what `continuous_code` returned."""
        return code

    def symbols_to_z(self, symbols: Tensor) -> Tensor:
        """Return the codes (n, *z_shape) with these symbols (n, ...); by default the symbols are the code's numbers."""
        return symbols.to(torch.get_default_dtype())

    def quantisations(self, codes: NDArray[np.float64], distortion: Distortion) -> list[Quantisation]:
        """Return ways to write the code as whole numbers, from coarse to fine.

        By default each number gets steps by how much it matters, in ten degrees of fineness.

        Parameters
        ----------
        codes : ndarray of shape (n, n_symbols)
            `continuous_code` of training records.
        distortion : Distortion
            What the decoder makes of changes in the codes of some of them.
        """
        return by_sensitivity(codes, distortion)

    def metrics(self, codes: Callable[[], NDArray[np.float64]]) -> dict[str, float]:
        """Return further metrics of records, by name; most bottlenecks have none.

        Parameters
        ----------
        codes : callable
            Returns `continuous_code` of the records, (n, n_symbols).
        """
        return {}


class Bottleneck(Part, ABC, axis="bottleneck"):
    """Settings of a bottleneck."""

    @abstractmethod
    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        """Return the bottleneck for codes of this shape."""
