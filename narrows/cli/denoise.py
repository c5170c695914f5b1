"""``narrows denoise``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from narrows.cli.apply import check_records_output, records_line, write_records
from narrows.cli.console import aligned, count, note, print_json, print_written
from narrows.cli.file_names import PICTURE_ENDINGS, names_picture
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import (
    data_argument,
    data_options,
    device_option,
    model_option,
    output_option,
    write_options,
)
from narrows.cli.outputs import Verb
from narrows.cli.progress import show_progress
from narrows.cli.table_rows import rows_line, texts_in, write_rows
from narrows.cli.text import refuse_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["denoise"]

_ONLY_FOR_DEMO = ("seed", "n")

EPILOG = """
With --demo-noise X, DATA must be clean records. Normal noise of standard deviation X is added to them, in preprocessed
units: pixels range from 0 to 1, and noisy pixels are clipped to that range. A table compares the model (PSNR in dB
over all records) with a median filter, non-local means, and PCA of the model's training data with at most as many
components as the code has numbers. The settings of these other methods are tuned on up to 100 records of DATA with
the clean records known, which gives them an advantage over the model.

\b
  narrows denoise scans/ -m MODEL -o restored/
  narrows denoise digits:test -m MODEL -o denoise.png --demo-noise 0.5

Non-local means needs the package scikit-image; without it the table has no such row.
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@model_option
@output_option(
    "OUT",
    "Output: a path that ends in .npy, or a folder for images, which get the names of the input files. "
    "Or - for standard output (.npy). With --demo-noise also a picture: .png, .svg or .pdf.",
    pipe=True,
)
@click.option("--demo-noise", type=float, metavar="X", help="Add this noise to DATA first, and measure the result.")
@click.option("--seed", type=int, metavar="N", default=0, help="Seed of the added noise.  [default: 0]")
@click.option("-n", type=click.IntRange(1), metavar="N", default=10, help="Records in a picture.  [default: 10]")
@data_options
@device_option
@write_options
@click.pass_context
def denoise(
    ctx: click.Context,
    /,
    *,
    data: str,
    model: str,
    output: str,
    demo_noise: float | None,
    seed: int,
    n: int,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Remove noise from DATA with a MODEL trained for it: `--recipe conv-denoising`, `--set corruption=gaussian`.

    Records are written in the units and dtype of the training data, except that tables of whole numbers other than
    uint8 are written as floats. In a table with columns of several kinds, missing cells are filled, and numbers far
    outside the training data's range are replaced; all other cells stay as they are.
    """
    is_picture = names_picture(output)
    _check_options(ctx, is_picture=is_picture)
    is_folder = False
    if is_picture:
        check_file_output(output, force=force)
    else:
        is_folder = check_records_output(output, force=force)
    loaded = load_model(model, device)
    refuse_text(loaded, "denoise", "To see what a model restores: narrows reconstruct.")
    if loaded.record_ == "columns":
        _fill_rows(loaded, data, output, limit, reading, force=force, as_json=as_json, quiet=quiet)
        return
    if loaded.chain_.corruption is None:
        note(
            "Note: this model was trained without corruption, so it has not learned to remove noise. "
            "`narrows train --set corruption=gaussian` trains one that does.",
            quiet=quiet,
        )
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    files = source.files if is_folder else None
    if demo_noise is None:
        restored = loaded.denoise(source, dtype=loaded.model_.written_dtype)
        write_records(output, restored, files=files, force=force, as_json=as_json, of=source)
        return

    noisy, restored, comparison = _compare(loaded, source, demo_noise, seed, quiet=quiet)
    if is_picture:
        from narrows import pictures
        from narrows.evaluation import drawing

        pictures.save(drawing.draw_denoised(loaded, source.values, noisy, restored, n=n), output, force=force)
    else:
        import narrows.data

        narrows.data.write(output, restored, files=files, force=force)
    if as_json:
        print_json({"path": output, "data": source.name, "model": model, "seed": seed, **comparison})
        return
    print_written(
        output if is_picture else records_line(output, restored),
        "",
        *_table(comparison["methods"]),
        "",
        f"Measured on {count(len(source), 'record')}. The settings of the other methods were tuned on these records.",
    )


def _fill_rows(
    model: Autoencoder,
    data: str,
    output: str,
    limit: int | None,
    reading: dict[str, Any],
    *,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fill the missing and the impossible cells of a table, and print how many there were."""
    from narrows.estimators.table_samples import repaired
    from narrows.records import Columns

    schema = model.model_.schema
    assert isinstance(schema, Columns), "the model is one of a table"
    if click.get_current_context().params["demo_noise"] is not None:
        raise click.UsageError("--demo-noise has no meaning for a table. Leave it out.")
    source = model.records_of(open_data(data, limit=limit, quiet=quiet, **reading))
    found = repaired(model, source, schema.fields)
    write_rows(output, model, found.values, texts_in(model, source), force=force)
    counts = {"filled": int(found.were_missing.sum()), "replaced": int(found.were_impossible.sum())}
    if as_json:
        print_json({"path": output, "records": len(found.values), **counts})
        return
    print_written(
        rows_line(output, found.values, len(texts_in(model, source))),
        f"{count(counts['filled'], 'missing cell')} filled, {count(counts['replaced'], 'impossible number')} replaced",
    )


def _compare(
    model: Autoencoder, source: Source, noise: float, seed: int, *, quiet: bool
) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Return the noisy records, the restored records, and the measurements."""
    from narrows.evaluation.denoising import add_noise, measure_denoisers

    noisy = add_noise(model, source, noise, seed)
    restored = model.denoise(noisy, source.named_labels, dtype=model.dtype_)
    with show_progress(quiet=quiet) as progress:
        comparison = measure_denoisers(model, source, noisy, restored, noise=noise, progress=progress)
    return noisy, restored, comparison


def _check_options(ctx: click.Context, *, is_picture: bool) -> None:
    """Refuse options without effect, and a picture without --demo-noise."""
    given = {name for name in _ONLY_FOR_DEMO if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE}
    noise = ctx.params["demo_noise"]
    if noise is None:
        if is_picture:
            raise click.UsageError(
                "Without --demo-noise, the output must be a path that ends in .npy, or a folder. "
                f"Got '{ctx.params['output']}'. Add --demo-noise X for a picture of clean, noisy and restored records."
            )
        for name in sorted(given):
            raise click.UsageError(
                f"{_flag(name)} has no effect without --demo-noise. Add --demo-noise X, or leave out {_flag(name)}."
            )
        return
    if not 0 <= noise < float("inf"):
        raise click.UsageError(f"--demo-noise must be a number ≥ 0. Got {noise:g}.")
    if not 0 <= ctx.params["seed"] < 2**32:
        raise click.UsageError(f"--seed must be a whole number ≥ 0 and below 2^32. Got {ctx.params['seed']}.")
    if "n" in given and not is_picture:
        raise click.UsageError(
            f"-n has an effect only if the output is a picture ({', '.join(PICTURE_ENDINGS)}). Leave it out."
        )


def _flag(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def _table(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of the methods and their results."""
    rows = [("", "PSNR, dB", "gain, dB", "")]
    for name, method in methods.items():
        psnr_db, gain_db = method["psnr_db"], method["gain_db"]
        quality = "exact" if method["mse"] == 0 else "-" if psnr_db is None else f"{psnr_db:.2f}"
        gain = "" if name == "noisy" else "-" if gain_db is None else f"{gain_db:+.2f}"
        rows.append((name, quality, gain, method["missing"] or _settings_text(method["settings"])))
    return aligned(rows, right=[1, 2])


def _settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as text.

    Examples
    --------
    >>> _settings_text({"h": 0.1, "patch_size": 5}), _settings_text({"n_components": 34})
    ('h 0.1, patch size 5', '34 components')
    """
    if "n_components" in settings:
        return count(settings["n_components"], "component")
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in settings.items())
