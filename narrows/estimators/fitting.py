"""The training of an autoencoder: the part of `Autoencoder.fit` between opening the data and measuring artefacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import nn

from narrows.chain import Chain
from narrows.data import Source
from narrows.data.scale import Trained
from narrows.data.tables.new_texts import arrays_of_texts
from narrows.errors import DataWarning, FreezeWarning, warn
from narrows.estimators.budget import ending_early
from narrows.estimators.map_network import is_compared
from narrows.estimators.parameters import artefacts_of
from narrows.estimators.planning import Planned, holds_out, planned
from narrows.estimators.preparation import (
    chain_stage,
    discriminator_of,
    labelled,
    new_chain,
    parts_for,
    pretraining_stages,
    whole,
)
from narrows.estimators.race import RESIDUAL_HELD_OUT, first_records
from narrows.estimators.rounded_records import rounded_records, some_values
from narrows.estimators.selection import choose
from narrows.estimators.training_data import LabelledSource, Split
from narrows.estimators.value_counts import few_levels
from narrows.estimators.watching import Watching
from narrows.lossless.contract import Residual, ResidualModule
from narrows.model.artefacts import TrainingRecords
from narrows.model.artefacts.archive_codec import ArchiveCodec
from narrows.model.fitted import FittedModel, Kept, TrainedOn
from narrows.model.unfinished import describing, note_learned
from narrows.numerics.randomness import Stream, generator
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import one_openmp_thread
from narrows.records import Schema
from narrows.training import (
    Checkpoint,
    Epoch,
    Records,
    Stage,
    Training,
    resolve_device,
    resolve_training,
    train_on,
    training_device,
)
from narrows.training.interruption import TrainingInterrupted
from narrows.training.stages import rows_by_stage
from narrows.training.validation import mean_loss
from narrows.training.workers import Workers, most_workers

__all__ = ["train_model", "train_stages"]

_FEWEST = 3


def _warn_of_few(source: Source) -> None:
    """Warn of so few records that a model memorises them."""
    n = len(source)
    if n < _FEWEST:
        text = f"{source.name} has only {n} training record{'s' if n > 1 else ''}. "
        text += f"A model memorises {'so few records' if n > 1 else 'it'} and does not restore others."
        warn(DataWarning(text, kind="few-records", count=n))


@usual_settings()
def train_model(
    params: Mapping[str, Any],
    data: LabelledSource,
    validation: LabelledSource | None,
    *,
    schema: Schema,
    scale: Trained,
    classes: NDArray[Any] | None,
    feature_names: NDArray[Any] | None,
    seed: int,
    callback: Watching,
    **run: Any,
) -> tuple[FittedModel, Stage, TrainingRecords]:
    """Train the model that an autoencoder's parameters describe.

    Parameters
    ----------
    params : mapping
        The result of `Autoencoder.get_params`.
    data, validation : LabelledSource
        The records for training and for validation.
    schema : Schema
        What a record is.
    scale : Trained
        Range and magnitude of the training values.
    classes : ndarray or None
        The labels of a conditional model.
    feature_names : ndarray of str or None
        The names of the columns of a table.
    seed : int
        Seed of all randomness.
    callback : Watching
        The callback of the fit; it gets the model.
    **run
        The arguments ``checkpoint`` and ``resume`` of `narrows.training.train`.

    Returns
    -------
    model : FittedModel
        Without artefacts.
    stage : Stage
        The stage that trained it; with its optimiser, unless there was pretraining.
    records : TrainingRecords
        The training records, without those held out.
    """
    settings, source, labels = resolve_training(params["training"]), data.source, data.labels
    parts = parts_for(params, source, schema, seed, n_classes=0 if classes is None else len(classes))
    apart = Split.of(data, validation, settings, seed, by_default=holds_out(params, parts, source))
    _warn_of_few(source)
    learned_from, records = apart.records, labelled(apart.records, labels)
    plan = planned(params, parts, source, apart, seed=seed, callback=callback, **run)
    settings = plan.settings
    chain = new_chain(plan.parts, settings, source, learned_from, seed)
    if ArchiveCodec.name in artefacts_of(params["artefacts"]):
        _warn_if_too_large(chain)
    pretraining = pretraining_stages(params, chain, records)
    stage_name = "all layers" if pretraining else plan.name
    how: dict[str, Any] = {"name": stage_name, "seed": seed, "keeps_best": is_compared(params["network"], plan.parts)}
    stage = chain_stage({"training": settings}, chain, records, apart.held_out, **how)
    stage = stage if pretraining else replace(stage, stepper=settings.optimiser.build(chain.parameters()))
    stages, residual = [*pretraining, stage], None
    if plan.residual is not None:
        residual, residual_stage = _for_residuals(plan, plan.residual, source, apart, seed)
        stages.append(residual_stage)
    model = FittedModel(
        kind="autoencoder",
        parameters=params,
        chain=chain,
        schema=schema,
        scale=scale,
        trained_on=TrainedOn(source.name, len(learned_from), seed),
        history=[],
        classes=classes,
        feature_names=feature_names,
        residual=residual,
        residual_part=plan.residual,
        race=plan.race,
        arrays={} if source.table is None else arrays_of_texts(source.table),
    )
    callback.watch(model)
    run |= {"callback": callback, "seed": seed}
    everything = whole(chain=chain, residual=residual, discriminator=discriminator_of(stage))
    histories = train_stages(model, settings, stages, len(pretraining), everything, **run)
    history = histories[len(pretraining)]
    is_auto = isinstance(params["network"], str) and params["network"] == "auto"
    with one_openmp_thread():  # the last bits of a sum depend on how threads share it
        comparison, kept_chain = choose(
            chain, learned_from, apart.held_out, is_auto=is_auto, settings=settings, source=source, seed=seed
        )
    kept = Kept.of(history, keeps_best=stage.keeps_best)
    if kept_chain is not chain:
        learned_from = apart.everything.only(apart.rows_for_pca)
        records = labelled(learned_from, labels)
        kept = _kept_linear(kept_chain, records, apart, settings)
    model = replace(
        model,
        chain=kept_chain.eval(),
        trained_on=TrainedOn(source.name, len(learned_from), seed),
        history=[row.to_json() for row in history],
        pretraining_history=rows_by_stage([one.name for one in pretraining], histories[: len(pretraining)]),
        comparison=comparison,
        kept=kept,
    )
    more = (None if plan.race is None else apart.held_out, source.labels, labels)
    return model, stage, TrainingRecords(source.values, apart.rows_for_pca, records, learned_from, *more)


def train_stages(
    model: FittedModel,
    settings: Training,
    stages: Sequence[Stage],
    main: int,
    everything: nn.Module,
    *,
    checkpoint: Checkpoint | None,
    complete: Callable[[FittedModel], FittedModel] = lambda model: model,
    **run: Any,
) -> list[list[Epoch]]:
    """Train a model, with a checkpoint that can be read as one; add to an interruption what was learned.

    Parameters
    ----------
    model : FittedModel
        The model, before it is trained.
    settings : Training
        Settings of the run, which give the device and the threads.
    stages, main
        As for `note_learned`.
    everything : Module
        The module that contains all learners.
    checkpoint : Checkpoint or None
        The file for the state of the run.
    complete : callable
        Returns the model with what the estimator learns besides the chain.
    **run
        Further arguments of `narrows.training.train`.
    """
    if checkpoint is not None:
        checkpoint = describing(checkpoint, model, stages, main)
    try:
        device, threads = training_device(settings), settings.threads
        return train_on(device, stages, everything, checkpoint=checkpoint, threads=threads, **run)
    except TrainingInterrupted as stop:
        note_learned(stop, complete(model), stages, main)
        raise


def _warn_if_too_large(chain: Chain) -> None:
    """Warn before training that a model will have no archive codec because of its size."""
    from narrows.codec.freezing.limits import too_large

    reason = None if chain.parts.n_classes else too_large(chain)
    if reason is not None:
        warn(FreezeWarning(f"{reason} All other uses of the trained model work."))


def _kept_linear(chain: Chain, records: Records, apart: Split, settings: Training) -> Kept:
    """Return the losses of a linear autoencoder that was kept instead of the network."""
    most = most_workers(settings.threads) if records.device.type == "cpu" else 1
    with one_openmp_thread(), Workers(most) as workers:
        loss = mean_loss(chain, records, workers)
        unseen = None if apart.is_by_default else apart.held_out
        return Kept(None, loss, None if unseen is None else mean_loss(chain, unseen, workers))


def _for_residuals(
    plan: Planned, part: Residual, source: Source, apart: Split, seed: int
) -> tuple[ResidualModule, Stage]:
    """Return the untrained residual model and its stage; with held-out records, that ends when their loss stays."""
    rounding = part.rounding(some_values(apart.records))
    levels = few_levels(apart.records, apart.held_out) if rounding is None else tuple(rounding.levels.tolist())
    module = part.build(source.shape, source.dtype, generator(seed, Stream.LOSSLESS_WEIGHTS), levels)
    settings, few = part.training(len(apart.records)), None
    if plan.ends_early and apart.held_out is not None:
        settings = ending_early(settings, len(apart.records))
        few = rounded_records(first_records(apart.held_out, RESIDUAL_HELD_OUT), rounding)
    records = rounded_records(apart.records, rounding)
    stage = Stage(module, records, few, settings, "residuals", Stream.LOSSLESS_ORDER, Stream.LOSSLESS_NOISE)
    return module.to(resolve_device(plan.settings)), stage
