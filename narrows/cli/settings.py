"""Parses settings of the form ``part__option=value``, and the flags that are abbreviations of some settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from narrows.parts.typed import parse_value

__all__ = ["FLAGS", "changes"]

FLAGS = {
    "epochs": "training__epochs",
    "latent": "n_latent",
    "as": "record",
    "batch_size": "training__batch_size",
    "learning_rate": "training__optimiser__learning_rate",
    "patience": "training__patience",
    "psnr": "likelihood__psnr",
    "fill_value": "fill_value",
    "threads": "training__threads",
    "device": "training__device",
    "seed": "random_state",
}
"""The parameter of `Autoencoder` for each flag of ``train``."""

_SEVERAL = {"preprocessing", "penalties"}  # sequences: 'none' means the empty sequence


def changes(flags: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that were given, by name.

    Parameters
    ----------
    flags : mapping
        Values of `FLAGS`; None where a flag was not given.
    settings : sequence of str
        The values of ``--set``: ``part__option=value``. The last one for an option counts.

    Raises
    ------
    click.UsageError
        If a setting has another form, or is also given as a flag.
    """
    given = {FLAGS[flag]: value for flag, value in flags.items() if value is not None}
    chosen: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise click.UsageError(
                f"--set must have the form OPTION=VALUE, for example training__epochs=30. Got {text!r}."
            )
        flag = next((flag for flag, parameter in FLAGS.items() if parameter == name), None)
        if name in given and flag is not None:
            raise click.UsageError(
                f"--set {name} and --{flag.replace('_', '-')} set the same parameter. Give one of them."
            )
        if name == "random_state":
            raise click.UsageError("The parameter random_state cannot be changed with --set. Use --seed N.")
        parsed = parse_value(value)
        chosen[name] = () if parsed is None and name in _SEVERAL else parsed
    return given | chosen
