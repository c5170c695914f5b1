"""Copies of chains in float64; one of each chain is kept for float64 records, so that not every call makes a copy."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain as in_turn
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from narrows.chain import Chain

__all__ = ["copied_in_float64", "in_float64"]


def in_float64(chain: Chain) -> Chain:
    """Return a chain with all floating-point numbers in float64, on the same device; a float64 chain is not copied.

    The copy lives as long as the chain and takes twice its memory. It is not an attribute of the chain, so models are
    saved, pickled and copied without it. Each call copies the chain's numbers into it: writes through ``weight.data``
    or a NumPy view do not change a tensor's version, and filling a copy is much faster than making one.
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


@torch.inference_mode(False)  # inference tensors could not be written to later
def copied_in_float64(chain: Chain) -> Chain:
    """Return a copy of a chain with all floating-point numbers in float64, which later changes of the chain leave."""
    copied = copy.deepcopy(chain).double()
    copied.zero_grad(set_to_none=True)
    return copied


class _Twin:
    """A copy of a chain in float64, and the modules that it was made from."""

    def __init__(self, chain: Chain) -> None:
        self.chain = copied_in_float64(chain)
        self._device = chain.device
        self._modules = [ref(module) for module in chain.modules()]

    def is_built_like(self, chain: Chain) -> bool:
        """Return whether the chain has the same modules and the same device as before."""
        modules = list(chain.modules())
        return chain.device == self._device and [module() for module in self._modules] == modules

    @torch.no_grad()
    def follow(self, chain: Chain) -> None:
        """Copy the chain's current numbers and the mode of each of its modules."""
        for mine, its in zip(_numbers(self.chain), _numbers(chain), strict=True):
            mine.copy_(its)
        for copied, its_module in zip(self.chain.modules(), chain.modules(), strict=True):
            copied.training = its_module.training


def _numbers(module: nn.Module) -> Iterable[Tensor]:
    return in_turn(module.parameters(), module.buffers())


_TWINS: WeakKeyDictionary[Chain, _Twin] = WeakKeyDictionary()
