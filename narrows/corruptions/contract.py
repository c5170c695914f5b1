"""The contract of corruptions: noise on the input that the autoencoder learns to remove."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Generator, Tensor

from narrows.parts.part import Part

__all__ = ["Corruption"]


class Corruption(Part, ABC, axis="corruption"):
    """Corrupts records, so that an autoencoder trained to restore the clean ones learns more than the identity.

    Used in training, or on request. It is applied after preprocessing, so that images have values in [0, 1] with
    ``unit-scale``.
    """

    needs_columns: ClassVar[bool] = False
    """Whether records must be rows of a table, whose cells may be missing."""
    for_images: ClassVar[bool] = False
    """Whether records must be images."""

    @abstractmethod
    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
            Preprocessed records.
        generator : Generator
            Source of all randomness, on the device of ``x``.

        Returns
        -------
        x_tilde : Tensor of shape (n, *shape)
        """
