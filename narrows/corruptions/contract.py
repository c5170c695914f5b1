"""What a corruption is: noise on the input that the autoencoder has to undo."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor

from narrows.parts.part import Part

__all__ = ["Corruption"]


class Corruption(Part, ABC, axis="corruption"):
    """Damages records, so that an autoencoder trained to restore the clean ones learns more than the identity.

    Used while training, or when a user asks for noise. It sees records after preprocessing: values in [0, 1] for
    images under ``unit-scale``.
    """

    @abstractmethod
    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a damaged copy.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
            Preprocessed records.
        generator : Generator
            Where all randomness comes from; on the device of ``x``.

        Returns
        -------
        x_tilde : Tensor of shape (n, *shape)
        """
