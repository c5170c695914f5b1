"""Pruning: removes the rows of a decoder's last layer whose outputs an archive does not need.

Walks back from the outputs through activations and changes of shape to the last layer, or to the last layer of each
branch. Archives then need no operation that selects outputs, and the scale of the layer does not depend on outputs that
are dropped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.codec.freezing.ranges import stage_name
from narrows.codec.freezing.translation import ELEMENTWISE
from narrows.errors import NotFreezableError
from narrows.networks import images
from narrows.networks.branches import Branches

__all__ = ["pruned"]

Positions = NDArray[np.int64]


def pruned(stages: Sequence[nn.Module], positions: Positions) -> list[nn.Module]:
    """Return the stages of a decoder that computes only some outputs, (n, m).

    Parameters
    ----------
    stages : sequence of Module
        Layers, activations and changes of shape.
    positions : ndarray of int64, shape (m,)
        Positions of the outputs in the output of the last stage, in C order.

    Raises
    ------
    NotFreezableError
        If the outputs are not those of rows or channels of a last layer.
    """
    after: list[nn.Module] = [nn.Flatten()]
    maps: tuple[int, ...] = ()  # the shape of the maps at this point, if the outputs are maps
    for place in range(len(stages) - 1, -1, -1):
        stage, before = stages[place], list(stages[:place])
        match stage:
            case nn.Flatten() | images.Reshape():
                continue  # the order of the outputs remains
            case images.FromChannelsFirst():
                fewer, positions = _fewer_channels(stage, positions)
                maps = (fewer.layout.channels * fewer.n_parameters, fewer.layout.height, fewer.layout.width)
                after.insert(0, fewer)
            case nn.Linear():
                return [*before, _rows(stage, positions, axis=0), *_as_maps(maps), *after]
            case nn.Conv2d() | nn.ConvTranspose2d() if maps:
                n_pixels = math.prod(maps[1:])
                axis = 0 if isinstance(stage, nn.Conv2d) else 1
                return [*before, _rows(stage, positions[::n_pixels] // n_pixels, axis), *after]
            case Branches():
                branches = [nn.Sequential(*pruned(list(one.children()), positions)) for one in stage.branches]
                return [*before, Branches(*branches), *_as_maps(maps), *after]
            case _ if isinstance(stage, ELEMENTWISE):
                after.insert(0, stage)
            case _:
                break
    raise NotFreezableError(
        "The decoder cannot be frozen: outputs that archives do not need can only be removed from a dense layer or a "
        f"convolution with activations after it. Got {', '.join(stage_name(stage) for stage in stages)}. Change the "
        "decoder, or train with a likelihood that has one parameter for each value."
    )


def _as_maps(maps: tuple[int, ...]) -> list[nn.Module]:
    return [images.Reshape(maps)] if maps else []


def _fewer_channels(
    stage: images.FromChannelsFirst, positions: Positions
) -> tuple[images.FromChannelsFirst, Positions]:
    """Return the stage for maps with the channels of some outputs, and the positions of these in all maps.

    Raises
    ------
    NotFreezableError
        If the outputs are not whole channels, as many for each channel of the records.
    """
    layout = stage.layout
    shape = (layout.channels * stage.n_parameters, layout.height, layout.width)
    all_positions = np.arange(math.prod(shape)).reshape(shape)
    channels = np.unique(_records(stage, all_positions)[positions] // math.prod(shape[1:]))
    n_parameters, rest = divmod(len(channels), layout.channels)
    if not rest:
        fewer = images.FromChannelsFirst(layout, n_parameters)
        kept = all_positions[channels]
        if np.array_equal(_records(fewer, kept), _records(stage, all_positions)[positions]):
            return fewer, kept.flatten()
    raise NotFreezableError(
        "The decoder cannot be frozen: its outputs that archives need are not whole channels of its maps. Train with "
        "network='dense'."
    )


def _records(stage: images.FromChannelsFirst, maps: Positions) -> Positions:
    """Return maps (channels, H, W) as a record, flattened."""
    flat: Positions = stage(torch.from_numpy(maps).unsqueeze(0)).flatten().numpy()
    return flat


def _rows(layer: Any, rows: Positions, axis: int) -> nn.Module:
    """Return a layer with some of the outputs of another; the other remains as it is."""
    fewer = copy.copy(layer)
    index = torch.from_numpy(rows).to(layer.weight.device)
    fewer._parameters = {"weight": nn.Parameter(layer.weight.detach().index_select(axis, index)), "bias": None}
    if layer.bias is not None:
        fewer._parameters["bias"] = nn.Parameter(layer.bias.detach().index_select(0, index))
    setattr(fewer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", len(rows))
    return fewer  # type: ignore[no-any-return]
