"""A network: one wide layer in the encoder, one in the decoder."""

import math

from torch import Tensor, nn

from narrows.networks import Decoder, Encoder, Network
from narrows.networks.conditions import join
from narrows.networks.images import Reshape
from narrows.networks.initialisation import initialise, undrawn
from narrows.parts.options import Integer, option


class WideEncoder(Encoder):
    last_layer = property(lambda self: self.layers[2])  # a linear path sets it to zero

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(join(x.flatten(1), condition))  # the label, if the model is conditional


class WideDecoder(Decoder):
    last_layer = property(lambda self: self.layers[2])

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def as_sequence(self) -> list[nn.Module]:
        return list(self.layers)  # `forward` runs them, and so do archives


class Wide(Network, name="wide"):
    width: int = option(Integer(1), "units of the hidden layers", default=64)

    def connect(self, sizes, generator):
        encoder = WideEncoder(*self.halfway(sizes.shape, sizes.h_shape, sizes.n_condition))
        decoder = WideDecoder(*self.halfway(sizes.z_shape, sizes.out_shape, sizes.n_condition))
        for half in (encoder, decoder):
            initialise(half, "he", generator)
        return encoder, decoder

    def halfway(self, shape: tuple[int, ...], to: tuple[int, ...], n_condition: int) -> list[nn.Module]:
        n_in, n_out = math.prod(shape) + n_condition, math.prod(to)
        layers = undrawn(nn.Linear, n_in, self.width), nn.ReLU(), undrawn(nn.Linear, self.width, n_out)
        return [*layers, Reshape(to)]
