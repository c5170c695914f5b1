"""The modules of a network, encoder and decoder, and the shapes of their inputs and outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from narrows.errors import InvalidParameterError, NotFreezableError
from narrows.networks.conditions import join
from narrows.numerics.column_scales import Levels

__all__ = ["Affine", "Decoder", "Encoder", "LayerPair", "Sizes", "Switches"]

Switches = tuple[Tensor, ...]
"""Positions of the maxima of each max-pooling layer, from input to code; empty for networks without switches."""


@dataclass(frozen=True)
class Sizes:
    """The shapes of the inputs and outputs of a network.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    h_shape : tuple of int
        Shape of the encoder's output for one record: the input of the bottleneck.
    z_shape : tuple of int
        Shape of the code of one record: the input of the decoder.
    out_shape : tuple of int, optional
        Shape of the decoder's output for one record, the likelihood's parameters; by default ``shape``.
    n_condition : int
        Length of the condition, an additional input of encoder and decoder; 0 for most models.
    columns : tuple of int or None
        For rows of a table: the number of categories of each column, 0 for numbers. None: other records.
    has_levels : bool
        Whether the encoder gets numbers of these rows on a scale that is measured, see `Encoder.set_levels`.
    """

    shape: tuple[int, ...]
    h_shape: tuple[int, ...]
    z_shape: tuple[int, ...]
    out_shape: tuple[int, ...] = ()
    n_condition: int = 0
    columns: tuple[int, ...] | None = None
    has_levels: bool = False

    def __post_init__(self) -> None:
        if not self.out_shape:
            object.__setattr__(self, "out_shape", self.shape)

    @property
    def n_parameters(self) -> int:
        """The number of parameters for each value: the length of the last axis of the output, 1 if it has no such axis.

        Raises
        ------
        InvalidParameterError
            If the first axes of the output are not those of a record. Networks for images cannot have such outputs.
        """
        if self.out_shape == self.shape:
            return 1
        if self.out_shape[:-1] == self.shape:
            return self.out_shape[-1]
        raise InvalidParameterError(
            f"This network outputs parameters for each value of records of shape {self.shape}, but the likelihood "
            f"needs them in the shape {self.out_shape}. Use network='dense'."
        )


@dataclass(frozen=True)
class LayerPair:
    """A layer of an encoder and the corresponding layer of the decoder. The pair is an autoencoder.

    Attributes
    ----------
    encode : Module
        The encoder's layer. The input of the first layer is x, Tensor of shape (n, *shape).
    decode : Module
        The decoder's layer, which maps the output of ``encode`` to its input, without the activation.
    decode_activation : Module
        The activation after ``decode``. For the first layer its output is the likelihood's parameters.
    """

    encode: nn.Module
    decode: nn.Module
    decode_activation: nn.Module


@dataclass(frozen=True)
class Affine:
    """A layer s(x Wᵀ + b) of vectors, or s(x W + b) if it is transposed."""

    weight: nn.Parameter
    bias: nn.Parameter
    activation: nn.Module
    is_transposed: bool = False


class Encoder(nn.Module, ABC):
    """Maps x, Tensor of shape (n, *shape), to h, Tensor of shape (n, *h_shape).

    Conditions, if any, are a second input, a Tensor of shape (n, n_condition).
    """

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return h for preprocessed records x (n, *shape)."""

    @property
    def single_layer(self) -> tuple[nn.Linear, nn.Module] | None:
        """The layer and activation of an encoder with one layer, h = s(W x + b); None for other encoders."""
        return None

    @property
    def last_layer(self) -> nn.Module | None:
        """The last layer, which computes h together with its activation; None if there is no such layer."""
        return None

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        """All layers, if the encoder is a sequence of affine layers of a flattened record; otherwise none."""
        return ()

    def with_pool_indices(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        """Return h, and the switches that the decoder needs; by default none."""
        return self(x, condition), ()

    def missing_cells(self, x: Tensor) -> Switches:
        """Return which cells of rows x (n, n_columns) are missing, for a decoder that is told; by default nothing.

        It takes the place of the switches, which `with_pool_indices` returns in train mode only: to restore a row, a
        code is enough.
        """
        return ()

    def set_levels(self, levels: Levels | None) -> None:
        """Store the scale of the numbers of a table, if it has one; by default it is not needed."""


class Decoder(nn.Module, ABC):
    """Maps z, Tensor of shape (n, *z_shape), to the likelihood's parameters, Tensor of shape (n, *out_shape).

    Attributes
    ----------
    needs_switches : bool
        Whether decoding needs the switches from `Encoder.with_pool_indices`.
    """

    needs_switches: bool = False

    @property
    def last_layer(self) -> nn.Module | None:
        """The layer before the output activation; None if there is none, or if its weights belong to the encoder."""
        return None

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        """All layers, if the decoder is a sequence of affine layers of a flattened code; otherwise none."""
        return ()

    def init_output_bias(self, parameters: Tensor) -> None:
        """Set the last bias so that an untrained decoder outputs approximately these parameters, (*out_shape).

        Raises
        ------
        InvalidParameterError
            If this decoder has no such bias.
        """
        name = type(self).__name__.lstrip("_")
        raise InvalidParameterError(
            f"The decoder {name} has no output bias, which start_at_mean=True needs. Set start_at_mean=False."
        )

    def as_sequence(self) -> list[nn.Module]:
        """Return an equivalent sequence of simple modules: layers, activations and changes of shape.

        The codec converts this sequence to integer arithmetic.

        Raises
        ------
        NotFreezableError
            If the decoder cannot be written as such a sequence.
        """
        name = type(self).__name__.lstrip("_")
        raise NotFreezableError(
            f"The decoder cannot be frozen for archives: {name} is not a sequence of layers. Define its 'as_sequence'."
        )

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        """Return the likelihood's parameters for codes z (n, *z_shape) and conditions, if any, (n, n_condition).

        Raises
        ------
        NotDecodableError
            If the decoder needs switches and gets none. Other decoders ignore switches.
        """
        y = join(z, condition)
        for stage in self.as_sequence():
            y = stage(y)
        return y
