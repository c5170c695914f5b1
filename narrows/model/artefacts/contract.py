"""The contract of artefacts, which are measured on the training records after training and stored in the model.

A new artefact is a class in a file of this folder, and an import in `narrows.model.artefacts`. It can be measured,
be missing with a reason, be measured later, be saved and be loaded, and `narrows info` lists it; no other file has to
change. `tests/contracts/test_artefacts.py` runs over all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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
        The rows to which PCA is fitted. They exclude records that the user held out. None: all rows.
    records : Records
        The training records on the device of the model; with labels for a conditional model.
    unlabelled : Records
        The same records without labels.
    unseen : Records or None
        Held-out records, where a recipe measures qualities on them.
    labels : ndarray of shape (m,), or None
        The labels that come with `values`, where there are any, whether or not the model learns from them.
    classes : ndarray of shape (m,), int64, or None
        For a conditional model: the classes of `values`, from 0.
    """

    values: NDArray[Any]
    rows: NDArray[np.int64] | None
    records: Records
    unlabelled: Records
    unseen: Records | None = None
    labels: NDArray[Any] | None = None
    classes: NDArray[np.int64] | None = None


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
    def applies(cls, model: FittedModel) -> bool:
        """Return whether the artefact means something for a model; others neither have it nor lack it."""
        return True

    @classmethod
    @abstractmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        """Measure the artefact.

        Raises
        ------
        NotMeasuredError
            If the artefact cannot be measured for this model; the message is the reason.
        """

    @classmethod
    def prepare(cls, model: FittedModel, records: TrainingRecords) -> Callable[[], Self] | None:
        """Return a function that measures the artefact at first use; None if `fit` should measure it at once.

        The function holds all data that it needs, of limited size. Its result is that of `measure`. It is not called
        if the weights change in between. `attach` is not called, and `check` neither, so these must be those of this
        class.

        Raises
        ------
        NotMeasuredError
            As for `measure`.
        """
        return None

    @property
    def depends_on_weights(self) -> bool:
        """Whether the artefact must be measured again when the weights of the model have been changed."""
        return True

    def attach(self, model: FittedModel) -> FittedModel:
        """Return the model with this artefact."""
        return model.with_artefact(self)

    def check(self, model: FittedModel, records: TrainingRecords) -> None:  # noqa: B027  most have nothing to warn of
        """Warn if the artefact shows a problem of the model; called when all artefacts are measured."""

    @abstractmethod
    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays for a model file, by unique names such as ``"pca.mean"``."""

    def to_json(self) -> dict[str, Any]:
        """Return additional entries for the header of a model file, by unique names."""
        return {}

    @classmethod
    @abstractmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        """Return the artefact stored by `to_tensors` and `to_json`; None if the file does not contain it.

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
