"""The contract of pretraining: stages of training before that of the whole chain."""

from __future__ import annotations

from abc import ABC, abstractmethod

from narrows.chain import Chain
from narrows.parts.part import Part
from narrows.training import Records, Stage

__all__ = ["Pretraining"]


class Pretraining(Part, ABC, axis="pretraining"):
    """A method that finds good initial weights before the whole chain is trained."""

    @abstractmethod
    def stages(self, chain: Chain, records: Records) -> list[Stage]:
        """Return the stages, whose learners share their weights with the chain.

        Parameters
        ----------
        chain : Chain
            An untrained chain, prepared for the records.
        records : Records
            The training records.

        Raises
        ------
        InvalidParameterError
            If the chain's parts do not support the method.
        """
