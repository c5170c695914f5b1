"""``narrows demo``: the first command to try."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli import demo_archives
from narrows.cli.arguments import arguments
from narrows.cli.console import aligned, count, note, number, print_json, print_written, program
from narrows.cli.inputs import open_data
from narrows.cli.options import json_option, quiet_option
from narrows.cli.outputs import WRITES, Verb
from narrows.cli.verbs import Failure

if TYPE_CHECKING:
    from narrows.cli.demo_archives import Archives
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["demo"]

_TRAIN, _TEST = "digits:train", "digits:test"
_README = "README.txt"
_SIGNATURE = "Made by `narrows demo`, which replaces these files when it is run again."
FILES = {
    "report.html": "everything on one page: open it in a browser",
    "reconstructions.png": "digits and their reconstructions",
    "map.png": "the codes as a map, coloured by digit, next to PCA",
    "filters.png": "the filters of the first layer",
    "curves.png": "the loss over the epochs",
    "outliers.png": "the five oddest digits, and the pixels that make them odd",
    "model.safetensors": "the trained model",
    **demo_archives.FILES,
}


@click.command(cls=Verb)
@click.option(
    "-o",
    "--output",
    "folder",
    type=WRITES,
    default="demo",
    metavar="FOLDER",
    show_default=True,
    help="Output folder. Files of an earlier demo are replaced.",
)
@click.option("--force", is_flag=True, help="Replace other files of the same names.")
@json_option
@quiet_option
@click.pass_context
def demo(ctx: click.Context, /, *, folder: str, force: bool, as_json: bool, quiet: bool) -> None:
    """Train an autoencoder on handwritten digits, compare it with PCA, draw its results, and compress with it.

    This takes less than a minute and needs no network: the digits come with scikit-learn.
    """
    target = Path(folder)
    _check_folder(target, force=force)
    note("Training an autoencoder on 1,437 handwritten digits of 8×8 pixels …", quiet=quiet)

    import narrows
    from narrows.cli.callbacks import callback

    source, test = open_data(_TRAIN, quiet=quiet), open_data(_TEST, quiet=quiet)
    model = narrows.recipe("auto", random_state=0).fit(source, callback=callback(quiet=quiet))
    metrics = narrows.evaluate(model, test)
    target.mkdir(parents=True, exist_ok=True)
    (target / _README).write_text(_readme(), encoding="utf-8")
    note("Drawing …", quiet=quiet)
    _write(ctx, model, test, target)
    note("Looking for odd digits …", quiet=quiet)
    _draw_oddest(source, target)
    note("Compressing …", quiet=quiet)
    archives, packed = _archive(model, source, test, target)
    if as_json:
        files = {name: str(target / name) for name in FILES}
        print_json({"path": folder, "files": files, "metrics": metrics, "archives": archives.to_json()})
        return
    print_written(*_numbers(model, test, metrics), "", *packed, "", *_files(target), "", *_next(model, target))


def _check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder in which files that are not from a demo would be replaced."""
    if folder.exists() and not folder.is_dir():
        raise Failure(f"The output '{folder}' must be a folder, but it is a file. Choose a folder with -o FOLDER.")
    readme = folder / _README
    is_ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(_SIGNATURE)
    taken = [name for name in (_README, *FILES) if (folder / name).exists()]
    if taken and not (is_ours or force):
        raise Failure(
            f"The folder '{folder}' already contains {', '.join(taken)}, not written by `narrows demo`. "
            "Choose another folder with -o FOLDER, or replace these files with --force."
        )


def _write(ctx: click.Context, model: Autoencoder, test: Source, folder: Path) -> None:
    from narrows import pictures
    from narrows.evaluation import drawing
    from narrows.evaluation.model_report import model_report
    from narrows.evaluation.report import write_report

    model.save(folder / "model.safetensors", force=True)
    figures = {
        "reconstructions.png": drawing.draw_reconstructions(model, test),
        "map.png": drawing.draw_map(model, test),
        "filters.png": drawing.draw_filters(model, wide=True),
        "curves.png": drawing.draw_curves(model),
    }
    for name, figure in figures.items():
        pictures.save(figure, folder / name, force=True)
    command = shlex.join(["narrows", *arguments(ctx)])
    page = model_report(model, test, path=str(folder / "model.safetensors"), command=command)
    write_report(folder / "report.html", page, force=True)


def _draw_oddest(source: Source, folder: Path) -> None:
    """Fit a detector to the digits, and draw the oddest of them."""
    import narrows
    from narrows import pictures
    from narrows.evaluation.outlier_drawing import draw_outliers

    detector = narrows.AutoencoderOutlier(random_state=0).fit(source)
    pictures.save(draw_outliers(detector, source), folder / "outliers.png", force=True)


def _archive(model: Autoencoder, train: Source, test: Source, folder: Path) -> tuple[Archives, list[str]]:
    """Write the archives and their picture; return their sizes, and the lines that describe them."""
    import numpy as np

    from narrows import pictures
    from narrows.data import Source
    from narrows.evaluation.drawing import draw_qualities

    whole = Source(np.concatenate([train.values, test.values]), name="digits")
    archives = demo_archives.write_archives(model, test, whole, folder)
    pictures.save(draw_qualities(model, test), folder / "qualities.png", force=True)
    return archives, demo_archives.archive_lines(archives, test, whole)


def _numbers(model: Autoencoder, test: Source, metrics: dict[str, Any]) -> list[str]:
    from narrows.evaluation.metric_table import compared_with_pca
    from narrows.evaluation.metrics import psnr_db_of_sse

    sse, pca = metrics["sse_per_record"], metrics["pca_sse_per_record"]
    n_pixels = test.values[0].size
    rows = [
        ("", "squared error per digit", "signal to noise"),
        ("this autoencoder", number(sse), f"{metrics['psnr_db']:.1f} dB"),
    ]
    if pca is not None:
        rows.append((f"PCA with {model.n_latent_} components", number(pca), f"{psnr_db_of_sse(pca, metrics):.1f} dB"))
    return [
        f"{len(test)} digits that it has not seen, encoded as {count(model.n_latent_, 'number')} "
        f"and decoded to {n_pixels} pixels:",
        "",
        *aligned(rows, right=[1, 2], indent=2),
        "",
        compared_with_pca(metrics, model),
    ]


def _files(folder: Path) -> list[str]:
    return ["Written:", *aligned([(str(folder / name), what) for name, what in FILES.items()], indent=2)]


def _next(model: Autoencoder, folder: Path) -> list[str]:
    from narrows.archive.quality import coarser_qualities

    narrows = program()
    path, digits, everything = (
        shlex.quote(str(folder / name)) for name in ("model.safetensors", "digits.narrows", "all.narrows")
    )
    cheaper = (coarser_qualities(model.codec_) or model.codec_.qualities)[0]
    few = math.ceil(cheaper.bytes_per_record)
    commands = [
        f"{narrows} info {path}",
        f"{narrows} evaluate {_TEST} -m {path}",
        f"{narrows} encode {_TEST} -m {path} -o codes.npy",
        f"{narrows} compress {_TEST} -m {path} -o coarse.narrows --bytes-per-record {few}",
        f"{narrows} restore coarse.narrows -m {path} -o coarse.npy --only 0:10",
        f"{narrows} info {digits}",
        f"{narrows} verify {digits} -m {path}",
        f"{narrows} restore {everything} -o images/",
        f"{narrows} train {_TRAIN} -o small.safetensors --latent 2 --epochs 50",
        f"{narrows} picture {_TEST} -m small.safetensors -o small.png --kind map",
        f"{narrows} outliers {_TEST} -o scores.csv --picture oddest.png",
        f"{narrows} recipes",
    ]
    return [
        "Try next:",
        *[f"  {command}" for command in commands],
        "",
        "With your own data, a folder of images or an array in a .npy file:",
        f"  {narrows} train YOUR_DATA -o mine.safetensors",
    ]


def _readme() -> str:
    lines = aligned(list(FILES.items()), indent=2)
    return "\n".join([_SIGNATURE, "", *lines, ""])
