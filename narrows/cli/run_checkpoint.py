"""The checkpoint of a run of ``narrows train`` or ``narrows classify train``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from narrows.cli.console import command_line, note
from narrows.cli.log import tell
from narrows.cli.verbs import Failure
from narrows.io.remote import is_remote

__all__ = ["check_checkpoint", "checkpoint_of", "discard_or_note_checkpoint", "say_how_to_resume"]


def checkpoint_of(output: str, *, resume: bool) -> Path:
    """Return where the checkpoint of a run is kept; refuse to resume a run that is complete."""
    checkpoint = Path(f"{output.rpartition('/')[2] if is_remote(output) else output}.checkpoint")
    if resume and not checkpoint.exists() and os.path.isfile(output):
        raise Failure(
            f"--resume needs the checkpoint '{checkpoint}', which does not exist. The model '{output}' exists, so its "
            "training is complete. Use the model, or train again with --force."
        )
    return checkpoint


def discard_or_note_checkpoint(checkpoint: Path, *, resume: bool, quiet: bool) -> None:
    """Remove the checkpoint of another run, or note that there is none to continue from."""
    if resume and not checkpoint.exists():
        note(f"The checkpoint {checkpoint} does not exist. Training starts from the beginning.", quiet=quiet)
    elif not resume:
        checkpoint.unlink(missing_ok=True)


def check_checkpoint(checkpoint: Path, *, resume: bool, force: bool) -> None:
    """Refuse the checkpoint of another run."""
    if checkpoint.exists() and not (resume or force):
        raise Failure(
            f"The checkpoint '{checkpoint}' of an unfinished run exists. "
            "Continue this run with --resume, or discard it and start again with --force."
        )


def say_how_to_resume(ctx: click.Context, checkpoint: Path, *, resumed: bool) -> None:
    """Print how to continue an interrupted run."""
    if not checkpoint.exists():
        tell("Interrupted before the first checkpoint was saved.")
        return
    again = command_line(ctx) if resumed else command_line(ctx, "--resume")
    tell(f"Interrupted. The state of the run is saved in {checkpoint}. Continue with\n  {again}")
