"""The network that "auto" chooses for maps, which are codes of two numbers, how long it trains, and how it is chosen.

Beside a linear path, whose code starts at PCA, the classes of records stay where PCA puts them. So this network has no
such path, more layers, and three times the usual epochs. Of 10,000 training images of MNIST that were held out, so
many have the label of their 10 nearest neighbours on the map:

===========================================  ========  ========
layers                                       epochs    accuracy
===========================================  ========  ========
512-256-128 beside a linear path             15        0.805
512-256-128                                  15        0.844
512-512-512                                  15        0.856
512-512-512                                  31        0.881
===========================================  ========  ========

The network is compared with PCA on held-out records, as one with a linear path is, and replaced by it unless better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from narrows.chain import Parts
from narrows.networks import Dense, Network
from narrows.training import Training

__all__ = ["is_compared", "is_map", "map_network", "map_settings"]

_LATENT, _LAYERS = 2, 3
_EPOCHS, _MOST_EPOCHS = 3, 200  # few records are soon learned by heart
_LEAST_VALUES = 64  # of a record: narrow networks for a few columns learn less from a few hundred records with three


def is_map(shape: tuple[int, ...], n_latent: int | None) -> bool:
    """Return whether records of a shape get the network for maps."""
    return n_latent == _LATENT and math.prod(shape) >= _LEAST_VALUES


def map_network(width: int, output_activation: str) -> Dense:
    """Return the network for maps, with hidden layers of ``width`` units."""
    return Dense(
        widths=(width,) * _LAYERS,
        activation="silu",
        output_activation=output_activation,
        start_at_mean=output_activation == "sigmoid",
    )


def map_settings(params: Mapping[str, Any], parts: Parts, settings: Training, n_records: int) -> Training:
    """Return the settings of a training on n_records: up to three times the usual epochs for maps."""
    if settings.epochs is not None or not _has_map_network(params["network"], parts):
        return settings
    epochs = settings.n_epochs(n_records)
    return settings.clone().set_params(epochs=max(epochs, min(_EPOCHS * epochs, _MOST_EPOCHS)))


def is_compared(network: Any, parts: Parts) -> bool:
    """Return whether a model is compared with PCA on held-out records, and keeps the weights of its best epoch.

    Parameters
    ----------
    network : object
        The parameter ``network`` of the estimator.
    parts : Parts
        The parts that it stands for.
    """
    return parts.network.linear_path or _has_map_network(network, parts)


def _has_map_network(network: Any, parts: Parts) -> bool:
    chosen: Network = parts.network
    is_auto = isinstance(network, str) and network == "auto"
    return is_auto and isinstance(chosen, Dense) and len(chosen.widths) == _LAYERS and parts.n_latent == _LATENT
