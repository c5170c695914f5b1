"""A verb: the standard deviation of each latent dimension."""

import click

from narrows.cli.console import number, print_json, print_lines
from narrows.cli.inputs import load_model, open_data
from narrows.cli.options import data_argument, model_option
from narrows.cli.outputs import Verb


@click.command(cls=Verb)
@data_argument
@model_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def spread(*, data: str, model: str, as_json: bool) -> None:
    """Print how much each latent dimension of the codes of DATA varies."""
    deviations = load_model(model).transform(open_data(data, quiet=True)).std(axis=0).tolist()
    if as_json:
        print_json({"deviations": deviations})
    else:
        print_lines(*map(number, deviations))
