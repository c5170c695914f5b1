"""``narrows classify train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, print_json, print_written
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.inputs import check_file_output, load_model
from narrows.cli.labels import label_options, open_labelled
from narrows.cli.options import data_argument, data_options, device_option, output_option, write_options
from narrows.cli.outputs import READS, Verb
from narrows.cli.processes import refuse_processes
from narrows.cli.run_checkpoint import check_checkpoint, checkpoint_of, discard_or_note_checkpoint, say_how_to_resume
from narrows.cli.settings import changes
from narrows.cli.verbs import INTERRUPTED, TERMINATED
from narrows.io.remote import size_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.estimators.classifier import AutoencoderClassifier

__all__ = ["train"]

EPILOG = """
Records without a label help in two ways: the autoencoder learns from them first, and then the classifier is trained to
predict the same class of a record and of a corrupted copy of it.

\b
Settings for --set are parameters of AutoencoderClassifier:
  --set autoencoder__n_latent=32 --set consistency=0.5 --set training__validation=0.1

\b
  narrows classify train mnist --n-labels 1000 -o digits.safetensors
  narrows classify train flowers.csv --label-column species -o flowers.safetensors
  narrows classify train scans/ --labels labels.txt -m scans.safetensors -o classes.safetensors
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@output_option("CLASSIFIER.safetensors", "Output: the classifier.")
@click.option(
    "-m",
    "--model",
    type=READS,
    metavar="MODEL",
    help="A model of `narrows train`, whose encoder is trained further; by default one is trained first.",
)
@label_options
@click.option(
    "--n-labels",
    type=click.IntRange(2),
    metavar="N",
    help="Use only N of the labels, of each class as many, and take the others as missing.",
)
@click.option("--recipe", "name", metavar="NAME", help="The autoencoder.  [default: few-labels for images, else auto]")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data in the training on labels.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads to train with.  [default: all]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@data_options
@device_option
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="Any other setting; see below.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint of an interrupted run.")
@write_options
@click.pass_context
def train(
    ctx: click.Context,
    /,
    *,
    data: str,
    output: str,
    model: str | None,
    labels: str | None,
    label_column: str | None,
    n_labels: int | None,
    name: str | None,
    seed: int,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    settings: tuple[str, ...],
    resume: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Train a classifier on DATA and save it: an autoencoder first, then its encoder with a softmax on the labels."""
    refuse_processes("A classifier")
    checkpoint = checkpoint_of(output, resume=resume and not force)
    refuse_other_kinds(output, "a model", ".safetensors")
    check_file_output(output, force=force)
    if model is not None and name is not None:
        raise click.UsageError("--recipe has no effect with -m, which is trained already. Leave one of them out.")
    check_checkpoint(checkpoint, resume=resume, force=force)
    start = None if model is None else load_model(model, device)
    source, given = open_labelled(data, labels, label_column, model=start, limit=limit, quiet=quiet, **reading)
    y = _labels(source, given, n_labels, seed)
    classifier = _classifier(source, start, name, {**flags, "device": device, "seed": seed}, settings)
    discard_or_note_checkpoint(checkpoint, resume=resume, quiet=quiet)
    from narrows.cli.callbacks import callback

    try:
        classifier.fit(source, y, start=start, callback=callback(quiet=quiet), checkpoint=checkpoint, resume=resume)
    except (KeyboardInterrupt, SystemExit) as stop:
        say_how_to_resume(ctx, checkpoint, resumed=resume)
        raise click.exceptions.Exit(TERMINATED if isinstance(stop, SystemExit) else INTERRUPTED) from None
    classifier.save(output, force=force)
    checkpoint.unlink(missing_ok=True)
    _report(classifier, source, output, as_json=as_json)


def _labels(source: Source, given: NDArray[Any] | None, n_labels: int | None, seed: int) -> NDArray[Any]:
    """Return the labels to learn from, None where one is missing.

    Raises
    ------
    DataError
        If there are none, or not at least two records of each of two classes.
    """
    import numpy as np

    from narrows.data.labels import missing_labels
    from narrows.errors import DataError
    from narrows.uses.label_draws import check_classes, few_labels

    if given is None:
        raise DataError(
            f"{source.name} has no labels. Give them with --labels FILE, with --label-column NAME of a table, or as a "
            "folder that has a sub-folder of images for each label."
        )
    known = given[~missing_labels(given)]
    if not len(known):
        raise DataError(f"{source.name} has no labels: all of the {len(source):,} given are missing.")
    check_classes(np.array(known.tolist()), source.name)
    return given if n_labels is None else few_labels(given, n_labels, seed=seed)


def _classifier(
    source: Source,
    start: Autoencoder | None,
    name: str | None,
    flags: dict[str, Any],
    settings: tuple[str, ...],
) -> AutoencoderClassifier:
    """Return the unfitted classifier for the options."""
    from sklearn.base import clone

    from narrows.estimators.recipes import recipe
    from narrows.estimators.semi_supervised import classifier_for

    autoencoder = None if name is None else recipe(name)
    if start is not None:
        autoencoder = clone(start)
    classifier = classifier_for(source, autoencoder).set_params(random_state=flags["seed"])
    given = {"epochs": flags["epochs"], "threads": flags["threads"]}
    asked_for = {f"training__{option}": value for option, value in given.items() if value is not None}
    if flags["device"] != "auto":
        asked_for["training__device"] = flags["device"]
    classifier.set_params(**asked_for, **changes({}, settings))
    return classifier


def _report(classifier: AutoencoderClassifier, source: Source, output: str, *, as_json: bool) -> None:
    history, before = classifier.history_, classifier.pretraining_history_
    n_labelled, classes = classifier.trained_on_.n_records, [str(one) for one in classifier.classes_.tolist()]
    seconds = sum(row["seconds"] for row in (*before, *history))
    last = history[-1]
    if as_json:
        print_json(
            {
                "path": output,
                "n_bytes": size_of(output),
                "records": len(source),
                "labelled": n_labelled,
                "classes": classes,
                "epochs": len(history),
                "loss": last["loss"],
                "validation_loss": last["validation_loss"],
                "epoch_seconds": seconds,
            }
        )
        return
    shown = ", ".join(classes[:10]) + " …" * (len(classes) > 10)
    validated = "" if last["validation_loss"] is None else f", validation loss {last['validation_loss']:.4g}"
    rows = [
        ("classifier", f"{output}, {size_of(output):,} bytes"),
        ("learned", f"from {count(len(source), 'record')}, of which {n_labelled:,} have labels, in {seconds:.0f} s"),
        ("classes", f"{len(classes)}: {shown}"),
        ("training", f"{count(len(history), 'epoch')} on labels, loss {last['loss']:.4g} nats{validated}"),
    ]
    print_written(*aligned(rows))
