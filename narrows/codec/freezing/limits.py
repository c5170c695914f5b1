"""Limits of archive codecs that are known before training: sizes of networks that cannot be frozen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from narrows.chain import Chain, Parts
from narrows.codec.entropy_models.predictor import MAX_HIDDEN
from narrows.codec.freezing.ranges import ranged
from narrows.codec.freezing.translation import Translation
from narrows.codec.frozen import check_record_work
from narrows.codec.operations.sequence import sequence_shapes
from narrows.codec.program import VALUE_WORK, checked_work
from narrows.errors import ModelFileError, NotFreezableError
from narrows.networks import Network
from narrows.networks.activations import activation
from narrows.numerics.randomness import Stream, generator

__all__ = ["too_large"]

_WIDTHS = ("widths", "decoder_widths", "channels", "head_channels", "width")
"""Options of networks that are widths of layers: a number, or one for each layer."""

_SHAPES_OF_RESCALE = 4  # shapes of a code, at most, on the way from symbols to the decoder's input


def too_large(chain: Chain) -> str | None:
    """Return why a chain is too large to be frozen, and which width would do; None if it is not.

    Only the shapes of weights are read, so the chain need not be trained. Models that cannot be frozen for other
    reasons, such as layers without integer operations, give None.

    Parameters
    ----------
    chain : Chain
        The chain.

    Returns
    -------
    str or None
        Sentences for people.
    """
    hidden = getattr(getattr(chain.bottleneck, "prior", None), "n_hidden", 0)
    if hidden > MAX_HIDDEN:
        return (
            f"The model is too large for archives: the prior of its code has {hidden:,} hidden units. "
            f"Allowed: {MAX_HIDDEN:,}. Set bottleneck__n_hidden={MAX_HIDDEN}."
        )
    reason = _excess(chain, "fewest")
    if reason is None:
        return None
    network = None if chain.parts.network.is_user_code else _widest(chain.parts, chain.shape)
    return f"The model is too large for archives. {reason} {_advice(chain.parts.network, network)}"


def _excess(chain: Chain, sizes: str) -> str | None:
    """Return which limit the frozen decoder of a chain exceeds, with the fewest or the most values it may have."""
    shape = tuple(chain.bottleneck.z_shape)
    translation = Translation(shape, 0, sizes=sizes)
    try:
        translation.add_all(ranged([*chain.decoder.as_sequence(), activation(chain.likelihood.mean_activation)]))
        shapes = sequence_shapes(translation.operations, shape, "the decoder")
        decoding = checked_work(translation.operations, shapes)
    except ModelFileError as error:
        return str(error)
    except NotFreezableError:
        return None  # whatever its size
    rescale = VALUE_WORK * _SHAPES_OF_RESCALE * math.prod(shape) if sizes == "most" else 0
    try:
        check_record_work(decoding + rescale, chain.bottleneck.n_symbols)
    except NotFreezableError as error:
        return str(error)
    return None


def _widest(parts: Parts, shape: tuple[int, ...]) -> Network | None:
    """Return the network with the largest widths up to a common maximum that can be frozen; None if there is none."""
    low, high = 0, max(_widths(parts.network), default=1)  # low can be frozen if it is not 0, high cannot
    while high - low > 1:
        middle = (low + high) // 2
        narrower = replace(parts, network=_limited(parts.network, middle))
        with torch.device("meta"):
            chain = Chain(narrower, shape, np.dtype(np.float32), generator(0, Stream.WEIGHTS))
        low, high = (low, middle) if _excess(chain, "most") is not None else (middle, high)
    return _limited(parts.network, low) if low else None


def _widths(network: Network) -> Iterator[int]:
    for name in _WIDTHS:
        value = getattr(network, name, None)
        yield from () if value is None else (value,) if isinstance(value, int) else value


def _limited(network: Network, most: int) -> Network:
    """Return a network whose widths are at most a number."""
    narrower = network.clone()
    for name in _WIDTHS:
        value = getattr(narrower, name, None)
        if value is not None:
            limited = min(value, most) if isinstance(value, int) else tuple(min(width, most) for width in value)
            setattr(narrower, name, limited)
    return narrower


def _advice(network: Network, narrower: Network | None) -> str:
    """Return which settings would do."""
    if network.is_user_code:
        return "Give the decoder narrower layers, or train with a shorter code (n_latent) or on smaller records."
    if narrower is None:
        return "No width of its layers would do. Train with a shorter code (n_latent) or on smaller records."
    changed = [name for name in _WIDTHS if getattr(narrower, name, None) != getattr(network, name, None)]
    settings = [f"network__{name}={_listed(getattr(narrower, name))}" for name in changed]
    return f"The largest width that would do is {max(_widths(narrower)):,}: {' and '.join(settings)}."


def _listed(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) else ",".join(map(str, value))
