"""The training on labels: the learner, its stage, and the stages before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.adversaries import Adversary
from narrows.chain import Chain
from narrows.data import Source
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.fitting import train_stages
from narrows.estimators.preparation import chain_stage, pretraining_stages, whole
from narrows.estimators.watching import Watching
from narrows.model.fitted import FittedModel, Kept
from narrows.networks.initialisation import undrawn
from narrows.numerics.batches import Labelled
from narrows.numerics.foreign_draws import draws_from
from narrows.numerics.randomness import Stream
from narrows.parts.part import as_optional_part
from narrows.training import Checkpoint, JoinedRecords, LabelledRecords, Records, Stage, Training, Uncoupled
from narrows.training.stages import rows_by_stage

__all__ = [
    "LabelLearner",
    "LabelLoss",
    "LabelRun",
    "labels_stage",
    "new_softmax_layer",
    "softmax_layer_of",
    "stages_without_labels",
    "together",
    "with_softmax",
    "without_labels",
]


@dataclass(frozen=True)
class LabelRun:
    """A training on labels that is about to begin.

    Attributes
    ----------
    model : FittedModel
        The classifier before the run; its histories are continued.
    softmax_layer : Linear
        The layer on top of the code.
    stages : sequence of Stage
        The stages of the run. The last one trains on labels.
    settings : Training
        Settings of the last stage.
    seed : int
        Seed of the run's random streams.
    """

    model: FittedModel
    softmax_layer: nn.Linear
    stages: Sequence[Stage]
    settings: Training
    seed: int

    def train(self, callback: Watching, *, checkpoint: Checkpoint | None = None, resume: bool = False) -> FittedModel:
        """Train in place and return the classifier; its callback has an autoencoder with the same chain at hand."""
        callback.watch(replace(self.model, kind="autoencoder", arrays={}, classes=None))
        *before, last = self.stages
        histories = train_stages(
            self.model,
            self.settings,
            self.stages,
            len(before),
            whole(chain=self.model.chain, softmax=self.softmax_layer),
            checkpoint=checkpoint,
            complete=partial(with_softmax, softmax_layer=self.softmax_layer),
            seed=self.seed,
            callback=callback,
            resume=resume,
        )
        rows = rows_by_stage([stage.name for stage in before], histories[:-1])
        return replace(
            with_softmax(self.model, self.softmax_layer),
            chain=self.model.chain.eval(),
            history=[*self.model.history, *(row.to_json() for row in histories[-1])],
            pretraining_history=[*self.model.pretraining_history, *rows],
            kept=Kept.of(histories[-1], keeps_best=last.keeps_best, start=self.model.kept),
        )


@dataclass(frozen=True)
class LabelLoss:
    """The loss of records, shape (n,)."""

    total: Tensor
    statistic: None = None


class LabelLearner(Uncoupled, nn.Module):
    """The encoder of a chain with a softmax on its code."""

    def __init__(self, chain: Chain, softmax_layer: nn.Linear) -> None:
        super().__init__()
        self.shape = chain.shape
        self.encoder, self.bottleneck, self.softmax_layer = chain.encoder, chain.bottleneck, softmax_layer
        self.foreign_modules = (chain,)  # in a tuple, since the decoder is not trained
        self.couples_records = chain.bottleneck.couples_records or chain.parts.network.couples_records

    def train(self, mode: bool = True) -> Self:
        (chain,) = self.foreign_modules
        chain.train(mode)
        return super().train(mode)

    def loss(self, batch: Labelled, generator: Generator | None = None) -> LabelLoss:
        """Return −log p(label | record); with a generator, the chain's corruption is applied to the records first."""
        (chain,) = self.foreign_modules
        x = chain.corrupt(chain.prepare(batch.records), generator, chain.missing_of(batch.records))
        with draws_from(generator if chain.user_code else None):
            logits = self.logits(x, generator)
        return LabelLoss(functional.cross_entropy(logits, batch.labels, reduction="none"))

    def logits(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return log p(c | x) up to a constant for preprocessed records x, shape (n, n_classes)."""
        logits: Tensor = self.softmax_layer(self.bottleneck(self.encoder(x), generator).z.flatten(1))
        return logits


def refuse_adversary(params: Mapping[str, Any]) -> None:
    """Refuse the parameters of an autoencoder with an adversary, which trains nothing here.

    Raises
    ------
    InvalidParameterError
        Names it.
    """
    adversary = as_optional_part(Adversary, params.get("adversary"))
    if adversary is not None:
        raise InvalidParameterError(
            "The autoencoder of a new classifier cannot have an adversary, which is not trained on labels. "
            f"Got adversary='{adversary.name}'. Set adversary=None, or train the autoencoder first and give it as "
            "'start'."
        )


def stages_without_labels(
    params: Mapping[str, Any], chain: Chain, records: Records, held_out: Records | None
) -> list[Stage]:
    """Return the stages that come before the labels: pretraining, or else the whole autoencoder."""
    stages = pretraining_stages(params, chain, records)
    if stages:
        return stages
    # Early stopping uses the records on which the labels are validated.
    to_stop_by = held_out.unlabelled if isinstance(held_out, LabelledRecords) else None
    return [chain_stage(params, chain, records, to_stop_by, name="restoring")]


def labels_stage(learner: LabelLearner, records: Records, held_out: Records | None, settings: Training) -> Stage:
    """Return the stage that trains encoder and softmax on labels."""
    order, noise = Stream.LABELS_ORDER, Stream.LABELS_NOISE
    return Stage(learner, records, held_out, settings, name="labels", order=order, noise=noise)


def with_softmax(model: FittedModel, softmax_layer: nn.Linear) -> FittedModel:
    """Return a classifier's model with the weights of its softmax as arrays."""
    coef, intercept = (weight.detach().cpu().numpy() for weight in softmax_layer.parameters())
    return replace(model, arrays={"coef": coef, "intercept": intercept})


def new_softmax_layer(chain: Chain, n_classes: int) -> nn.Linear:
    """Return an untrained layer that gives all classes the same probability."""
    layer = undrawn(nn.Linear, math.prod(chain.bottleneck.z_shape), n_classes)
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer.to(chain.device, chain.dtype)


def softmax_layer_of(model: FittedModel, chain: Chain) -> nn.Linear:
    """Return the layer with the weights of a trained classifier, on the device of a chain."""
    layer = new_softmax_layer(chain, len(model.arrays["intercept"]))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(model.arrays["coef"]))
        layer.bias.copy_(torch.from_numpy(model.arrays["intercept"]))
    return layer


def together(records: Records, others: Sequence[Records]) -> Records:
    """Return all records for the training without labels: those with labels, and others."""
    return JoinedRecords([records, *others]) if others else records


def without_labels(source: Source, unlabelled: Sequence[Source], records: Records) -> list[Records]:
    """Return records without labels, on the device of those of a source that have some.

    Raises
    ------
    DataError
        If their dtype is another.
    """
    for one in unlabelled:
        if one.dtype != source.dtype:
            raise DataError(
                f"Labelled and unlabelled records must have the same dtype. Got {source.dtype} (labelled) and "
                f"{one.dtype} (unlabelled). Convert one of them with astype."
            )
    return [Records(one.values, records.device) for one in unlabelled]
