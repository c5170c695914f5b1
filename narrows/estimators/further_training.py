"""What all estimators share that train a fitted model further: what must stay, the stage, and the optimiser's state."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrows.adversaries import Adversary
from narrows.chain import Chain
from narrows.corruptions import Corruption
from narrows.errors import InvalidParameterError
from narrows.estimators.base import RecordsEstimator
from narrows.model.fitted import FittedModel, Kept
from narrows.model.weights import weights_digest
from narrows.numerics.threads import one_openmp_thread
from narrows.parts.loss_term import terms_of
from narrows.parts.options import SequenceOf, check
from narrows.parts.part import OneOf, as_optional_part
from narrows.penalties import Penalty
from narrows.training import Records, Stage, Training
from narrows.training.optimisers import Optimiser
from narrows.training.validation import mean_loss
from narrows.training.workers import Workers, most_workers

__all__ = [
    "FIXED",
    "KeepsMoments",
    "Moments",
    "check_fixed",
    "copy_of",
    "further_stage",
    "one_pass",
    "start_of",
]

Moments = dict[int, dict[str, Tensor]]
"""The state of an optimiser, as `narrows.training.optimisers.Stepper` has it."""

FIXED = (
    *("n_latent", "network", "bottleneck", "likelihood", "preprocessing", "real_values"),
    *("residual", "record", "conditional", "fill_value"),
)
"""The parameters of `Autoencoder` that determine the weights of a model."""


class KeepsMoments(RecordsEstimator):
    """Keeps the state of the optimiser from one call of `partial_fit` to the next; it is not saved in files."""

    _moments: tuple[Chain, Optimiser, Moments] | None = None  # for the weights of this chain

    def _keep_moments(self, model: FittedModel, settings: Training, stage: Stage) -> Self:
        """Hold a model that `partial_fit` has trained, with the state of its optimiser for the next call."""
        assert stage.stepper is not None
        self.model_ = model
        self._moments = (model.chain, settings.optimiser, stage.stepper.state)
        return self

    def _moments_for(self, settings: Training) -> Moments | None:
        """Return the state of the optimiser after the last call, if it is one of the same kind and of these weights."""
        if self._moments is None:
            return None
        chain, optimiser, moments = self._moments
        return moments if chain is self.chain_ and type(optimiser) is type(settings.optimiser) else None


def check_fixed(
    owner: str, names: Iterable[str], params: Mapping[str, Any], before: Mapping[str, Any], what: str
) -> None:
    """Refuse to continue with parameters that need other weights than the model has.

    Parameters
    ----------
    owner : str
        The estimator that has the parameters.
    names : iterable of str
        The names of the parameters that may not change.
    params, before : mapping
        The parameters now, and those of the fitted model.
    what : str
        How the training continues, such as "warm_start".

    Raises
    ------
    InvalidParameterError
        If one of them has changed.
    """
    for name in names:
        now, then = repr(params[name]), repr(before.get(name))
        if now != then:
            raise InvalidParameterError(
                f"The '{name}' of {owner} must be {then}, as in the fitted model, whose training {what} continues. "
                f"Got {now}. Set it back, or call fit without {what}, which trains a new model."
            )


def copy_of(chain: Chain, params: Mapping[str, Any]) -> Chain:
    """Return a copy of a chain, in train mode, with the parts of an autoencoder's parameters that shape training."""
    adversary = as_optional_part(Adversary, params.get("adversary"))
    corruption = as_optional_part(Corruption, params["corruption"])
    penalties = check("Autoencoder", "penalties", params["penalties"], SequenceOf(OneOf(Penalty)))
    chain = copy.deepcopy(chain)
    chain.zero_grad(set_to_none=True)
    chain.parts = replace(chain.parts, corruption=corruption, penalties=penalties, adversary=adversary)
    for term in terms_of(chain.parts):
        term.check_parts(chain.parts)
    chain.corruption, chain.penalties = corruption, penalties
    return chain.train()


def further_stage(
    stage: Stage, model: FittedModel, settings: Training, held_out: Records | None, moments: Moments | None
) -> tuple[Stage, Kept | None]:
    """Return a stage that continues the training of a fitted model, and the weights at its start if they may be kept.

    Parameters
    ----------
    stage : Stage
        The stage that would train a new model.
    model : FittedModel
        The model, with the history that is continued.
    settings : Training
        Settings of this run.
    held_out : Records or None
        The validation records.
    moments : dict or None
        The state of the optimiser; None: it starts without moments.
    """
    stepper = settings.optimiser.build(stage.learner.parameters())
    if moments is not None:
        stepper.restore(moments)
    stage = replace(stage, first_epoch=len(model.history), stepper=stepper)
    if not stage.keeps_best or held_out is None:
        return stage, None
    with one_openmp_thread(), Workers(most_workers(settings.threads)) as workers:
        stage = replace(stage, start_loss=mean_loss(stage.learner, held_out, workers))
    return stage, None if model.kept is None else replace(model.kept, validation_loss=stage.start_loss)


def one_pass(settings: Training) -> Training:
    """Return settings for one pass over all records at a constant learning rate, as `partial_fit` trains."""
    return settings.clone().set_params(epochs=1, schedule="constant", validation=0.0, patience=None)


def start_of(model: FittedModel, more_epochs: int | None) -> dict[str, NDArray[Any] | None]:
    """Return the weights at the start of a run and its number of epochs, which identify it besides its records."""
    start: dict[str, NDArray[Any] | None] = {
        "initial weights": _numbers_of(weights_digest(model.chain)),
        "more epochs": None if more_epochs is None else np.array([more_epochs]),
    }
    return start | {f"initial {name}": array for name, array in model.arrays.items()}


def _numbers_of(digest: str) -> NDArray[np.int64]:
    return np.frombuffer(bytes.fromhex(digest), np.uint8).astype(np.int64)
