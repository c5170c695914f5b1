"""What a fit trains, and in which stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.auto import choose_parts
from narrows.batches import batch_size
from narrows.chain import Chain
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.parameters import device_of, pretraining_of, training_of
from narrows.training import LabelledRecords, Records, Stage, Training, stream
from narrows.training.workers import one_openmp_thread

__all__ = ["chain_stage", "check_patience", "new_chain", "pretraining_stages", "records_of", "split", "whole"]

_BATCH = 1024


def new_chain(params: Mapping[str, Any], source: Source, records: Records, seed: int, *, n_classes: int = 0) -> Chain:
    """Return the untrained chain that an autoencoder's parameters mean, prepared for the records to train on."""
    settings = training_of(params["training"])
    parts = replace(choose_parts(params, source.shape, source.dtype), n_classes=n_classes)
    precision = torch.float64 if settings.precision == "float64" else torch.float32
    chain = Chain(parts, source.shape, source.dtype, stream(seed, 0)).to(device_of(settings), precision)
    with one_openmp_thread():  # how sums are cut among threads decides their last bits
        chain.prepare_for(records.batches)
    return chain


def pretraining_stages(params: Mapping[str, Any], chain: Chain, records: Records) -> list[Stage]:
    """Return the stages that come before the whole chain is trained."""
    pretraining = pretraining_of(params["pretraining"])
    if pretraining is not None and chain.parts.n_classes:
        raise InvalidParameterError(
            "Layers are trained one by one without labels. Set pretraining=None, or conditional=False."
        )
    return [] if pretraining is None else pretraining.stages(chain, records)


def chain_stage(
    params: Mapping[str, Any], chain: Chain, records: Records, held_out: Records | None, *, name: str = ""
) -> Stage:
    """Return the stage that trains the whole chain.

    Raises
    ------
    InvalidParameterError
        If training is to stop early, and nothing is held out to stop by.
    DataError
        If the likelihood says nothing of values held out.
    """
    settings = training_of(params["training"])
    check_patience(settings, held_out)
    if held_out is not None and chain.likelihood.is_bounded:
        for batch in held_out.batches(batch_size(chain.shape, _BATCH)):
            chain.check_support(batch)
    return Stage(chain, records, held_out, settings, name=name)


def check_patience(settings: Training, held_out: Records | None) -> None:
    """Refuse early stopping where there is nothing to stop by."""
    if settings.patience is not None and held_out is None:
        raise InvalidParameterError(
            "Early stopping by 'patience' needs validation data. Set training__validation=0.1, or pass validation=."
        )


def whole(**modules: nn.Module | None) -> nn.Module:
    """Return what a checkpoint keeps: the modules there are as one, by their names if they are several."""
    there = {name: module for name, module in modules.items() if module is not None}
    return next(iter(there.values())) if len(there) == 1 else nn.ModuleDict(there)


def records_of(
    values: NDArray[Any],
    labels: NDArray[np.int64] | None,
    device: torch.device,
    rows: NDArray[np.int64] | None = None,
) -> Records:
    """Return records on a device, with their labels where there are any."""
    if labels is None:
        return Records(values, device, rows)
    return LabelledRecords(values, labels, device, rows)


def split(n: int, share: float, seed: int) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Draw which of n records to train on and which to hold out for validation; None, None: train on all."""
    n_held_out = round(share * n)
    if share == 0:
        return None, None
    if n_held_out == 0:
        raise InvalidParameterError(
            f"A validation share of {share:g} of {n} record{'s' if n != 1 else ''} is none. "
            "Set a larger share, or 0 to validate on nothing."
        )
    if n_held_out == n:
        raise InvalidParameterError(f"A validation share of {share:g} leaves nothing of {n} records.")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
