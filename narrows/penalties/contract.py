"""The contract of penalties, terms of the loss that shape the code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Generator, Tensor

from narrows.parts.loss_term import LossTerm

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain

__all__ = ["Penalty"]


class Penalty(LossTerm, ABC, axis="penalty"):
    """A term of the loss, in nats, that depends on the encoding of a record."""

    @property
    def couples_records(self) -> bool:
        """Whether the cost of a record depends on the others of its batch. Such a batch is not split into shards."""
        return False

    @property
    def n_partners(self) -> int:
        """From how many nearest training records one is drawn for each, so that both are in a batch; 0: none is."""
        return 0

    @abstractmethod
    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        """Return the penalty of each record.

        Parameters
        ----------
        chain : Chain
            The chain under training, for penalties on its weights or derivatives.
        x : Tensor of shape (n, *shape)
            The encoder's input.
        h : Tensor of shape (n, *h_shape)
            The encoder's output.
        code : Code
            The code.
        generator : Generator, optional
            Source of randomness in training. Without one nothing is random.

        Returns
        -------
        cost : Tensor of shape (n,)
        """
