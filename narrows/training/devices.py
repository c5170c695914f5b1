"""Training on a device without float64, while all else is computed on the CPU.

Preprocessing, measurements and the uses of a model need float64. Where the device of the training has none, the model
lives on the CPU. For the training its weights move to the device, with its numbers in float64 as float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from narrows.data.mapped import MappedRecords
from narrows.numerics.batches import Labelled
from narrows.numerics.floats import has_float64
from narrows.training.loop import train
from narrows.training.progress import Epoch
from narrows.training.records import RecordSource
from narrows.training.stages import Stage

__all__ = ["train_on"]

_CPU = torch.device("cpu")


def train_on(device: torch.device, stages: Sequence[Stage], whole: nn.Module, **run: Any) -> list[list[Epoch]]:
    """Train on a device as `narrows.training.train` does.

    Parameters
    ----------
    device : device
        Where to train. Stages and modules are already on it, unless it has no float64: then they are on the CPU, and
        the trained modules are there again afterwards.
    stages, whole, **run
        As for `train`.
    """
    if has_float64(device):
        return train(stages, whole, **run)
    moved = [
        replace(
            stage, records=_Sent(stage.records, device), validation=stage.validation and _Sent(stage.validation, device)
        )
        for stage in stages
    ]
    modules = [whole, *(stage.learner for stage in stages if isinstance(stage.learner, nn.Module))]
    with _moved(modules, device):
        for stage in stages:
            if stage.stepper is not None:
                stage.stepper.restore(stage.stepper.state)  # on the device of the weights
        return train(moved, whole, **run)


@contextmanager
def _moved(modules: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Move modules to a device without float64 for the block. What the block does not change is the same to the bit."""
    buffers = {
        (one, name): buffer for module in modules for one in module.modules() for name, buffer in one._buffers.items()
    }
    before = {key: buffer for key, buffer in buffers.items() if buffer is not None and buffer.dtype == torch.float64}
    for (module, name), buffer in before.items():
        module._buffers[name] = buffer.float()
    try:
        for module in modules:
            module.to(device)
        yield
    finally:
        for module in modules:
            module.to(_CPU)
        for (module, name), buffer in before.items():
            now = module._buffers[name]
            assert now is not None
            module._buffers[name] = buffer if torch.equal(now, buffer.float()) else now.double()


@dataclass(frozen=True)
class _Sent:
    """Records on the CPU whose batches are sent to a device without float64."""

    records: RecordSource
    device: torch.device

    def __len__(self) -> int:
        return len(self.records)

    @property
    def files(self) -> Sequence[MappedRecords]:
        return self.records.files

    def block(self, n_bytes: int) -> int:
        return self.records.block(n_bytes)

    def expect(self, indices: Tensor) -> None:
        self.records.expect(indices.cpu())

    def take(self, indices: Tensor) -> Any:
        return self._sent(self.records.take(indices.cpu()))

    def batches(self, size: int) -> Iterator[Any]:
        return map(self._sent, self.records.batches(size))

    def weights_of(self, indices: Tensor | None = None) -> Tensor | None:
        weights = self.records.weights_of(None if indices is None else indices.cpu())
        return None if weights is None else weights.to(self.device)

    def _sent(self, batch: Any) -> Any:
        if isinstance(batch, Labelled):
            return Labelled(self._sent(batch.records), batch.labels.to(self.device))
        return (batch.float() if batch.dtype == torch.float64 else batch).to(self.device)
