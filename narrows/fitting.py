"""The training of an autoencoder: what `Autoencoder.fit` does between checking its arguments and measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.artefacts import TrainingRecords
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.estimator import TRAIN_ON_FINITE, Data, labels_of
from narrows.options import Flag, check
from narrows.parameters import device_of, record_of, residual_of, training_of
from narrows.randomness import Stream, generator
from narrows.residuals.contract import Residual, ResidualModule
from narrows.selection import choose
from narrows.stages import (
    chain_stage,
    labelled,
    n_held_out,
    new_chain,
    parts_for,
    pretraining_stages,
    rows_by_stage,
    split,
    whole,
)
from narrows.training import Checkpoint, Records, Stage, Watcher, train

if TYPE_CHECKING:
    from narrows.autoencoder import Autoencoder

__all__ = ["CONDITIONAL", "LabelledSource", "described", "open_for_training", "train_parts"]

CONDITIONAL = "This conditional model"


@dataclass(frozen=True)
class LabelledSource:
    """Records, and for conditional models their classes.

    Attributes
    ----------
    source : Source
        n records.
    labels : ndarray of int, shape (n,), or None
        Their classes, from 0.
    """

    source: Source
    labels: NDArray[np.int64] | None = None


def open_for_training(
    model: Autoencoder, X: Data, y: ArrayLike | None, validation: Data | tuple[Data, ArrayLike] | None
) -> tuple[LabelledSource, LabelledSource | None]:
    """Return the records to train on and those to validate on; the model learns their shape and its classes."""
    source = model._open(X, reset=True, advice=TRAIN_ON_FINITE)
    check("Autoencoder", "conditional", model.conditional, Flag())
    labels, held_out_labels = None, None
    if model.conditional:
        model.classes_, labels = np.unique(labels_of(source, y, owner=CONDITIONAL), return_inverse=True)
        if model.residual is not None:
            raise InvalidParameterError("A conditional model makes no archives: set residual=None.")
    if validation is None:
        return LabelledSource(source, labels), None
    x, of_x = validation if model.conditional and isinstance(validation, tuple) else (validation, None)
    held_out = model._open(x, reset=False, advice=TRAIN_ON_FINITE)
    if model.conditional:
        held_out_labels = model._positions(labels_of(held_out, of_x, owner=CONDITIONAL))
    return LabelledSource(source, labels), LabelledSource(held_out, held_out_labels)


def described(
    data: LabelledSource, validation: LabelledSource | None
) -> tuple[dict[str, Source | None], dict[str, NDArray[np.int64] | None]]:
    """Return what runs are told apart by: the records that are seen, and the labels that are told."""
    held_out, its_labels = (None, None) if validation is None else (validation.source, validation.labels)
    return {"data": data.source, "validation data": held_out}, {"labels": data.labels, "validation labels": its_labels}


def train_parts(
    params: Mapping[str, Any],
    data: LabelledSource,
    validation: LabelledSource | None,
    n_classes: int,
    seed: int,
    *,
    watcher: Watcher | None,
    checkpoint: Checkpoint | None,
    resume: bool,
) -> tuple[dict[str, Any], TrainingRecords]:
    """Train what an autoencoder's parameters mean.

    Returns
    -------
    learned : dict
        The attributes of the trained autoencoder, by name.
    records : TrainingRecords
        What it was trained on, without what was held out.
    """
    settings, source, labels = training_of(params["training"]), data.source, data.labels
    parts = parts_for(params, source, seed, n_classes=n_classes)
    n_apart = 0 if validation is not None else n_held_out(settings, parts, len(source))
    rows, held_out_rows = split(len(source), n_apart, seed)
    device = device_of(settings)
    all_records = Records(source.values, device)  # there once; all others are rows of it
    records = all_records.only(rows)
    held_out = None if held_out_rows is None else labelled(all_records.only(held_out_rows), labels)
    if validation is not None:
        held_out = labelled(Records(validation.source.values, device), validation.labels)
    chain = new_chain(parts, settings, source, records, seed)
    learned_from = labelled(records, labels)
    pretraining = pretraining_stages(params, chain, learned_from)
    stages = [
        *pretraining,
        chain_stage(params, chain, learned_from, held_out, name="all layers" if pretraining else ""),
    ]
    part, residual = residual_of(params["residual"]), None
    if part is not None:
        residual = part.build(source.shape, source.dtype, generator(seed, Stream.LOSSLESS_WEIGHTS)).to(device)
        stages.append(_residual_stage(part, residual, records))
    everything = whole(chain=chain, residual=residual)
    run: dict[str, Any] = {"watcher": watcher, "checkpoint": checkpoint, "resume": resume}
    histories = train(stages, everything, seed=seed, threads=settings.threads, **run)
    is_auto = isinstance(params["network"], str) and params["network"] == "auto"
    comparison, chain = choose(chain, records, held_out, is_auto=is_auto, settings=settings, source=source, seed=seed)
    to_choose_by = settings.validation is None and held_out_rows is not None  # of these, PCA may learn as well
    if comparison is not None and not comparison.keeps_network and to_choose_by:
        records, learned_from = all_records, labelled(all_records, labels)
    learned = {
        "chain_": chain.eval(),
        "record_": record_of(params["record"], source.shape),
        "residual_": residual,
        "history_": [row.to_json() for row in histories[len(pretraining)]],
        "pretraining_history_": rows_by_stage(pretraining, histories[: len(pretraining)]),
        "n_latent_": math.prod(chain.bottleneck.z_shape),
        "trained_on_": {"name": source.name, "n_records": len(records), "seed": seed},
        "comparison_": comparison,
    }
    return learned, TrainingRecords(source.values, None if to_choose_by else rows, learned_from, records)


def _residual_stage(part: Residual, module: ResidualModule, records: Records) -> Stage:
    settings, name = part.training(len(records)), "residuals"
    return Stage(module, records, None, settings, name, order=Stream.LOSSLESS_ORDER, noise=Stream.LOSSLESS_NOISE)
