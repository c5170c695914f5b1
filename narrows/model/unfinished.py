"""Models whose training was interrupted: what they have learned so far, and checkpoints read as models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.errors import DataNotFoundError, ModelFileError, NarrowsError, UnfinishedWarning
from narrows.io.model_file import finite
from narrows.model.artefacts import Artefact
from narrows.model.file import describe, model_without_artefacts
from narrows.model.fitted import FittedModel, Kept
from narrows.training import Checkpoint, Epoch, Stage
from narrows.training.checkpoints import State, is_over, read_checkpoint
from narrows.training.interruption import TrainingInterrupted
from narrows.training.stages import rows_by_stage

__all__ = ["describing", "note_learned", "read_unfinished"]

_OLD = "It was written by an earlier version of narrows, whose checkpoints can only be continued."
_EARLY = "It was interrupted before the model itself was trained."
_CONTINUE = "Continue the run: fit(X, checkpoint=..., resume=True), or --resume."


def note_learned(stop: TrainingInterrupted, model: FittedModel, stages: Sequence[Stage], main: int) -> None:
    """Add to an interruption the model with what its run has learned so far.

    Parameters
    ----------
    stop : TrainingInterrupted
        The interruption.
    model : FittedModel
        The model that the run trains. Its weights are those that the run has left.
    stages : sequence of Stage
        The stages of the run.
    main : int
        The position of the stage whose history is that of the model.
    """
    if len(stop.histories) <= main or not stop.histories[main]:
        return
    names = [stage.name for stage in stages]
    stop.model = _with_histories(model, stop.histories, names, main, keeps_best=stages[main].keeps_best)
    is_running = len(stop.histories) == main + 1
    stop.n_learned = stop.n_complete if is_running else len(stop.histories[main])
    ended = None
    if not is_running:
        ended = _in_stage(names[len(stop.histories) - 1])
    elif stop.is_over:
        ended = ", and fit was interrupted before the model was complete"
    stop.warning = _warning(stop.model, stop.n_learned, stages[main].n_epochs, "The training", ended)


def describing(checkpoint: Checkpoint, model: FittedModel, stages: Sequence[Stage], main: int) -> Checkpoint:
    """Return a checkpoint whose file can be read as a model.

    Parameters
    ----------
    checkpoint : Checkpoint
        The checkpoint of a run.
    model : FittedModel
        The model that the run trains, before it is trained.
    stages : sequence of Stage
        The stages of the run.
    main : int
        The position of the stage whose history is that of the model.
    """
    described = {
        "header": finite(describe(model)),
        "stages": [stage.name for stage in stages],
        "main": main,
        "keeps_best": stages[main].keeps_best,
        "n_epochs": stages[main].n_epochs,
    }
    columns = {} if model.scale.columns is None else model.scale.columns.to_tensors()
    return replace(checkpoint, model=described, arrays={name: torch.from_numpy(a) for name, a in columns.items()})


def read_unfinished(path: str | os.PathLike[str]) -> tuple[FittedModel, UnfinishedWarning]:
    """Return the model in a checkpoint, with the weights so far, on the CPU; and the warning that tells of it.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the checkpoint is damaged, or contains no model that was trained.
    """
    if not os.path.isfile(path):
        raise DataNotFoundError(f"The checkpoint {os.fspath(path)} does not exist.")
    try:
        described, state = read_checkpoint(Path(path))
        if described.get("model") is None:
            raise ModelFileError(f"{path} is a checkpoint, but not a model. {_OLD} {_CONTINUE}")
        return _model(path, described["model"], state)
    except NarrowsError:
        raise
    except Exception as error:  # any error that a forged file can cause
        raise ModelFileError(f"{path} is a checkpoint with invalid content: {error}") from error


def _model(
    path: str | os.PathLike[str], described: dict[str, Any], state: State
) -> tuple[FittedModel, UnfinishedWarning]:
    main, values = int(described["main"]), state.values
    running = [*values["history"], *([] if values["unfinished"] is None else [values["unfinished"]])]
    histories = [[Epoch(**row) for row in rows] for rows in [*values["done"], running]]
    if len(histories) <= main or not histories[main]:
        raise ModelFileError(f"{path} is a checkpoint, but not a model. {_EARLY} {_CONTINUE}")
    weights = state.group("weights")
    for kept in (state.group("average"), state.group("best")):
        weights |= {name: kept[its] for name, its in values["learner"].items() if its in kept}
    model = model_without_artefacts(described["header"], _as_in_model_file(weights) | state.group("model"))
    model = _with_histories(model, histories, described["stages"], main, keeps_best=described["keeps_best"])
    is_running = len(histories) == main + 1
    n_complete = values["epoch"] if is_running else len(histories[main])
    ended = "" if is_over(values) else None
    if not is_running:
        ended = _in_stage(described["stages"][len(histories) - 1])
    what = f"{os.fspath(path)} is a checkpoint, not a complete model. Its training"
    return model, _warning(model, n_complete, described["n_epochs"], what, ended)


def _in_stage(name: str) -> str:
    return f", but the later stage '{name}' was interrupted"


def _with_histories(
    model: FittedModel, histories: Sequence[Sequence[Epoch]], names: Sequence[str], main: int, *, keeps_best: bool
) -> FittedModel:
    """Return a model with the histories of its stages, without artefacts."""
    kinds = Artefact.registry.items() if model.kind == "autoencoder" else ()
    missing = [name for name, kind in kinds if kind.applies(model) and not model.has(name)]
    return replace(
        model,
        chain=model.chain.eval(),
        history=[*model.history, *(row.to_json() for row in histories[main])],
        pretraining_history=[*model.pretraining_history, *rows_by_stage(names[:main], histories[:main])],
        kept=Kept.of(histories[main], keeps_best=keeps_best, start=model.kept),
        unmeasured=dict.fromkeys(missing, "The training was interrupted."),
        took=None,
    )


def _warning(model: FittedModel, n_complete: int, n_epochs: int, what: str, ended: str | None) -> UnfinishedWarning:
    """Return the warning of a model whose training, the subject of the message, was interrupted.

    If all of its epochs are done, ``ended`` says what was interrupted instead.
    """
    assert model.kept is not None
    is_last = model.kept.epoch == model.history[-1]["epoch"]
    weights = "its last step" if is_last else f"epoch {model.kept.epoch}, which had the lowest validation loss"
    missing = " or ".join(Artefact.registry[name].title for name in (*model.unmeasured, *model.stale))
    without = f" It has no {missing}; model.measure(X) measures them." if missing else ""
    if ended is None:
        part = "" if model.history[-1].get("is_complete", True) else " and a part of the next"
        how = f"was interrupted after {n_complete} of {n_epochs} epochs{part}"
    else:
        how = f"ended after {n_complete} epoch{'' if n_complete == 1 else 's'}{ended}"
    text = f"{what} {how}. The model has the weights of {weights}.{without}"
    return UnfinishedWarning(text, count=n_epochs - n_complete)


def _as_in_model_file(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a run by the names that they have in a model file."""
    if not any(name.startswith("chain.") for name in weights):
        return {f"chain.{name}": tensor for name, tensor in weights.items()}
    names = {"softmax.weight": "arrays.coef", "softmax.bias": "arrays.intercept"}
    return {names.get(name, name): tensor for name, tensor in weights.items()}
