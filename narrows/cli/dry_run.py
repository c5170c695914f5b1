"""The table of ``narrows compress --dry-run``: what each quality of a model would yield."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.progress import show_progress
from narrows.cli.warned import say

if TYPE_CHECKING:
    from narrows.archive.trials import Trial, Trials
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["print_trials"]

_HEAD = ("", "bytes a record", "bytes in total", "PSNR, dB", "largest error", "seconds", "")


def print_trials(
    source: Source,
    model: Autoencoder,
    path: str,
    asked: dict[str, Any],
    *,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Try the qualities of a model on records, and print what came of each.

    Parameters
    ----------
    source : Source
        The records.
    model : Autoencoder
        The model.
    path : str
        Its file.
    asked : dict
        The options on quality, bound, overlap and effort.
    **options
        Others of `narrows.archive.trials.try_qualities`.
    """
    from narrows.archive.trials import try_qualities

    wanted = {name: asked[name] for name in ("psnr", "bytes_per_record", "quality", "max_error", "overlap", "effort")}
    with show_progress(quiet=quiet) as progress:
        tried = try_qualities(source, model=model, progress=progress, **wanted, **options)
    choice = next((one.quality for one in tried.trials if one.is_chosen and not asked["lossless"]), None)
    for warning in tried.warnings:
        say(warning)
    if as_json:
        print_json({"data": source.name, "model": path, "chosen": choice, **tried.to_json()})
        return
    rows = [_row(trial, source, asked) for trial in tried.trials]
    print_lines(
        f"{source.name}: {count(len(source), 'record')} of {shape_text(source.shape)} {source.dtype.name}, with {path}",
        "",
        *aligned([_HEAD, *rows], right=[1, 2, 3, 4, 5], indent=2),
        "",
        *_remarks(tried, embedded=bool(options.get("embed_model"))),
    )


def _row(trial: Trial, source: Source, asked: dict[str, Any]) -> tuple[str, ...]:
    marks = {"chosen": trial.is_chosen and not asked["lossless"], "the default": trial.is_default}
    if trial.quality is not None:
        name = f"quality {trial.quality}"
    elif trial.error_bound:
        name = _typed(trial, asked)
        marks = {**marks, f"every value within {format(trial.error_bound, '.4g')}": True}
    elif trial.error_bound is None:
        name, marks = _typed(trial, asked), {**marks, "pixels in levels": True}
    else:
        name, marks = "--lossless", {"chosen": asked["lossless"]}
    psnr = "exact" if trial.max_error == 0 else "-" if trial.psnr_db is None else f"{trial.psnr_db:.2f}"
    error = trial.max_error if source.dtype.kind == "f" else int(trial.max_error)
    return (
        name,
        number(trial.bytes_per_record),
        number(trial.n_bytes),
        psnr,
        number(error),
        f"{trial.seconds:.1f}",
        ", ".join(mark for mark, is_so in marks.items() if is_so),
    )


def _typed(trial: Trial, asked: dict[str, Any]) -> str:
    """Return the options that make an archive with a bound; `compress` without options chooses the default."""
    names = {"psnr": "--psnr", "bytes_per_record": "--bytes-per-record", "max_error": "--max-error"}
    given = {name: f"{option} {asked[name]}" for name, option in names.items() if asked[name] is not None}
    if trial.is_chosen and given.keys() - {"max_error"}:
        return " ".join(given.values())
    return "without options" if trial.is_default else given["max_error"]


def _remarks(tried: Trials, *, embedded: bool) -> list[str]:
    """Return sentences on what the numbers are, and on what could not be tried."""
    model = max(one.model_bytes for one in tried.trials)
    of_model = (
        "The model inside is counted."
        if embedded
        else f"The model ({count(model, 'byte')}) is also needed for reading, and not counted."
    )
    sampled = []
    if tried.sampled < tried.records:
        sampled = [
            f"Measured on {count(tried.sampled, 'record')}, evenly spaced among the {tried.records:,}; "
            "bytes and seconds are extrapolated to all."
        ]
    return [
        *sampled,
        f"Bytes are those of the whole file. {of_model}",
        *(f"Not tried: {reason}" for reason in tried.left_out),
        "Nothing was written. Choose one by --quality K, --max-error E or --lossless.",
    ]
