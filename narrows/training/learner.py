"""The protocol of the training loop: chains and other modules with a loss for each record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Generator, Tensor, nn

from narrows.numerics.eval_mode import in_eval_mode

__all__ = ["Learner", "Uncoupled", "learner_in_eval_mode"]


class _Loss(Protocol):
    @property
    def total(self) -> Tensor:
        """Loss of n records in nats, shape (n,)."""

    @property
    def statistic(self) -> Tensor | None:
        """The statistic of each record that `Learner.adapt` needs, shape (n,); None if it needs none."""


class Learner(Protocol):
    """A module with a loss for each record.

    Attributes
    ----------
    training : bool
        Whether the module is in train mode. It is in eval mode while the validation loss is measured.
    foreign_modules : tuple of Module, optional
        Modules that compute the loss besides those of the learner, and that it does not train.
    """

    training: bool

    def train(self, mode: bool = True) -> Any:
        """As in `torch.nn.Module`; it also sets the mode of foreign modules that compute the loss."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""

    @property
    def couples_records(self) -> bool:
        """Whether the training loss of a record depends on the others of its batch. Such a batch is not split."""

    def loss(self, records: Any, generator: Generator | None = None, /) -> _Loss:
        """Return the loss of n records, as batches of `Records`; with a generator, including the noise of training."""

    def shard_loss(self, records: Any, generator: Generator, /) -> _Loss:
        """Return the training loss of a shard of a batch, without changing the learner; may run in any thread.

        `adapt` gets the statistics of all shards for the updates without gradients.
        """

    def adapt(self, statistics: Tensor, /) -> None:
        """Make the updates without gradients, from the statistics (n,) of a batch; once before each step."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As in `torch.nn.Module`."""

    def state_dict(self) -> dict[str, Any]:
        """As in `torch.nn.Module`."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """As in `torch.nn.Module`."""


class Uncoupled:
    """Mix-in for learners whose loss is independent for each record, and that learn by gradients alone."""

    couples_records: bool = False

    def shard_loss(self, records: Any, generator: Generator) -> Any:
        """As in `Learner`."""
        return self.loss(records, generator)  # type: ignore[attr-defined]

    def adapt(self, statistics: Tensor) -> None:
        """As in `Learner`; no statistics are needed."""


@contextmanager
def learner_in_eval_mode(learner: Learner) -> Iterator[None]:
    """Put all modules that compute a learner's loss in eval mode for the block, and each back into its own mode."""
    assert isinstance(learner, nn.Module)
    with in_eval_mode(learner, *getattr(learner, "foreign_modules", ())):
        yield
