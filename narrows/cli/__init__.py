"""The command line: ``narrows VERB DATA -m MODEL -o OUT``.

Results go to standard output, everything else to standard error. A verb's module is imported when the verb is called,
and slow imports (PyTorch, scikit-learn, Matplotlib, Rich) wait until its work begins, so that help appears at once.
A new verb is a command in a file of this folder, one line in `VERBS`, and a call in `tests/cli/test_verbs.py`.
"""

from __future__ import annotations

import click

import narrows
from narrows.cli.verbs import Verbs
from narrows.data.formats import Format

__all__ = ["VERBS", "main"]

VERBS = {
    "demo": ("narrows.cli.demo", "Train on handwritten digits and show the results. Start here."),
    "train": ("narrows.cli.train", "Train an autoencoder on data and save it."),
    "evaluate": ("narrows.cli.evaluate", "Measure how well a model restores data, compared with PCA."),
    "reconstruct": ("narrows.cli.apply", "Encode and decode data, and write the restored records."),
    "denoise": ("narrows.cli.denoise", "Remove noise, or measure how much of it a model removes."),
    "encode": ("narrows.cli.apply", "Write the codes of data."),
    "decode": ("narrows.cli.apply", "Decode codes into records."),
    "map": ("narrows.cli.map", "Draw the codes of data as a page to explore, or a picture, with scores."),
    "index": ("narrows.cli.index", "Write an index of the codes of data, for search."),
    "search": ("narrows.cli.search", "Find the records of an index or an archive that are most alike."),
    "outliers": ("narrows.cli.outliers", "Score each step of a series by how odd it is."),
    "probe": ("narrows.cli.probe", "Measure how well simple classifiers tell labels from codes."),
    "classify": ("narrows.cli.classify", "Train a classifier from few labels, and use it (train, predict)."),
    "generate": ("narrows.cli.generate", "Make new records: samples, interpolations, manifolds, traversals."),
    "compress": ("narrows.cli.compress", "Compress data into a small archive, at a quality that you choose."),
    "plan": ("narrows.cli.plan", "Fix what is global of an archive that several processes write."),
    "merge": ("narrows.cli.merge", "Join the parts of an archive that several processes wrote."),
    "restore": ("narrows.cli.restore", "Restore the records of an archive, or some of them."),
    "list": ("narrows.cli.list", "List the records of an archive, with their names."),
    "verify": ("narrows.cli.archive", "Check that an archive is intact."),
    "recover": ("narrows.cli.archive", "Copy the intact records of a damaged archive into a new one."),
    "embed": ("narrows.cli.embed", "Store the model in its archive, so that no model file is needed to read it."),
    "export": ("narrows.cli.export", "Write a model as an ONNX file for other programs."),
    "picture": ("narrows.cli.picture", "Draw reconstructions, filters, maps, curves, or a whole report."),
    "recipes": ("narrows.cli.recipes", "List the named autoencoders, or show one."),
    "info": ("narrows.cli.info", "Describe a model or an archive."),
}
"""The verbs in the order of the help: for each its module and its description."""

_FORMATS = "\n".join(f"  {kind.reads}" for kind in Format.registry.values())

EPILOG = f"""
\b
DATA is a path or a name:
  digits, mnist, fashion-mnist, each with :train (the default), :test or :all
{_FORMATS}

\b
Arrays have the shape (n, *shape). Images must be of equal size, or be resized with --resize HxW;
a warning says what is lost in reading them (transparency, frames of animations).

\b
FILE.narrows is an archive. It is smaller than the data, and every machine restores the same records from it.
Reading it needs the model that made it, unless the archive contains the model (compress --embed-model).

\b
Exit codes:
  0    done
  1    failure: data, model, archive or output cannot be used, and the message says why;
       or `verify` found damage
  2    wrong usage: an unknown option, or a value that is not allowed
  130  interrupted with Ctrl-C (while training, after a checkpoint is saved)
  143  terminated

Results go to standard output, progress and messages to standard error. Nothing is overwritten without --force.
"""


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version, and whether the codec uses the compiled kernels."""
    if value and not ctx.resilient_parsing:
        from narrows.codec.kernels import kernels_line, kernels_used

        click.echo(f"narrows {narrows.__version__}\n{kernels_line(kernels_used())}")
        ctx.exit()


@click.group(
    cls=Verbs,
    verbs=VERBS,
    epilog=EPILOG,
    subcommand_metavar="VERB [DATA] [OPTIONS]",
    options_metavar="",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, and which kernels the codec has, and exit.",
)
def main() -> None:
    """Train an autoencoder on your own data, and use it.

    \b
      narrows demo
      narrows train digits:train -o digits.safetensors
      narrows evaluate digits:test -m digits.safetensors
      narrows compress digits:test -m digits.safetensors -o digits.narrows
    """  # noqa: D301
