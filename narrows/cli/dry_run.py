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
    chosen: int,
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
    chosen : int
        The quality that the options choose, if they ask for no bound.
    asked : dict
        The options on quality, bound, overlap and effort.
    **options
        Others of `narrows.archive.trials.try_qualities`.
    """
    from narrows.archive.trials import try_qualities

    max_error = asked["max_error"]
    choice = None if asked["lossless"] or max_error is not None else chosen
    options |= {"overlap": asked["overlap"], "effort": asked["effort"]}
    if choice is not None and asked["effort"]:
        choice = _with_effort(source, model, choice, asked)
    with show_progress(quiet=quiet) as progress:
        tried = try_qualities(source, model=model, max_error=max_error, progress=progress, **options)
    for warning in tried.warnings:
        say(warning)
    if as_json:
        print_json({"data": source.name, "model": path, "chosen": choice, **tried.to_json()})
        return
    rows = [_row(trial, choice, source, max_error) for trial in tried.trials]
    print_lines(
        f"{source.name}: {count(len(source), 'record')} of {shape_text(source.shape)} {source.dtype.name}, with {path}",
        "",
        *aligned([_HEAD, *rows], right=[1, 2, 3, 4, 5], indent=2),
        "",
        *_remarks(tried, embedded=bool(options.get("embed_model"))),
    )


def _with_effort(source: Source, model: Autoencoder, chosen: int, asked: dict[str, Any]) -> int:
    """Return the quality that the options choose with their effort."""
    from narrows.archive.effort import quality_with_effort
    from narrows.archive.encoder import ModelEncoder
    from narrows.archive.layout_choice import layout_for

    encoder = ModelEncoder(model, effort=asked["effort"])
    source = encoder.records_of(source)
    layout = layout_for(source, encoder.codec, asked["overlap"], None)
    wanted = {name: asked[name] for name in ("psnr", "bytes_per_record")}
    return quality_with_effort(encoder, source, layout, chosen, **wanted)


def _row(trial: Trial, chosen: int | None, source: Source, max_error: str | None) -> tuple[str, ...]:
    if trial.quality is not None:
        name, marks = f"quality {trial.quality}", {"chosen": trial.quality == chosen, "the default": trial.is_default}
    elif trial.error_bound:
        name, marks = f"--max-error {max_error}", {f"every value within {number(trial.error_bound)}": True}
    else:
        name, marks = "--lossless", {}
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
