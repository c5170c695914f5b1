"""``narrows classify train`` and ``narrows classify predict``."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["classify"]

_VERBS = {
    "train": ("narrows.cli.classify_train", "Train a classifier on DATA, of which few records may have labels."),
    "predict": ("narrows.cli.classify_predict", "Write the classes of DATA with their probabilities."),
}


class _Classify(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command: click.Command = getattr(import_module(_VERBS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in _VERBS.items()])


@click.command(cls=_Classify, subcommand_metavar="VERB [DATA] [OPTIONS]", options_metavar="")
def classify() -> None:
    """Train a classifier on top of an autoencoder's code, and use it.

    \b
      narrows classify train mnist --n-labels 1000 -o digits.safetensors
      narrows classify predict mnist:test -m digits.safetensors -o classes.csv --picture confusion.png
    """  # noqa: D301
