"""A fitted model: everything that training has learned, as one immutable value.

Estimators hold a fitted model as ``model_`` and delegate to it, and a model file stores one. Measuring an artefact
returns a new model that has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.data.scale import Trained
from narrows.errors import NotMeasuredError
from narrows.lossless.contract import Residual, ResidualModule
from narrows.model.artefacts import Artefact
from narrows.model.artefacts.pending import Pending
from narrows.model.comparison import Comparison
from narrows.model.halves import DecoderHalf, EncoderHalf
from narrows.model.race import Race
from narrows.model.weights import weights_digest
from narrows.records import Schema
from narrows.training import Epoch
from narrows.training.validation import best_epoch

if TYPE_CHECKING:
    import torch

__all__ = ["HOW_TO_MEASURE", "AnyArtefact", "FittedModel", "Kept", "Took", "TrainedOn"]

AnyArtefact = TypeVar("AnyArtefact", bound=Artefact)
AnyValue = TypeVar("AnyValue")

HOW_TO_MEASURE = "To measure it in Python, call model.measure(X) with the training records X."
_CHANGED = "It was measured before the weights of the model were changed."
_HOW_TO_REFREEZE = "To measure it again, call model.refreeze(X) with the training records X."
_OLD = {
    "density": "The model was saved by an older version of narrows, which stored no density of codes, and it was "
    "trained without a prior. Train it again."
}


@dataclass(frozen=True)
class Kept:
    """The weights that a fit kept, and their losses.

    Attributes
    ----------
    epoch : int or None
        The epoch whose weights were kept. None: a linear autoencoder at the principal components was kept instead of
        the trained network.
    loss : float
        Mean loss of a training record in nats. For a network it is averaged over the steps of the epoch.
    validation_loss : float or None
        Mean loss of a validation record in nats. None if there were no such records, or if a linear autoencoder was
        fitted to them, which happens only with records that were held out by default.
    """

    epoch: int | None
    loss: float
    validation_loss: float | None

    @classmethod
    def of(cls, history: Sequence[Epoch], *, keeps_best: bool, start: Kept | None = None) -> Kept:
        """Return the epoch whose weights a training loop keeps: the best on validation, or the last.

        The weights ``start`` of an earlier run are kept if they are the best.
        """
        kept = (best_epoch(history) if keeps_best else None) or history[-1]
        lowest = None if start is None or not keeps_best else start.validation_loss
        if lowest is not None and not (kept.validation_loss is not None and kept.validation_loss < lowest):
            return start  # type: ignore[return-value]
        return cls(kept.epoch, kept.loss, kept.validation_loss)


@dataclass(frozen=True)
class TrainedOn:
    """The training run of a model.

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


@dataclass(frozen=True)
class Took:
    """The duration of a fit.

    Attributes
    ----------
    training : float
        Seconds from its start until the weights were trained: reading the data, all epochs, validation, and the
        comparison with PCA. Of a continued run, the epochs before are included.
    measuring : float
        Seconds that artefacts were measured after that.
    """

    training: float
    measuring: float


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Everything that training has learned.

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
        The comparison with PCA on held-out records; None if there was none.
    kept : Kept or None
        The epoch whose weights were kept. None in models saved before it was recorded.
    classes : ndarray or None
        Sorted labels, where the model was trained with labels.
    feature_names : ndarray of str or None
        Column names of the training table.
    arrays : mapping of str to ndarray
        Additional arrays of the estimator, such as the weights of a classifier.
    residual : ResidualModule or None
        The trained residual model. None if there is none, or if the archive codec contains it.
    residual_part : Residual or None
        The settings of the residual model; None if the model was trained without one.
    race : Race or None
        The comparison of codes before the training; None if there was none.
    artefacts : mapping of str to Artefact
        The measured artefacts, by name.
    unmeasured : mapping of str to str
        The reason why each of the other artefacts is missing, by name.
    pending : mapping of str to Pending
        The artefacts that are measured at first use, by name.
    measured_with : mapping of str to str
        The digest of the weights that each artefact was measured with, or prepared with if it is pending, by name; only
        of artefacts that depend on them.
    took : Took or None
        The duration of the fit, with the runs that it continues. None in models saved before it was recorded, and
        after `partial_fit`.
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
    residual_part: Residual | None = None
    race: Race | None = None
    artefacts: Mapping[str, Artefact] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    measured_with: Mapping[str, str] = field(default_factory=dict)
    took: Took | None = None

    @property
    def n_latent(self) -> int:
        """The latent dimension: how many numbers a code has."""
        return math.prod(self.chain.bottleneck.z_shape)

    @property
    def seed(self) -> int:
        """The seed of the run's random streams."""
        return self.trained_on.seed

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest training value."""
        return self.scale.low, self.scale.high

    @property
    def written_dtype(self) -> np.dtype[Any] | None:
        """Dtype in which restored records are written to files: that of bytes, text and tables. None: as restored."""
        is_kept = self.schema.dtype == np.uint8 or self.schema.kind in {"text", "columns"}
        return self.schema.dtype if is_kept else None

    def has(self, name: str) -> bool:
        """Return whether the model has an artefact, which may be measured only at first use."""
        return name in self.artefacts or (name in self.pending and self.pending[name].failure is None)

    def measured(self, name: str) -> Artefact | None:
        """Return an artefact that has been measured, whether or not the weights were changed since; None if not."""
        is_pending = name in self.pending
        return self.pending[name].measured if is_pending else self.artefacts.get(name)

    @property
    def stale(self) -> tuple[str, ...]:
        """The names of the artefacts that were measured, or prepared, with other weights than the model has now."""
        if not self.measured_with:
            return ()
        now = weights_digest(self.chain)
        there = (*self.artefacts, *(name for name, one in self.pending.items() if one.may_depend_on_weights))
        return tuple(name for name in Artefact.registry if name in there and self.measured_with.get(name, now) != now)

    def artefact(self, kind: type[AnyArtefact]) -> AnyArtefact:
        """Return an artefact, whether or not the weights were changed since it was measured; see `current`.

        It is measured now if it is pending.

        Raises
        ------
        NotMeasuredError
            If the model does not have it; the message gives the reason, and how to measure it.
        """
        found = self.artefacts.get(kind.name)
        if found is None and self.has(kind.name):
            with suppress(NotMeasuredError):  # the reason is in the pending artefact
                found = self.pending[kind.name].result()
        if not isinstance(found, kind):
            raise NotMeasuredError(self.why_missing(kind.name))
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """The reason why each missing artefact is missing, by name."""
        failed = {name: one.failure for name, one in self.pending.items() if one.failure is not None}
        return {**self.unmeasured, **failed}

    def current(self, kind: type[AnyArtefact]) -> AnyArtefact:
        """Return an artefact that was measured with the present weights, whose digest is computed.

        It is measured now if it is pending.

        Raises
        ------
        NotMeasuredError
            As for `artefact`, and if the weights were changed since it was measured or prepared.
        """
        if kind.name in self.stale:
            raise NotMeasuredError(self.why_stale(kind.name))
        return self.artefact(kind)

    def why_stale(self, name: str) -> str:
        """Return what is wrong with an artefact that was measured with other weights, and what to do."""
        return f"The {Artefact.registry[name].title} does not match the model. {_CHANGED} {_HOW_TO_REFREEZE}"

    def why_missing(self, name: str) -> str:
        """Return the reason why an artefact is missing, and how to measure it."""
        reason = self.reasons.get(name, _OLD.get(name, "The model file does not contain it."))
        return f"The model has no {Artefact.registry[name].title}. {reason.rstrip('.')}. {HOW_TO_MEASURE}"

    def with_artefact(self, artefact: Artefact) -> Self:
        """Return the model with an artefact added or replaced."""
        model = self._without(artefact.name)
        if artefact.depends_on_weights:
            model = replace(model, measured_with={**model.measured_with, artefact.name: weights_digest(self.chain)})
        return replace(model, artefacts=_in_order({**model.artefacts, artefact.name: artefact}))

    def with_pending(self, name: str, pending: Pending) -> Self:
        """Return the model with an artefact that is measured at first use, with the present weights."""
        model = self._without(name)
        digests = {**model.measured_with, name: weights_digest(self.chain)}
        return replace(model, pending=_in_order({**model.pending, name: pending}), measured_with=digests)

    def without_artefact(self, name: str, reason: str) -> Self:
        """Return the model without an artefact; the reason is stored."""
        model = self._without(name)
        return replace(model, unmeasured={**model.unmeasured, name: reason})

    def without_pending(self, reason: str) -> Self:
        """Return the model without the artefacts that are not measured yet; the reason is stored."""
        model = self
        for name in self.pending:
            model = model.without_artefact(name, reason)
        return model

    def _without(self, name: str) -> Self:
        """Return the model without any entry for an artefact."""
        return replace(
            self,
            artefacts=_other(self.artefacts, name),
            unmeasured=_other(self.unmeasured, name),
            pending=_other(self.pending, name),
            measured_with=_other(self.measured_with, name),
        )

    def without(self, stale: Iterable[str]) -> Self:
        """Return the model without these artefacts, which were measured with other weights."""
        model = self
        for name in stale:
            model = model.without_artefact(name, _CHANGED)
        return model

    @cached_property
    def encoder(self) -> EncoderHalf:
        """Preprocessing, encoder and bottleneck as a module, which shares the weights of the chain."""
        return EncoderHalf(self.chain)

    @cached_property
    def decoder(self) -> DecoderHalf:
        """Decoder and inverse of the preprocessing as a module, which shares the weights of the chain."""
        return DecoderHalf(self.chain)

    def to(self, device: torch.device) -> Self:
        """Return the model with its weights on a device."""
        residual = None if self.residual is None else self.residual.to(device)
        return replace(self, chain=self.chain.to(device).eval(), residual=residual)


def _in_order(by_name: Mapping[str, AnyValue]) -> dict[str, AnyValue]:
    """Return what artefacts are mapped to in the order of their registry, in which files list them."""
    return {name: by_name[name] for name in Artefact.registry if name in by_name}


def _other(by_name: Mapping[str, AnyValue], name: str) -> dict[str, AnyValue]:
    """Return the entries of all other names."""
    return {other: value for other, value in by_name.items() if other != name}
