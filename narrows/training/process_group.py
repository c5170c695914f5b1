"""The process group that ``torchrun`` asks for by environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from narrows.numerics.processes import Processes, processes

__all__ = ["number_of_processes", "process_group"]

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def number_of_processes() -> int:
    """Return the number of processes that ``torchrun`` has started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if all(os.environ.get(name) for name in _NEEDED) else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Initialise the process group of the environment for the block: nccl on CUDA devices, gloo on others.

    A group that is initialised already is used and stays. Without ``torchrun`` there is one process and no group.

    Parameters
    ----------
    device : device
        Where the model is trained. A CUDA device without a number becomes that of the process on its machine.
    """
    if number_of_processes() == 1 or torch.distributed.is_initialized():
        yield processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield processes()
    finally:
        torch.distributed.destroy_process_group()
