"""What a penalty is: a further cost that shapes the code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Generator, Tensor

from narrows.parts.part import Part

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain, Parts

__all__ = ["Penalty"]


class Penalty(Part, ABC, axis="penalty"):
    """A cost in nats on how a record is encoded, added to the loss."""

    @property
    def normal_prior(self) -> bool:
        """Whether it draws the codes of all records together towards N(0, I), so that others drawn there decode."""
        return False

    @property
    def couples_records(self) -> bool:
        """Whether the cost of a record depends on the others of its batch, which then is not cut into shards."""
        return False

    def check_parts(self, parts: Parts) -> None:
        """Check that the penalty makes sense in a chain of these parts.

        Raises
        ------
        InvalidParameterError
            If it does not; says which parts it needs.
        """

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
            The code made of it.
        generator : Generator, optional
            Where randomness comes from, while training. Without one nothing is random.

        Returns
        -------
        cost : Tensor of shape (n,)
        """
