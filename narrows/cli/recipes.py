"""``narrows recipes``."""

from __future__ import annotations

import click

from narrows.cli.console import aligned, note, print_json, print_lines
from narrows.cli.options import json_option, quiet_option
from narrows.cli.outputs import Verb
from narrows.errors import UnknownNameError
from narrows.estimators.recipe_list import OF_BYTES, OF_TABLES, SUMMARIES

__all__ = ["recipes"]

_ALL = SUMMARIES | OF_BYTES | OF_TABLES
_DOCUMENTS = (
    "Documents 0 to 4 are published tutorials on autoencoders that these recipes reproduce: 0 (TensorFlow),\n"
    "1 (lecture notes), 2 (Theano), 3 (compression), 4 (Keras). See docs/documents.md."
)


@click.command(cls=Verb)
@click.argument("name", required=False)
@json_option
@quiet_option
def recipes(*, name: str | None, as_json: bool, quiet: bool) -> None:
    """List the named autoencoders, or show the settings of the one called NAME."""
    if name is None:
        if as_json:
            print_json({"recipes": _ALL})
        else:
            print_lines(*aligned(list(_ALL.items())))
            note(f"\n{_DOCUMENTS}", quiet=quiet)
        return
    if name not in _ALL:
        raise UnknownNameError("recipe", name, _ALL)
    if name in OF_BYTES:
        from narrows.estimators.byte_model import ByteModel

        settings = vars(ByteModel())
    elif name in OF_TABLES:
        settings = {}
    else:
        from narrows.estimators.recipes import recipe  # imports PyTorch

        settings = recipe(name).get_params(deep=False)
    if as_json:
        print_json({"name": name, "summary": _ALL[name], "settings": {k: repr(v) for k, v in settings.items()}})
    else:
        print_lines(_ALL[name], "", *aligned([(key, repr(value)) for key, value in settings.items()], indent=2))
