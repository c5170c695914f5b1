"""What the training loop can train: a chain, and whatever else says what records cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Generator, Tensor, nn

__all__ = ["Learner", "Uncoupled"]


class _Loss(Protocol):
    @property
    def total(self) -> Tensor:
        """What n records cost, in nats, shape (n,)."""

    @property
    def evidence(self) -> Tensor | None:
        """What `Learner.adapt` needs of the n records, shape (n,); None where it needs nothing."""


class Learner(Protocol):
    """A module with a loss for each record.

    Attributes
    ----------
    training : bool
        Whether it is in train mode; in eval mode while the validation loss is measured.
    """

    training: bool

    def train(self, mode: bool = True) -> Any:
        """As `torch.nn.Module` has it; modules that the loss goes through change their mode too, whosever they are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record."""

    @property
    def couples_records(self) -> bool:
        """Whether the loss of a record in training depends on the others of its batch, which then is not cut."""

    def loss(self, records: Any, generator: Generator | None = None, /) -> _Loss:
        """Return what n records cost, as the learner's `Records` gives them; with randomness under a generator."""

    def shard_loss(self, records: Any, generator: Generator, /) -> _Loss:
        """Return what a part of a batch costs in training; changes nothing in the learner, and may run in any thread.

        What is learned without a gradient is left to `adapt`, which gets the evidence of all parts.
        """

    def adapt(self, evidence: Tensor, /) -> None:
        """Learn without a gradient, from the evidence (n,) of a batch; once before each step."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As `torch.nn.Module` has it."""

    def state_dict(self) -> dict[str, Any]:
        """As `torch.nn.Module` has it."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """As `torch.nn.Module` has it."""


class Uncoupled:
    """What a learner adds whose `loss` sees each record on its own, and that learns by its gradient alone."""

    couples_records: bool = False

    def shard_loss(self, records: Any, generator: Generator) -> Any:
        """As `Learner` has it."""
        return self.loss(records, generator)  # type: ignore[attr-defined]

    def adapt(self, evidence: Tensor) -> None:
        """As `Learner` has it; there is never any evidence."""
