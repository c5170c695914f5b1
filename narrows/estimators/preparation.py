"""The untrained parts of a fit, and the stages that train them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.chain import Chain, Parts
from narrows.data import Source
from narrows.data import columns as statistics
from narrows.data.fill import check_fill, check_some_known
from narrows.data.finite import described
from narrows.data.tables.sources import table_of_array
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.defaults import choose_parts
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import Stream, generator, rng
from narrows.numerics.threads import one_openmp_thread
from narrows.parts.options import Choice, check
from narrows.parts.part import as_optional_part
from narrows.records import Columns, Schema, schema_of
from narrows.training import (
    LabelledRecords,
    Records,
    Stage,
    Training,
    resolve_device,
    resolve_training,
)
from narrows.training.adversarial import AdversarialChain
from narrows.training.partners import nearest_records
from narrows.training.pretraining import Pretraining

__all__ = [
    "becomes_image",
    "chain_stage",
    "check_patience",
    "discriminator_of",
    "labelled",
    "may_hold_out",
    "n_held_out",
    "new_chain",
    "parts_for",
    "precision_of",
    "pretraining_stages",
    "schema_for",
    "split",
    "whole",
]

_BATCH = 1024
# Records held out by default: a tenth, at least 20 and at most 2,000, but never more than a quarter.
_FEW, _ENOUGH = 20, 2000


def parts_for(params: Mapping[str, Any], source: Source, schema: Schema, seed: int, *, n_classes: int = 0) -> Parts:
    """Return the parts for an autoencoder's parameters and these data."""
    asked = params.get("fill_value")
    if asked is None and isinstance(schema, Columns):
        asked = math.nan  # a missing cell
    fill_value = None if asked is None else check_fill(asked, source.dtype, allow_nan=True)
    check_some_known(source, fill_value)
    columns = statistics.Columns.of(source.values, seed, fill_value=fill_value)
    parts = choose_parts(params, schema, columns)
    likelihood = parts.likelihood.for_values(source.values)
    return replace(parts, likelihood=likelihood, n_classes=n_classes, fill_value=fill_value)


def schema_for(record: str, source: Source) -> Schema:
    """Return what records are: as a parameter says; "auto": as their source says, otherwise by their shape."""
    check("Autoencoder", "record", record, Choice("auto", *Schema.registry))
    schema = schema_of(source.record if record == "auto" else record, source.shape, source.dtype)
    if not isinstance(schema, Columns):
        return schema
    table = table_of_array(source.values, source.columns) if source.table is None else source.table
    return replace(schema, fields=table.fields, texts=table.texts, skipped=table.skipped)


def becomes_image(params: Mapping[str, Any], source: Source) -> bool:
    """Return whether records are images for a model only because of their shape, with parameters that are "auto"."""
    if (params["record"], params["network"]) != ("auto", "auto"):
        return False
    if source.record != "auto":
        return False
    schema = schema_for("auto", source)
    return parts_for(params, source, schema, 0).network.for_images


def new_chain(
    parts: Parts, settings: Training, source: Source, records: Records, seed: int, *, more: Sequence[Source] = ()
) -> Chain:
    """Return an untrained chain, prepared for the training records.

    Parameters
    ----------
    parts, settings : Parts, Training
        What to build, and how it is to be trained.
    source, more : Source, sequence of Source
        The data that the records are taken from.
    records : Records
        The training records.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    DataError
        If a preprocessed value is not finite.
    """

    def check() -> None:
        for one in (source, *more):
            _check_preprocessed(chain, one)

    chain = Chain(parts, source.shape, source.dtype, generator(seed, Stream.WEIGHTS))
    chain = chain.to(resolve_device(settings), precision_of(settings))
    with one_openmp_thread():  # the last bits of a sum depend on how threads share it
        chain.fit_preprocessing(records.batches, check=check, weights=records.weights_of())
    return chain


def precision_of(settings: Training) -> torch.dtype:
    """Return the dtype of the weights that settings ask for."""
    return torch.float64 if settings.precision == "float64" else torch.float32


def _check_preprocessed(chain: Chain, source: Source) -> None:
    """Refuse records that the chain's floats cannot represent after preprocessing, and say where they are.

    Raises
    ------
    DataError
        If a preprocessed value is not finite.
    """
    if source.dtype.kind != "f":
        return
    size = batch_size(source.shape, _BATCH)
    for start in range(0, len(source), size):
        values = np.array(source.values[start : start + size])
        bad = ~chain.prepare(torch.from_numpy(values).to(chain.device)).isfinite().cpu().numpy()
        if bad.any():
            raise DataError(
                f"{source.name}: a value is too large to train on. After preprocessing it exceeds the largest "
                f"{str(chain.dtype).removeprefix('torch.')}. It is {described(values, bad, start)}. Leave out this "
                "record, divide the values by a constant, or set training__precision='float64'."
            )


def pretraining_stages(params: Mapping[str, Any], chain: Chain, records: Records) -> list[Stage]:
    """Return the stages that come before the whole chain is trained."""
    pretraining = as_optional_part(Pretraining, params["pretraining"])
    if pretraining is not None and chain.parts.n_classes:
        raise InvalidParameterError(
            "Layer-wise pretraining cannot be used for conditional models. Set pretraining=None or conditional=False."
        )
    return [] if pretraining is None else pretraining.stages(chain, records)


def chain_stage(
    params: Mapping[str, Any],
    chain: Chain,
    records: Records,
    held_out: Records | None,
    *,
    name: str = "",
    keeps_best: bool = False,
    seed: int = 0,
) -> Stage:
    """Return the stage that trains the whole chain, against a new discriminator from ``seed`` if it has an adversary.

    With held-out records, the best weights are kept by request (``keeps_best``) and by networks with a linear path.

    Raises
    ------
    InvalidParameterError
        If early stopping is set without validation records.
    DataError
        If held-out values lie outside the likelihood's support.
    """
    settings = resolve_training(params["training"])
    check_patience(settings, held_out)
    if held_out is not None and chain.likelihood.is_bounded:
        for batch in held_out.batches(batch_size(chain.shape, _BATCH)):
            chain.check_support(batch)
    keep_best = held_out is not None and (keeps_best or chain.parts.network.linear_path)
    neighbours = _neighbours(chain, records)
    stage = Stage(chain, records, held_out, settings, name=name, keep_best=keep_best, neighbours=neighbours)
    if chain.parts.adversary is None:
        return stage
    learner = AdversarialChain(chain, seed)
    return replace(stage, learner=learner, opponent=learner.opponent())


def discriminator_of(stage: Stage) -> nn.Module | None:
    """Return the discriminator that a stage trains; None if there is none."""
    return None if stage.opponent is None else stage.opponent.module


def _neighbours(chain: Chain, records: Records) -> torch.Tensor | None:
    """Return the indices of the nearest records of each, as many as penalties ask for; None if none does."""
    k, unlabelled = max((one.n_partners for one in chain.penalties), default=0), getattr(records, "unlabelled", records)
    if k == 0 or len(records) < 2:
        return None
    size = batch_size(chain.shape, _BATCH)
    with one_openmp_thread():  # the last bits of a sum depend on how threads share it
        return nearest_records(lambda: map(chain.prepare, unlabelled.batches(size)), len(records), k)


def check_patience(settings: Training, held_out: Records | None) -> None:
    """Refuse early stopping without validation records."""
    if settings.patience is not None and held_out is None:
        raise InvalidParameterError(
            "Early stopping with 'patience' needs validation records. Set training__validation to a share such as 0.1, "
            "or pass records to fit as the argument 'validation'."
        )


def whole(**modules: nn.Module | None) -> nn.Module:
    """Return the modules that a checkpoint keeps, as one module; several are kept by name."""
    there = {name: module for name, module in modules.items() if module is not None}
    return next(iter(there.values())) if len(there) == 1 else nn.ModuleDict(there)


def labelled(records: Records, labels: NDArray[np.int64] | None) -> Records:
    """Return records with their labels, where there are any."""
    return records if labels is None else LabelledRecords(records, labels)


def may_hold_out(params: Mapping[str, Any]) -> bool:
    """Return whether `fit` may hold out training records for validation; with network="auto" it depends on the data."""
    share = resolve_training(params["training"]).validation
    if share is not None:
        return share > 0
    return params["network"] == "auto" or getattr(params["network"], "linear_path", False)


def n_held_out(settings: Training, n: int, *, by_default: bool) -> int:
    """Return how many of n training records are held out for validation.

    Parameters
    ----------
    settings : Training
        The share that was requested.
    n : int
        Number of records.
    by_default : bool
        Whether a default share is held out where no share was requested.

    Raises
    ------
    InvalidParameterError
        If the requested share leaves no record for training or for validation.
    """
    share = settings.validation
    if share is None:
        return min(max(n // 10, _FEW), n // 4, _ENOUGH) if by_default else 0
    if share > 0 and round(share * n) == 0:
        raise InvalidParameterError(
            f"The validation share must hold out at least one record. Got {share:g} of {n} "
            f"record{'s' if n != 1 else ''}, which rounds to 0. Set a larger share, or 0 for no validation."
        )
    if round(share * n) == n:
        raise InvalidParameterError(
            f"The validation share must leave at least one record for training. Got {share:g} of {n} "
            f"record{'s' if n != 1 else ''}. Set a smaller share."
        )
    return round(share * n)


def split(n: int, n_held_out: int, seed: int) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Draw which of n records are for training and which for validation; None, None: all are for training."""
    if n_held_out == 0:
        return None, None
    order = rng(seed, Stream.HELD_OUT).permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
