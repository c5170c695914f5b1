"""Random numbers for code of users, which draws from PyTorch's global generators."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from narrows.numerics.randomness import reseed

__all__ = ["NoDrawsWithoutMemory", "draws_from"]

_DRAWS = {"uniform_", "normal_", "bernoulli_", "exponential_", "random_"}


@contextmanager
def draws_from(generator: Generator | None) -> Iterator[None]:
    """Seed PyTorch's global generators by another generator within the block; their states are then restored.

    The state of the other generator advances. Nothing waits for a device. With None nothing is seeded.
    """
    if generator is None:
        yield
        return
    state = generator.get_state().numpy().tobytes()
    seed = int.from_bytes(hashlib.blake2b(state, digest_size=7).digest(), "little")
    device = generator.device
    torch.rand((), generator=generator, device=device)
    on_gpu = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(on_gpu):
        reseed(torch.default_generator, seed)
        for index in on_gpu:
            reseed(torch.cuda.default_generators[index], seed)
        yield


class NoDrawsWithoutMemory(TorchFunctionMode):
    """A context in which nothing is drawn for tensors on the meta device; that takes PyTorch seconds."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        drawn = getattr(function, "__name__", "") in _DRAWS and bool(args)
        if drawn and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))
