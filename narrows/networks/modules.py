"""The two halves of a network, encoder and decoder, and what they connect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from narrows.errors import InvalidParameterError, NotFreezableError
from narrows.networks.conditions import join

__all__ = ["Decoder", "Encoder", "Layer", "Sizes", "Switches"]

Switches = tuple[Tensor, ...]
"""Where the maxima of each max-pooling were, from the input to the code; nothing for networks that don't go by it."""


@dataclass(frozen=True)
class Sizes:
    """What a network has to connect.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    h_shape : tuple of int
        Shape of what the encoder delivers for one record: what the bottleneck asks for.
    z_shape : tuple of int
        Shape of the code of one record: what the decoder receives.
    n_parameters : int
        Numbers that the likelihood needs for each value.
    n_condition : int
        Length of the condition that encoder and decoder receive beside their input; 0 for most models.
    """

    shape: tuple[int, ...]
    h_shape: tuple[int, ...]
    z_shape: tuple[int, ...]
    n_parameters: int = 1
    n_condition: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer of an encoder, and the layer of the decoder that goes back over it: an autoencoder of its own.

    Attributes
    ----------
    there : Module
        From what comes into the layer to what comes out of it; for the first from x, Tensor of shape (n, *shape).
    back : Module
        From what comes out to what came in, before the activation.
    back_activation : Module
        What follows; in the first layer it ends in the likelihood's parameters, as `Decoder` returns them.
    """

    there: nn.Module
    back: nn.Module
    back_activation: nn.Module


class Encoder(nn.Module, ABC):
    """From x, Tensor of shape (n, *shape), to h, Tensor of shape (n, *h_shape).

    Where there are conditions, they come beside it as a Tensor of shape (n, n_condition).
    """

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return h for preprocessed records x (n, *shape)."""

    @property
    def one_layer(self) -> tuple[nn.Linear, nn.Module] | None:
        """The encoder's only layer and its activation, h = s(W x + b); None if it has more."""
        return None

    @property
    def last_layer(self) -> nn.Module | None:
        """The layer whose output, after its activation, is h; None if there is no such layer."""
        return None

    def with_switches(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        """Return h, and what the decoder needs of the record besides: switches, where it unpools with them."""
        return self(x, condition), ()


class Decoder(nn.Module, ABC):
    """From z, Tensor of shape (n, *z_shape), to the likelihood's parameters.

    These have shape (n, *shape), or (n, *shape, n_parameters) where there are several for each value.

    Attributes
    ----------
    needs_switches : bool
        Whether codes alone cannot be decoded, for want of `Encoder.with_switches`.
    """

    needs_switches: bool = False

    @property
    def last_layer(self) -> nn.Module | None:
        """The layer before the output activation; None where there is none, or its weights are the encoder's."""
        return None

    def start_at(self, parameters: Tensor) -> None:
        """Set the last bias so that an untrained decoder is near these parameters, of shape ``shape``.

        Raises
        ------
        InvalidParameterError
            If this decoder has no such bias.
        """
        name = type(self).__name__.lstrip("_")
        raise InvalidParameterError(f"{name} has no last bias that could start at the mean. Set start_at_mean=False.")

    def plain_stages(self) -> list[nn.Module]:
        """Return simple modules that do the same one after the other: layers, activations and changes of shape.

        That is how the codec sees a decoder when it turns it into integer arithmetic.

        Raises
        ------
        NotFreezableError
            If this decoder is no such row.
        """
        name = type(self).__name__.lstrip("_")
        raise NotFreezableError(f"The decoder cannot be frozen: {name} is no row of layers, one after the other.")

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        """Return the likelihood's parameters for codes z (n, *z_shape) and conditions, if any, (n, n_condition).

        Raises
        ------
        NotDecodableError
            If this decoder needs switches and gets none; those that need none leave them alone.
        """
        y = join(z, condition)
        for stage in self.plain_stages():
            y = stage(y)
        return y
