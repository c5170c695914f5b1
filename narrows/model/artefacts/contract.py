"""What an artefact is: measured on the training records once a model is trained, it travels with the model.

A new artefact is a class in a file of this folder, and its name in `narrows.model.artefacts`. It may be measured, be
missing with a reason, be measured later, be saved and be loaded; nothing else has to know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from narrows.training import Records

if TYPE_CHECKING:
    from narrows.model.fitted import FittedModel

__all__ = ["Artefact", "TrainingRecords"]


@dataclass(frozen=True)
class TrainingRecords:
    """The records that artefacts are measured on.

    Attributes
    ----------
    values : ndarray of shape (m, *shape)
        All records in their stored dtype.
    rows : ndarray of int, shape (n,), or None
        Which of them PCA is fitted to: all (None) but those that were held out by request.
    records : Records
        The records that the model was trained on, on its device. Those of a conditional model have their labels.
    unlabelled : Records
        The same without labels.
    """

    values: NDArray[Any]
    rows: NDArray[np.int64] | None
    records: Records
    unlabelled: Records


class Artefact(ABC):
    """What is measured on training records.

    Attributes
    ----------
    name : str
        In parameters and in model files.
    title : str
        In messages.
    registry : dict of str to type
        All artefacts by name, in the order in which they are measured.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    registry: ClassVar[dict[str, type[Artefact]]] = {}

    def __init_subclass__(cls, *, name: str, title: str) -> None:
        super().__init_subclass__()
        cls.name, cls.title = name, title
        Artefact.registry[name] = cls

    @classmethod
    @abstractmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        """Return what is measured.

        Raises
        ------
        CannotMeasureError
            If this model has nothing of the kind; says why.
        """

    @abstractmethod
    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that a model file keeps, by names that no other artefact uses: ``"name.array"``."""

    def to_json(self) -> dict[str, Any]:
        """Return what else a model file keeps: entries of its header, by names that no other artefact uses."""
        return {}

    @classmethod
    @abstractmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        """Return what `to_tensors` and `to_json` wrote; None if it is not there.

        Parameters
        ----------
        tensors, header : mapping
            All that the file holds.
        model : FittedModel
            The model without artefacts.

        Raises
        ------
        ValueError
            If it is nothing that this model can have.
        """
