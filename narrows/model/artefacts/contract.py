"""The contract of artefacts, which are measured on the training records after training and stored in the model.

A new artefact is a class in a file of this folder, and an import in `narrows.model.artefacts`. It can be measured,
be missing with a reason, be measured later, be saved and be loaded, and `narrows info` lists it; no other file has to
change. `tests/contracts/test_artefacts.py` runs over all of them.
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
        The rows that PCA is fitted to: None, or all rows but those held out by request.
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
    """A quantity that is measured on training records.

    Attributes
    ----------
    name : str
        Name in parameters and in model files.
    title : str
        Name in messages.
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
        """Measure the artefact.

        Raises
        ------
        NotMeasuredError
            If this model cannot have the artefact; gives the reason.
        """

    def attach(self, model: FittedModel) -> FittedModel:
        """Return the model with this artefact."""
        return model.with_artefact(self)

    def check(self, model: FittedModel, records: TrainingRecords) -> None:  # noqa: B027  most have nothing to warn of
        """Warn of what this artefact shows about the model, once all artefacts are measured."""

    @abstractmethod
    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store in a model file, by unique names: ``"name.array"``."""

    def to_json(self) -> dict[str, Any]:
        """Return further entries for the header of a model file, by unique names."""
        return {}

    @classmethod
    @abstractmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        """Return the artefact that `to_tensors` and `to_json` stored; None if the file does not have it.

        Parameters
        ----------
        tensors, header : mapping
            All entries of the file.
        model : FittedModel
            The model without artefacts.

        Raises
        ------
        ValueError
            If the entries are not valid for this model.
        """
