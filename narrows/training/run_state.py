"""The state of a running stage as that of a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Generator

from narrows.numerics.randomness import Stream, generator
from narrows.training.checkpoints import State, names_in, pack_optimiser, unpack_optimiser
from narrows.training.progress import Epoch
from narrows.training.validation import Best

if TYPE_CHECKING:
    from narrows.training.loop import Run

__all__ = ["reseed_for_step", "restore", "state_of", "unfinished_epoch"]


def state_of(run: Run) -> State:
    """Return the state of a run between two steps."""
    tensors = {f"weights.{name}": tensor for name, tensor in run.whole.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in run.best.weights.items()}
    tensors |= {f"average.{name}": tensor for name, tensor in run.averages.to_tensors().items()}
    tensors |= pack_optimiser(run.stepper) | {"losses": run.losses, "squared_errors": run.errors.to_tensor()}
    if run.opponent is not None:
        tensors |= {f"opponent.{name}": tensor for name, tensor in run.opponent.to_tensors().items()}
    tensors |= {name: noise.get_state() for name, noise in run.named_noises()}
    unfinished = unfinished_epoch(run)
    values = {
        "seed": run.seed,
        "done": [[row.to_json() for row in rows] for rows in run.done],
        "epoch": run.epoch,
        "step": run.step,
        "batch_size": run.batch_size,
        "shards": run.n_shards,
        "by_blocks": run.by_blocks,
        "seconds": run.seconds,
        "history": [row.to_json() for row in run.history],
        "best_loss": run.best.loss if run.best.weights else None,
        "epochs_since_best": run.best.epochs_since,
        "averaged_steps": run.averages.steps,
        "is_stopped": run.is_stopped,
        "n_epochs": run.n_epochs,
        "is_over": run.is_over,
        "unfinished": None if unfinished is None else unfinished.to_json(),
        "learner": names_in(run.learner, run.whole) if run.best.weights or run.averages.steps else {},
    }
    return State(tensors, values)


def unfinished_epoch(run: Run) -> Epoch | None:
    """Return the row of an epoch that is not complete; None if it has no steps yet."""
    if run.step == 0 or len(run.history) > run.epoch:
        return None
    done = min(run.step * run.batch_size, len(run.records))
    return Epoch(
        epoch=run.number,
        loss=run.mean_loss(),
        validation_loss=None,
        learning_rate=run.learning_rate(run.step - 1),
        seconds=run.seconds,
        records_per_second=done / run.seconds if run.seconds else 0.0,
        threads=run.pace.mostly_used,
        shards=run.n_shards,
        is_complete=False,
    )


def restore(run: Run, state: State) -> None:
    """Continue a run from the state of a checkpoint, with batches as before, whatever processes share them now."""
    values = state.values
    run.divide(values.get("batch_size", run.settings.batch_size))  # older runs have one process
    run.cut(values.get("shards", 1))  # older runs have whole batches
    run.whole.load_state_dict(state.group("weights"))
    unpack_optimiser(run.stepper, state)
    losses = state.tensors["losses"]
    known = min(len(losses), run.n_steps)  # a short last batch joins the one before if several processes share it
    run.losses[:known].copy_(losses[:known])
    run.losses[known:] = losses[-1]
    if "squared_errors" in state.tensors and run.together.is_first:  # older runs did not measure them
        run.errors.restore(state.tensors["squared_errors"])
    run.averages.restore(state.group("average"), values.get("averaged_steps", 0))
    if run.opponent is not None:
        run.opponent.restore(state.group("opponent"))
    for name, noise in run.named_noises():
        noise.set_state(state.tensors[name])
    run.epoch, run.seconds = values["epoch"], values["seconds"]
    run.step = run.n_steps if values["step"] == len(losses) else min(values["step"], run.n_steps)
    run.history = [Epoch(**row) for row in values["history"]]
    run.losses_after = [row.watched_loss for row in run.history]
    loss = float("inf") if values["best_loss"] is None else values["best_loss"]
    run.best = Best(loss, state.group("best"), values["epochs_since_best"])
    run.by_blocks = values.get("by_blocks", False)  # older runs shuffled all records
    run.is_stopped = values.get("is_stopped", False)


def reseed_for_step(noises: Sequence[Generator], of_epoch: int, step: int, rank: int) -> None:
    """Seed the generators of a process for a step, so that checkpoints need the state of none.

    Parameters
    ----------
    noises : sequence of Generator
        One for each shard.
    of_epoch : int
        Seed of the noise of the epoch.
    step : int
        Number of the step in the epoch.
    rank : int
        Number of the process.
    """
    for shard, noise in enumerate(noises):
        drawn_from = generator(of_epoch, Stream.PROCESS_NOISE, step, rank, shard, device=noise.device)
        noise.set_state(drawn_from.get_state())
