"""The contract of networks: the pair of encoder and decoder, which own every weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Generator

from narrows.errors import InvalidParameterError
from narrows.networks.activations import INVERTIBLE, activation
from narrows.networks.linear_path import LinearPathDecoder, LinearPathEncoder
from narrows.networks.modules import Affine, Decoder, Encoder, LayerPair, Sizes, Switches
from narrows.parts.options import Boolean, option
from narrows.parts.part import Part

__all__ = ["Affine", "Decoder", "Encoder", "LayerPair", "Network", "Sizes", "Switches"]

_LINEAR_OUTPUTS = ("identity", "soft-clip")  # with these a linear decoder restores as PCA does


class Network(Part, ABC, axis="network"):
    """Settings of an encoder and its decoder.

    Attributes
    ----------
    for_images : bool
        Whether records must be images, whose neighbouring values are related.
    for_series : bool
        Whether records must be series, of shape (steps,) or (steps, channels).
    couples_records : bool
        Whether the outputs for a record in training depend on the others of its batch. Such a batch is not split.
    """

    for_images: ClassVar[bool] = False
    for_series: ClassVar[bool] = False
    couples_records: ClassVar[bool] = False

    start_at_mean: bool = option(
        Boolean(),
        "initialise the decoder's last bias so that its output is the mean of the training data, instead of zero",
        default=False,
    )
    linear_path: bool = option(
        Boolean(),
        "add a linear path to encoder and decoder, initialised with the principal components of the training data; "
        "the network's last layers start at zero",
        default=False,
    )

    def _check(self) -> None:
        super()._check()
        code = getattr(self, "code_activation", "identity")
        if self.linear_path and code != "identity":
            raise InvalidParameterError(
                f"The 'code_activation' of {type(self).__name__} must be 'identity' with linear_path=True, which "
                f"outputs the code itself. Got {code!r}. Change it, or set linear_path=False."
            )
        if self.linear_path and self.start_at_mean:
            raise InvalidParameterError(
                f"The 'start_at_mean' of {type(self).__name__} must be False with linear_path=True, which always "
                "starts at the mean of the data. Set start_at_mean=False."
            )
        output = getattr(self, "output_activation", "identity")
        if self.linear_path and output not in _LINEAR_OUTPUTS:
            raise InvalidParameterError(
                f"The 'output_activation' of {type(self).__name__} must be one of {', '.join(_LINEAR_OUTPUTS)} with "
                f"linear_path=True. Got {output!r}. Change it, or set linear_path=False."
            )
        if self.start_at_mean and not INVERTIBLE.accepts(output):
            raise InvalidParameterError(
                f"The 'output_activation' of {type(self).__name__} must be {INVERTIBLE} with start_at_mean=True. "
                f"Got {output!r}. Change it, or set start_at_mean=False."
            )

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        """Return the shape of the code for records of a shape.

        Parameters
        ----------
        shape : tuple of int
            Shape of one record.
        n_latent : int or None
            Latent dimension. None: the network chooses, or raises an error if it cannot.

        Raises
        ------
        InvalidParameterError
            If the network cannot output a code of that many numbers.
        """
        assert n_latent is not None, "networks without a natural code size need n_latent"
        return (n_latent,)

    def n_outputs(self, shape: tuple[int, ...]) -> int | None:
        """Return how many numbers the encoder outputs for a record of a shape; None if n_latent determines it."""
        return None

    def build(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        """Return encoder and decoder with random weights from the generator, and with a linear path if it is set.

        Returns
        -------
        encoder : Encoder
            From x, Tensor of shape (n, *shape), to h, Tensor of shape (n, *h_shape).
        decoder : Decoder
            From z, Tensor of shape (n, *z_shape), to the likelihood's parameters.

        Raises
        ------
        InvalidParameterError
            If the settings do not fit the sizes.
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
        """Whether encoder and decoder have one layer each, so that a linear path replaces them."""
        return False

    @abstractmethod
    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        """Return encoder and decoder as `build` does, without any linear path."""

    def layer_pairs(self, encoder: Encoder, decoder: Decoder) -> list[LayerPair]:
        """Return the layers of the networks from `build`, from the input on, each with the decoder's mirrored layer.

        Raises
        ------
        InvalidParameterError
            If the decoder does not mirror the encoder layer by layer.
        """
        raise InvalidParameterError(
            f"Layer-wise pretraining needs a network of mirrored dense layers. Got network='{self.name}'. "
            "Set network='dense', or pretraining=None."
        )
