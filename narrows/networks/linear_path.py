"""A linear path parallel to a network, in encoder and decoder, initialised with the principal components.

::

    x ─► standardise ─┬─────────────── P ──────────────┬─► h     z ─┬────────────── Q, b ─────────────┬─► activation
                      └─► clip ─► the network's encoder ┘            └─► clip ─► the network's decoder ┘

The last layers of the network start at zero, so that before training the sum of the two paths is the principal
component analysis of the training data. Codes are scaled to unit variance. The input of the network is clipped at five
standard deviations. Beyond that only the linear path changes, so an outlier is restored as by PCA.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.branches import Branches
from narrows.networks.components import Components
from narrows.networks.images import Reshape
from narrows.networks.initialisation import undrawn
from narrows.networks.modules import Decoder, Encoder, Sizes, Switches

__all__ = ["LinearPathDecoder", "LinearPathEncoder"]

_LIMIT = 5.0  # standard deviations


class LinearPathEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape): h = P (x − mean) / deviation + network(x).

    Parameters
    ----------
    network : Encoder or None
        None: there is only the linear path.
    sizes : Sizes
        Shapes of record, code and output.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Encoder | None, sizes: Sizes) -> None:
        super().__init__()
        self.h_shape, self.n_z = sizes.h_shape, math.prod(sizes.z_shape)
        self.path = _zero(undrawn(nn.Linear, math.prod(sizes.shape), math.prod(sizes.h_shape), bias=False))
        self.network, self.clip = network, nn.Hardtanh(-_LIMIT, _LIMIT)
        if network is not None:
            if network.last_layer is None:
                raise InvalidParameterError(
                    "A linear path needs a network with a 'last_layer', whose weights it sets to zero. Got "
                    f"{type(network).__name__.lstrip('_')}, which has none. Set linear_path=False."
                )
            _zero(network.last_layer)
        self.register_buffer("mean", torch.zeros(sizes.shape))
        self.register_buffer("deviation", torch.ones(()))

    @property
    def last_layer(self) -> nn.Module | None:
        return self.path if self.network is None else self.network.last_layer

    @torch.no_grad()
    def start_at_components(self, components: Components) -> None:
        """Set the path to principal components. Further latent dimensions start at zero."""
        self.mean.copy_(components.mean.reshape(self.mean.shape))
        self.deviation.fill_(components.deviation)
        weight = self.path.get_parameter("weight").zero_()
        weight[: len(components.scales)] = (
            components.directions * (components.deviation / components.scales)[:, None]
        ).to(weight)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.with_pool_indices(x, condition)[0]

    def with_pool_indices(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        x = (x - self.mean) / self.deviation
        h = self.path(x.flatten(1)).reshape(-1, *self.h_shape)
        if self.network is None:
            return h, ()
        beside, switches = self.network.with_pool_indices(self.clip(x), condition)
        return h + beside, switches


class LinearPathDecoder(Decoder):
    """z (n, *z_shape) → the likelihood's parameters (n, *shape): s(Q z + b + network(z)).

    Parameters
    ----------
    network : Decoder or None
        None: there is only the linear path.
    sizes : Sizes
        Shapes of record, code and output.
    output : Module
        The output activation s.
    """

    def __init__(self, network: Decoder | None, sizes: Sizes, output: nn.Module) -> None:
        super().__init__()
        self.path = _zero(undrawn(nn.Linear, math.prod(sizes.z_shape), math.prod(sizes.out_shape)))
        self.network, self.clip, self.output = network, nn.Hardtanh(-_LIMIT, _LIMIT), output
        self.flatten, self.to_records = nn.Flatten(), Reshape(sizes.out_shape)
        self.needs_switches = network is not None and network.needs_switches
        if network is not None and network.last_layer is not None:
            _zero(network.last_layer)

    @property
    def last_layer(self) -> nn.Module | None:
        return self.path if self.network is None else self.network.last_layer

    @torch.no_grad()
    def start_at_components(self, components: Components, positions: NDArray[np.int64] | None = None) -> None:
        """Set the path to principal components, the inverse of the encoder's path; other columns stay zero.

        Parameters
        ----------
        components : Components
            The principal components.
        positions : ndarray of int64, optional
            Positions of the mean among the outputs, in C order. None: all outputs are the mean.
        """
        weight, bias = (self.path.get_parameter(name).zero_() for name in ("weight", "bias"))
        rows = torch.arange(len(weight)) if positions is None else torch.from_numpy(positions)
        columns = (components.directions * components.scales[:, None]).T
        weight[rows.to(weight.device), : columns.shape[1]] = columns.to(weight)
        bias[rows.to(bias.device)] = components.mean.to(weight)

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        y = self.to_records(self.path(z.flatten(1)))
        if self.network is not None:
            y = y + self.network(self.clip(z), switches, condition)
        parameters: Tensor = self.output(y)
        return parameters

    def as_sequence(self) -> list[nn.Module]:
        linear = [self.flatten, self.path, self.to_records]
        if self.network is None:
            return [*linear, self.output]
        beside = nn.Sequential(self.clip, *self.network.as_sequence())
        return [Branches(nn.Sequential(*linear), beside), self.output]


def _zero(layer: nn.Module) -> nn.Module:
    """Return a layer with all of its weights set to zero."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
    return layer
