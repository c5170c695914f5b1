"""``narrows train``."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, command_line, count, note, number, print_json, print_written
from narrows.cli.describe import kept_rows, taken_for, time_rows
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.inputs import check_file_output, open_data
from narrows.cli.log import tell
from narrows.cli.options import data_argument, data_options, device_flag, output_option, write_options
from narrows.cli.outputs import READS, Verb
from narrows.cli.processes import joined_processes, learn_beside_the_first, refuse_processes
from narrows.cli.run_checkpoint import check_checkpoint, checkpoint_of, discard_or_note_checkpoint, say_how_to_resume
from narrows.cli.settings import FLAGS, changes
from narrows.cli.train_bytes import BYTES, train_bytes
from narrows.cli.train_table import table_to_learn, train_on_table
from narrows.cli.verbs import INTERRUPTED, TERMINATED, Failure
from narrows.cli.warned import warnings_at_the_end
from narrows.errors import NarrowsWarning, UnfinishedWarning, UnmeasuredWarning
from narrows.io.remote import size_of
from narrows.model.describe import comparison_text, is_real_valued, race_text, values_text

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["train"]

EPILOG = """
\b
Settings for --set; `narrows recipes NAME` shows them:
  --set network=dense --set network__widths=512,256
  --set training__optimiser=sgd --set training__schedule__warmup=0.1
  --set preprocessing=unit-scale,mean-removal --set corruption=none

A checkpoint is saved beside the model, in MODEL.safetensors.checkpoint, every half minute and when the run is
interrupted. The same command with --resume continues; on a CPU it ends with exactly the weights of an uninterrupted
run.
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@output_option("MODEL.safetensors", "Output: the model.")
@click.option("--recipe", "name", default="auto", metavar="NAME", show_default=True, help="See `narrows recipes`.")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.")
@click.option(
    "--as",
    "as",
    type=click.Choice(["columns", "image", "series", "text", "vector"]),
    help="What a record is: series are windows of a series, text is symbols of bytes, and columns are rows of a "
    "table.  "
    "[default: an image, if it has two or three axes]",
)
@click.option("--latent", type=int, metavar="N", help="Latent dimension: how many numbers a code has.")
@click.option("--batch-size", type=int, metavar="N", help="Records per step.")
@click.option("--learning-rate", type=float, metavar="X", help="Learning rate at the peak of the schedule.")
@click.option("--psnr", type=float, metavar="DB", help="Quality to reach with the fewest bytes, for `--recipe codec`.")
@click.option(
    "--fill-value",
    type=float,
    metavar="V",
    help="A value that stands for missing ones, such as -9999 or nan. It is ignored in training.",
)
@click.option(
    "--valid", type=READS, metavar="SHARE|DATA", help="Validate on a share of the data, such as 0.1, or on other data."
)
@click.option(
    "--patience", type=int, metavar="N", help="Stop after N epochs without a better validation loss; keep the best."
)
@click.option("--threads", type=int, metavar="N", help="CPU threads to train with.  [default: all]")
@click.option("--seed", type=int, metavar="N", help="Seed of all randomness.  [default: 0]")
@data_options
@device_flag
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
    name: str,
    valid: str | None,
    limit: int | None,
    reading: dict[str, Any],
    settings: tuple[str, ...],
    resume: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Train an autoencoder on DATA and save it."""
    from narrows.archive.model_search import warn_of_archives

    checkpoint = checkpoint_of(output, resume=resume and not force)
    refuse_other_kinds(output, "a model", ".safetensors")
    given = {**flags, "valid": valid, "resume": resume}
    printing = {"force": force, "as_json": as_json, "quiet": quiet}
    how: dict[str, Any] = {"reading": {"limit": limit, **reading}, "settings": settings, "given": given}
    if _is_no_autoencoder(data, output, name, **how, printing=printing):
        return
    model = _model(name, flags, settings, valid)
    together, quiet = joined_processes(ctx, model, quiet=quiet)
    check_file_output(output, force=force)
    check_checkpoint(checkpoint, resume=resume, force=force)
    together.any(False)  # waits for all, before the first one changes files
    if os.path.isfile(output):
        warn_of_archives(output)
    source = open_data(data, limit=limit, quiet=quiet, **reading)
    if name == "auto" and "columns" in {source.record, flags["as"]}:
        model = _model("table", flags, settings, valid)
    validation = None
    if valid is not None and _share(valid) is None:
        validation = open_data(valid, quiet=quiet, **reading)
    if together.is_first:
        discard_or_note_checkpoint(checkpoint, resume=resume, quiet=quiet)
    from narrows.estimators.preparation import becomes_image

    if not resume and becomes_image(model.get_params(deep=False), source):
        note(f"The records are treated as {taken_for('image', source.shape, 'auto')}.", quiet=quiet)
    from narrows.cli.callbacks import callback
    from narrows.training.interruption import TrainingInterrupted

    run: dict[str, Any] = {
        "validation": validation,
        "callback": callback(quiet=quiet),
        "checkpoint": checkpoint,
        "resume": resume,
    }
    if not together.is_first:
        learn_beside_the_first(model, source, run)
        return
    with warnings_at_the_end() as warned:
        try:
            model.fit(source, **run)
            _measure(model)
        except (KeyboardInterrupt, SystemExit) as stop:
            warned[:] = [one for one in warned if not isinstance(one, UnfinishedWarning)]  # said in other words
            if hasattr(model, "chain_") and not isinstance(stop, TrainingInterrupted):  # only artefacts are missing
                from narrows.model.artefacts import measuring

                model.model_ = model.model_.without_pending(measuring.INTERRUPTED)
                _save(ctx, model, output, checkpoint, force=force, resumed=resume)
                _say_how_to_measure(ctx, model, output, {"--resume": resume, "--force": force})
            else:
                say_how_to_resume(ctx, checkpoint, resumed=resume)
            raise click.exceptions.Exit(TERMINATED if isinstance(stop, SystemExit) else INTERRUPTED) from None
        _save(ctx, model, output, checkpoint, force=force, resumed=resume)
        checkpoint.unlink(missing_ok=True)
        warned[:] = [one for one in warned if not isinstance(one, UnmeasuredWarning)] + _warnings(model)
        _report(model, output, validation, warned, as_json)


def _is_no_autoencoder(
    data: str,
    output: str,
    name: str,
    *,
    reading: dict[str, Any],
    settings: tuple[str, ...],
    given: dict[str, Any],
    printing: dict[str, bool],
) -> bool:
    """Train a model of bytes or of tables if that is asked for, and return whether it was."""
    if name == BYTES:
        refuse_processes("A model of bytes")
        train_bytes(data, output, reading, settings, {**given, "resume": given["resume"] or None}, **printing)
        return True
    limit = reading["limit"]
    unused = {**given, **{key: value for key, value in reading.items() if key != "limit"}, "settings": settings}
    table = table_to_learn(data, name, limit, unused)
    if table is not None:
        refuse_processes("The model of a table")
        train_on_table(table, output, **printing)
    return table is not None


def _measure(model: Autoencoder) -> None:
    """Measure the artefacts that `fit` has left to be measured at first use, and add the time to that of the fit."""
    began = time.perf_counter()
    model.measure()
    took = model.model_.took
    if took is not None:
        measuring = round(took.measuring + time.perf_counter() - began, 3)
        model.model_ = replace(model.model_, took=replace(took, measuring=measuring))


def _warnings(model: Autoencoder) -> list[NarrowsWarning]:
    """Return warnings on artefacts that are missing and on the quality of the model."""
    from narrows.archive.model_qualities import quality_warnings

    missing = [UnmeasuredWarning(model.model_.why_missing(name), first=name) for name in model.unmeasured_]
    return [*missing, *quality_warnings(model)]


def _model(name: str, flags: dict[str, Any], settings: tuple[str, ...], valid: str | None) -> Autoencoder:
    """Return the unfitted autoencoder for the options; wrong options are refused before any data are read."""
    asked_for = changes({flag: flags[flag] for flag in FLAGS}, settings)
    asked_for.setdefault("random_state", 0)
    share = None if valid is None else _share(valid)
    if share is not None:
        asked_for["training__validation"] = share

    from narrows.estimators.parameters import has_option
    from narrows.estimators.preparation import may_hold_out
    from narrows.estimators.recipes import recipe
    from narrows.parts.options import Integer, check, optional
    from narrows.training import resolve_device

    psnr = None if flags["psnr"] is None else asked_for.pop(FLAGS["psnr"])
    seed = asked_for["random_state"]
    if not 0 <= seed < 2**32:
        raise click.UsageError(f"The seed must be a whole number from 0 to {2**32 - 1}. Got {seed}.")
    model = recipe(name, **asked_for)
    if psnr is not None:
        if not has_option("likelihood", model.likelihood, "psnr"):
            raise click.UsageError(
                "--psnr needs a recipe that is trained for a target PSNR, such as 'codec'. "
                f"Got the recipe '{name}', whose likelihood has no target. Use --recipe codec, or train without --psnr "
                "and choose a quality of the trained model with `narrows compress --psnr`."
            )
        model.set_params(likelihood__psnr=psnr)
    check("Autoencoder", "n_latent", model.n_latent, optional(Integer(1)))
    resolve_device(model.training)
    has_patience = model.training is not None and model.training.patience is not None
    has_data = valid is not None and share is None
    if has_patience and not has_data and not may_hold_out(model.get_params(deep=False)):
        raise click.UsageError("--patience needs validation data. Give --valid 0.1, or --valid DATA.")
    return model


def _share(valid: str) -> float | None:
    """Return ``--valid`` as a share, or None if it names data."""
    try:
        return float(valid)
    except ValueError:
        return None


def _save(ctx: click.Context, model: Autoencoder, output: str, checkpoint: Path, *, force: bool, resumed: bool) -> None:
    """Write the model; if that fails, explain how to save it from the checkpoint."""
    try:
        model.save(output, force=force)
    except OSError as error:
        if not checkpoint.exists():
            raise
        again = command_line(ctx) if resumed else command_line(ctx, "--resume")
        raise Failure(
            f"{error} The checkpoint {checkpoint} contains the trained weights. When the cause is corrected, save the "
            f"model with\n  {again}"
        ) from error


def _say_how_to_measure(ctx: click.Context, model: Autoencoder, output: str, typed: dict[str, bool]) -> None:
    from narrows.model.artefacts import Artefact

    if not model.unmeasured_:
        tell(f"Interrupted after the training. The trained model is saved in {output}.")
        return
    again = command_line(ctx, *(flag for flag, is_typed in typed.items() if not is_typed))
    without = " and no ".join(Artefact.registry[name].title for name in model.unmeasured_)
    tell(
        f"Interrupted after the training. The trained model is saved in {output}; it has no {without}. "
        f"To measure it, run\n  {again}"
    )


def _fill_value(model: Autoencoder) -> float | str | None:
    """Return the fill value as a JSON value, a whole number without a point."""
    value = model.fill_value_
    if value is None or math.isfinite(value):
        return value if value is None or value % 1 else int(value)
    return "nan"


def _report(
    model: Autoencoder, output: str, validation: Source | None, warned: list[NarrowsWarning], as_json: bool
) -> None:
    import narrows
    from narrows.archive.model_qualities import qualities_of
    from narrows.model.file import describe
    from narrows.model.inspection import durations

    history, kept, header = model.history_, model.kept_, describe(model.model_)
    assert kept is not None, "a model that was just trained has it"
    result: dict[str, Any] = {
        "path": output,
        "n_bytes": size_of(output),
        **durations(header),
        "records": model.trained_on_.n_records,
        "record": model.record_,
        "real_valued": is_real_valued(header),
        "n_latent": model.n_latent_,
        "fill_value": _fill_value(model),
        "epochs": len(history),
        "kept_epoch": kept.epoch,
        "loss": kept.loss,
        "validation_loss": kept.validation_loss,
        "validation": None if validation is None else narrows.evaluate(model, validation),
        "qualities": [
            {"psnr_db": one.psnr_db, "bytes_per_record": one.bytes_per_record} for one in qualities_of(model)
        ],
        "race": header.get("race"),
        "comparison": None if model.comparison_ is None else asdict(model.comparison_),
        "warnings": [one.to_json() for one in warned],
    }
    if as_json:
        print_json(result)
        return
    from narrows.cli.evaluate import metric_lines

    print_written(*aligned(_rows(model, header, result)))
    if validation is not None:
        print_written("", f"on {validation.name}:", *metric_lines(result["validation"], model))


def _rows(model: Autoencoder, header: dict[str, Any], result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the summary of a trained model."""
    from narrows.archive.model_qualities import qualities_of, range_text

    epochs = f"{count(result['epochs'], 'epoch')} in {result['seconds']:.1f} s"
    rows = [
        ("model", f"{result['path']}, {result['n_bytes']:,} bytes, {count(result['n_latent'], 'number')} a code"),
        ("trained", f"{epochs} on {count(result['records'], 'record')} of {model.trained_on_.name}"),
        *time_rows(result),
        ("taken for", taken_for(model.record_, model.shape_, model.record)),
        ("loss", f"{number(result['loss'])} nats per record"),
    ]
    if (values := values_text(header)) is not None:
        rows.insert(4, ("values", values))
    if result["fill_value"] is not None and model.record_ != "columns":
        rows.append(("missing", f"{result['fill_value']}, the fill value, does not count"))
    if result["validation_loss"] is not None:
        rows.append(("validation", f"{number(result['validation_loss'])} nats per record"))
    if model.comparison_ is not None:
        rows.append(("beside PCA", comparison_text(asdict(model.comparison_))))
    if result["race"] is not None:
        rows.append(("race", race_text(result["race"])))
    rows += kept_rows(result["kept_epoch"], result["epochs"])
    if model.record_ not in {"columns", "text"}:  # whose qualities are not measured by PSNR
        rows.append(("archives", range_text(qualities_of(model))))
    return rows
