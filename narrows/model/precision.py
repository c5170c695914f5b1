"""A chain in float64, for records that are: kept beside it, so that it is copied once and not at every call."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain as in_turn
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from narrows.chain import Chain

__all__ = ["in_float64"]


def in_float64(chain: Chain) -> Chain:
    """Return a chain with all its floating-point numbers in float64, on the same device; itself if they are.

    The copy lives as long as the chain and takes twice its memory. It is no attribute of the chain: models are saved,
    pickled and copied without it. Its numbers are brought up to date at each call, whatever has changed them: writes
    through ``weight.data`` or a NumPy view leave no trace that a comparison of versions could find, and to fill a copy
    takes a small part of the time that it takes to make one.
    """
    if chain.dtype == torch.float64:
        _TWINS.pop(chain, None)
        return chain
    twin = _TWINS.get(chain)
    if twin is None or not twin.is_built_like(chain):
        twin = _TWINS[chain] = _Twin(chain)
    else:
        twin.follow(chain)
    return twin.chain


class _Twin:
    """A copy of a chain in float64, and which modules it was made of."""

    @torch.inference_mode(False)  # whose tensors could not be written to later
    def __init__(self, chain: Chain) -> None:
        self.chain = copy.deepcopy(chain).double()
        self.chain.zero_grad(set_to_none=True)
        self._device = chain.device
        self._modules = [ref(module) for module in chain.modules()]

    def is_built_like(self, chain: Chain) -> bool:
        """Return whether the chain still has its modules, and is where it was."""
        modules = list(chain.modules())
        return chain.device == self._device and [module() for module in self._modules] == modules

    @torch.no_grad()
    def follow(self, chain: Chain) -> None:
        """Take over the chain's numbers as they are now, and whether it is training."""
        for mine, its in zip(_numbers(self.chain), _numbers(chain), strict=True):
            mine.copy_(its)
        self.chain.train(chain.training)


def _numbers(module: nn.Module) -> Iterable[Tensor]:
    return in_turn(module.parameters(), module.buffers())


_TWINS: WeakKeyDictionary[Chain, _Twin] = WeakKeyDictionary()
