"""A fitted model: everything that training has learned, as one value that does not change.

Estimators hold one as ``model_`` and delegate to it; a model file is one written down. What is measured later gives
another model, with one more artefact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.data.scale import Trained
from narrows.errors import NotMeasuredError
from narrows.lossless.contract import ResidualModule
from narrows.model.artefacts import Artefact
from narrows.model.comparison import Comparison
from narrows.records import Schema

if TYPE_CHECKING:
    import torch

__all__ = ["FittedModel", "Kept", "TrainedOn"]

AnyArtefact = TypeVar("AnyArtefact", bound=Artefact)

_HOW = "In Python, model.measure(X) measures what is missing, X being the training records."
_OLD = {
    "density": "The model was saved before models had a density of their codes, and it was not trained for a prior "
    "either. Train it again."
}


@dataclass(frozen=True)
class Kept:
    """Which weights a fit kept, and what they cost.

    Attributes
    ----------
    epoch : int or None
        Whose weights were kept. None: not those of the network that was trained, but a linear autoencoder at the
        principal components.
    loss : float
        Mean loss of a training record in nats: of a network that of the epoch, while the weights were changing.
    validation_loss : float or None
        Mean loss of a validation record in nats. None where there were none, or where the linear autoencoder has
        learned from them in the end, as it does from those held out by default.
    """

    epoch: int | None
    loss: float
    validation_loss: float | None


@dataclass(frozen=True)
class TrainedOn:
    """The run that a model comes from.

    Attributes
    ----------
    name : str
        Name of the data.
    n_records : int
        Number of records, without those held out.
    seed : int
        The seed of the run's random streams.
    """

    name: str
    n_records: int
    seed: int


@dataclass(frozen=True, eq=False)
class FittedModel:
    """What training has learned.

    Attributes
    ----------
    kind : str
        Kind of the estimator: "autoencoder" or "classifier".
    parameters : mapping
        The estimator's parameters.
    chain : Chain
        The trained parts in a row.
    schema : Schema
        What a record is.
    scale : Trained
        Range and magnitude of the training values.
    trained_on : TrainedOn
        The run.
    history, pretraining_history : list of dict
        One row for each epoch of the main stage, and of the stages before it.
    comparison : Comparison or None
        The model beside PCA on records held out, where that decided which of them was kept.
    kept : Kept or None
        The epoch whose weights were kept. None in models saved before it was recorded.
    classes : ndarray or None
        Sorted labels, where the model was trained with labels.
    feature_names : ndarray of str or None
        Column names of the training table.
    arrays : mapping of str to ndarray
        What a kind of estimator has learned besides: the weights of a classifier.
    residual : ResidualModule or None
        The trained network of residuals, until the archive codec has it.
    artefacts : mapping of str to Artefact
        What was measured, by name.
    unmeasured : mapping of str to str
        Why other artefacts were not.
    """

    kind: str
    parameters: Mapping[str, Any]
    chain: Chain
    schema: Schema
    scale: Trained
    trained_on: TrainedOn
    history: list[dict[str, Any]]
    pretraining_history: list[dict[str, Any]] = field(default_factory=list)
    comparison: Comparison | None = None
    kept: Kept | None = None
    classes: NDArray[Any] | None = None
    feature_names: NDArray[Any] | None = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    residual: ResidualModule | None = None
    artefacts: Mapping[str, Artefact] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_latent(self) -> int:
        """Numbers in the code of a record."""
        return math.prod(self.chain.bottleneck.z_shape)

    @property
    def seed(self) -> int:
        """The seed of the run's random streams."""
        return self.trained_on.seed

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest training value."""
        return self.scale.low, self.scale.high

    def has(self, name: str) -> bool:
        """Return whether the model has an artefact."""
        return name in self.artefacts

    def artefact(self, kind: type[AnyArtefact]) -> AnyArtefact:
        """Return an artefact.

        Raises
        ------
        NotMeasuredError
            If the model does not have it; says why, and how to measure it.
        """
        found = self.artefacts.get(kind.name)
        if not isinstance(found, kind):
            raise NotMeasuredError(self.why_missing(kind.name))
        return found

    def why_missing(self, name: str) -> str:
        """Return why an artefact is missing, and how to measure it."""
        reason = self.unmeasured.get(name, _OLD.get(name, "The model was saved without it."))
        return f"The model has no {Artefact.registry[name].title}. {reason.rstrip('.')}. {_HOW}"

    def with_artefact(self, artefact: Artefact) -> Self:
        """Return the model with one more artefact."""
        reasons = {name: reason for name, reason in self.unmeasured.items() if name != artefact.name}
        return replace(self, artefacts={**self.artefacts, artefact.name: artefact}, unmeasured=reasons)

    def without_artefact(self, name: str, reason: str) -> Self:
        """Return the model without an artefact, and with the reason."""
        others = {other: artefact for other, artefact in self.artefacts.items() if other != name}
        return replace(self, artefacts=others, unmeasured={**self.unmeasured, name: reason})

    def to(self, device: torch.device) -> Self:
        """Return the model with its weights on a device."""
        residual = None if self.residual is None else self.residual.to(device)
        return replace(self, chain=self.chain.to(device).eval(), residual=residual)
