"""``narrows train`` in the processes of ``torchrun``, of which the first one writes."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import note
from narrows.cli.verbs import INTERRUPTED, TERMINATED, Failure

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.numerics.processes import Processes

__all__ = [
    "check_checkpoint",
    "discard_or_note_checkpoint",
    "joined_processes",
    "learn_beside_the_first",
    "refuse_processes",
]


def joined_processes(ctx: click.Context, model: Autoencoder, *, quiet: bool) -> tuple[Processes, bool]:
    """Return the processes that ``torchrun`` has started, joined until the verb ends, and whether this one is quiet."""
    from narrows.training import training_device
    from narrows.training.process_group import process_group

    together = ctx.with_resource(process_group(training_device(model.training)))
    return together, quiet or not together.is_first


def learn_beside_the_first(model: Autoencoder, source: Source, run: dict[str, Any]) -> None:
    """Train in a process that is not the first one, which alone measures, warns and writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(source, **run)
        except (KeyboardInterrupt, SystemExit) as stop:
            raise click.exceptions.Exit(TERMINATED if isinstance(stop, SystemExit) else INTERRUPTED) from None


def refuse_processes(what: str) -> None:
    """Refuse to train in the processes of ``torchrun``, which would all write the same file."""
    n = int(os.environ.get("WORLD_SIZE") or 1)
    if n > 1:
        raise Failure(f"{what} is trained by one process. Got {n} processes. Start the command without torchrun.")


def discard_or_note_checkpoint(checkpoint: Path, together: Processes, *, resume: bool, quiet: bool) -> None:
    """Remove the checkpoint of another run, or note that there is none to continue from."""
    if resume and not checkpoint.exists():
        note(f"The checkpoint {checkpoint} does not exist. Training starts from the beginning.", quiet=quiet)
    elif not resume and together.is_first:
        checkpoint.unlink(missing_ok=True)


def check_checkpoint(checkpoint: Path, together: Processes, *, resume: bool, force: bool) -> None:
    """Refuse the checkpoint of another run, in all processes before the first one changes files."""
    if checkpoint.exists() and not (resume or force):
        raise Failure(
            f"The checkpoint '{checkpoint}' of an unfinished run exists. "
            "Continue this run with --resume, or discard it and start again with --force."
        )
    together.any(False)  # waits for all
