"""The state of a running stage as that of a checkpoint, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.training.checkpoints import State, names_in, pack_optimiser, unpack_optimiser
from narrows.training.progress import Epoch
from narrows.training.validation import Best

if TYPE_CHECKING:
    from narrows.training.loop import Run

__all__ = ["restore", "state_of"]


def state_of(run: Run) -> State:
    """Return the state of a run between two steps."""
    tensors = {f"weights.{name}": tensor for name, tensor in run.whole.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in run.best.weights.items()}
    tensors |= {f"average.{name}": tensor for name, tensor in run.averages.to_tensors().items()}
    tensors |= pack_optimiser(run.stepper) | {"losses": run.losses, "squared_errors": run.errors.to_tensor()}
    if run.opponent is not None:
        tensors |= {f"opponent.{name}": tensor for name, tensor in run.opponent.to_tensors().items()}
    tensors |= {name: noise.get_state() for name, noise in run.named_noises()}
    unfinished = run.unfinished_epoch()
    values = {
        "seed": run.seed,
        "done": [[row.to_json() for row in rows] for rows in run.done],
        "epoch": run.epoch,
        "step": run.step,
        "shards": run.n_shards,
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


def restore(run: Run, state: State) -> None:
    """Continue a run from the state of a checkpoint, with batches split as before."""
    values = state.values
    run.cut(values.get("shards", 1))  # older runs have whole batches
    run.whole.load_state_dict(state.group("weights"))
    unpack_optimiser(run.stepper, state)
    run.losses.copy_(state.tensors["losses"])
    if "squared_errors" in state.tensors:  # older runs did not measure them
        run.errors.restore(state.tensors["squared_errors"])
    run.averages.restore(state.group("average"), values.get("averaged_steps", 0))
    if run.opponent is not None:
        run.opponent.restore(state.group("opponent"))
    for name, noise in run.named_noises():
        noise.set_state(state.tensors[name])
    run.epoch, run.step, run.seconds = values["epoch"], values["step"], values["seconds"]
    run.history = [Epoch(**row) for row in values["history"]]
    run.losses_after = [row.watched_loss for row in run.history]
    loss = float("inf") if values["best_loss"] is None else values["best_loss"]
    run.best = Best(loss, state.group("best"), values["epochs_since_best"])
    run.is_stopped = values.get("is_stopped", False)
