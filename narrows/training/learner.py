"""What the training loop can train: a chain, and whatever else says what records cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Generator, Tensor, nn

__all__ = ["Learner"]


class _Loss(Protocol):
    @property
    def total(self) -> Tensor:
        """What n records cost, in nats, shape (n,)."""


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

    def loss(self, records: Any, generator: Generator | None = None, /) -> _Loss:
        """Return what n records cost, as the learner's `Records` gives them; with randomness under a generator."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As `torch.nn.Module` has it."""

    def state_dict(self) -> dict[str, Any]:
        """As `torch.nn.Module` has it."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """As `torch.nn.Module` has it."""
