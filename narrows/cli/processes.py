"""``narrows train`` in the processes of ``torchrun``, of which the first one writes."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.verbs import INTERRUPTED, TERMINATED, Failure

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.numerics.processes import Processes

__all__ = [
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
