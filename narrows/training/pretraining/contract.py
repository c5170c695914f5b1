"""What pretraining is: stages of training that come before that of the whole chain."""

from __future__ import annotations

from abc import ABC, abstractmethod

from narrows.chain import Chain
from narrows.parts.part import Part
from narrows.training import Records, Stage

__all__ = ["Pretraining"]


class Pretraining(Part, ABC, axis="pretraining"):
    """A way to bring the weights of a chain near a good place before all of them are trained together."""

    @abstractmethod
    def stages(self, chain: Chain, records: Records) -> list[Stage]:
        """Return the stages, whose learners share their weights with the chain.

        Parameters
        ----------
        chain : Chain
            With untrained weights, and prepared for the records.
        records : Records
            What to learn from.

        Raises
        ------
        InvalidParameterError
            If it makes no sense with the chain's parts.
        """
