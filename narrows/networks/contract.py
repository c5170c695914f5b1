"""What a network is: the pair of encoder and decoder, which own every weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Generator

from narrows.errors import InvalidParameterError
from narrows.networks.activations import INVERTIBLE, activation
from narrows.networks.linear_path import LinearPathDecoder, LinearPathEncoder
from narrows.networks.modules import Decoder, Encoder, Layer, Sizes, Switches
from narrows.parts.options import Flag, option
from narrows.parts.part import Part

__all__ = ["Decoder", "Encoder", "Layer", "Network", "Sizes", "Switches"]

_LINEAR_OUTPUTS = ("identity", "soft-clip")  # under which a linear decoder restores as PCA does


class Network(Part, ABC, axis="network"):
    """Settings of an encoder and its decoder.

    Attributes
    ----------
    for_images : bool
        Whether records must be images, whose neighbouring values belong together.
    """

    for_images: ClassVar[bool] = False

    start_at_mean: bool = option(
        Flag(),
        "start the decoder at the mean of the training data by its last bias, instead of zero",
        default=False,
    )
    linear_path: bool = option(
        Flag(),
        "a linear path beside the network, in encoder and decoder, that starts at the principal components of the "
        "training data; the network's last layers start at zero",
        default=False,
    )

    def _check(self) -> None:
        super()._check()
        code = getattr(self, "code_activation", "identity")
        if self.linear_path and code != "identity":
            raise InvalidParameterError(
                f"The 'linear_path' of {type(self).__name__} ends in the code itself, so it needs "
                f"code_activation='identity'. Got {code!r}."
            )
        if self.linear_path and self.start_at_mean:
            raise InvalidParameterError(
                f"The 'linear_path' of {type(self).__name__} starts at the mean of the data anyway. "
                "Set start_at_mean=False."
            )
        output = getattr(self, "output_activation", "identity")
        if self.linear_path and output not in _LINEAR_OUTPUTS:
            raise InvalidParameterError(
                f"The 'linear_path' of {type(self).__name__} needs an output activation that is one of "
                f"{', '.join(_LINEAR_OUTPUTS)}. Got {output!r}."
            )
        if self.start_at_mean and not INVERTIBLE.accepts(output):
            raise InvalidParameterError(
                f"The 'start_at_mean' of {type(self).__name__} needs an output activation that is {INVERTIBLE}. "
                f"Got {output!r}."
            )

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        """Return the shape of the code for records of a shape.

        Parameters
        ----------
        shape : tuple of int
            Shape of one record.
        n_latent : int or None
            Numbers in the code. None leaves the choice to the network, or fails where it has none.

        Raises
        ------
        InvalidParameterError
            If the network cannot make a code of that many numbers.
        """
        assert n_latent is not None, "networks without a natural code size are given one"
        return (n_latent,)

    def build(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        """Return encoder and decoder, their weights drawn from the generator; with a linear path where there is one.

        Returns
        -------
        encoder : Encoder
            From x, Tensor of shape (n, *shape), to h, Tensor of shape (n, *h_shape).
        decoder : Decoder
            From z, Tensor of shape (n, *z_shape), to the likelihood's parameters.

        Raises
        ------
        InvalidParameterError
            If these settings cannot connect these sizes.
        """
        if not self.linear_path:
            return self.connect(sizes, generator)
        output = activation(getattr(self, "output_activation", "identity"))
        if self.is_linear:
            return LinearPathEncoder(None, sizes), LinearPathDecoder(None, sizes, output)
        beside = self.clone()
        beside.linear_path = False
        if hasattr(beside, "output_activation"):
            beside.output_activation = "identity"
        encoder, decoder = beside.connect(sizes, generator)
        return LinearPathEncoder(encoder, sizes), LinearPathDecoder(decoder, sizes, output)

    @property
    def is_linear(self) -> bool:
        """Whether encoder and decoder are one layer each, so that a linear path is all there is to them."""
        return False

    @abstractmethod
    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        """Return encoder and decoder as `build` does, without any linear path."""

    def layers(self, encoder: Encoder, decoder: Decoder) -> list[Layer]:
        """Return the layers of what `build` returned, from the input on, each with the one that goes back over it.

        Raises
        ------
        InvalidParameterError
            If the decoder does not mirror the encoder layer by layer.
        """
        raise InvalidParameterError(
            f"Layers are trained one by one in a network of mirrored dense layers. Got network='{self.name}'. "
            "Set network='dense', or pretraining=None."
        )
