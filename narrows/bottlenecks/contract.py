"""What a bottleneck is: the narrow place, from what the encoder says to the code that the decoder gets."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from narrows.bottlenecks.diagonal_normal import DiagonalNormal
from narrows.numerics.record_noise import Noise
from narrows.parts.part import Part

__all__ = ["Bottleneck", "BottleneckModule", "Code"]


@dataclass(frozen=True)
class Code:
    """What comes out of a bottleneck for n records.

    Attributes
    ----------
    z : Tensor of shape (n, *z_shape)
        The code, the decoder's input.
    cost : Tensor of shape (n,)
        What the code costs, in nats; zero where the bottleneck charges nothing.
    symbols : Tensor of shape (n, ...), integers, or None
        The code as whole numbers, where the bottleneck has such.
    """

    z: Tensor
    cost: Tensor
    symbols: Tensor | None = None


class BottleneckModule(nn.Module, ABC):
    """A bottleneck at work on codes of one shape.

    Attributes
    ----------
    h_shape : tuple of int
        Shape of what the encoder must deliver for one record.
    z_shape : tuple of int
        Shape of the code of one record.
    draws : bool
        Whether codes are draws from a distribution, so that the loss is one only of drawn codes.
    normal_prior : bool
        Whether the codes of all records together are drawn towards N(0, I), so that others drawn there decode.
    couples_records : bool
        Whether the code or the cost of a record in training depends on the others of its batch, or each batch changes
        the bottleneck. Such batches are not cut into shards.
    """

    draws: bool = False
    normal_prior: bool = False
    couples_records: bool = False

    def __init__(self, h_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.h_shape, self.z_shape = h_shape, z_shape

    @property
    def n_numbers(self) -> int:
        """How many numbers tell the code of one record."""
        return math.prod(self.z_shape)

    @abstractmethod
    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        """Return the code of each record.

        Parameters
        ----------
        h : Tensor of shape (n, *h_shape)
            What the encoder says.
        generator : Generator or RecordNoise, optional
            Where noise comes from, in training; where codes are draws, in measurements besides. Without it nothing is
            random.
        """

    def posterior(self, h: Tensor) -> DiagonalNormal | None:
        """Return the distribution that codes are drawn from, given h (n, *h_shape); None where they are no draws."""
        return None

    def nearest_code(self, z: Tensor) -> Tensor:
        """Return what can be a code for any numbers z (n, *z_shape); most codes can be anything."""
        return z

    def unquantised(self, h: Tensor) -> Tensor:
        """Return the code before any rounding, (n, *z_shape): what the codec cuts into steps.

        A bottleneck that only chooses among codes returns its symbols (n, ...), as floats: they are whole already.
        """
        z: Tensor = self(h).z
        return z


class Bottleneck(Part, ABC, axis="bottleneck"):
    """Settings of a bottleneck."""

    @abstractmethod
    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        """Return the bottleneck for codes of this shape."""
