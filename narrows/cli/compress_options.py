"""The options of ``narrows compress``: those that contradict each other are refused before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from narrows.archive.metadata import Metadata
    from narrows.codec.frozen import FrozenCodec
    from narrows.data import Source

__all__ = ["check_bound", "check_model", "check_options", "check_values", "choose", "losses"]


def check_options(
    output: str | None, wanted: dict[str, Any], *, overlap: int | None, append: bool, force: bool, dry_run: bool
) -> None:
    """Refuse options that contradict each other, before anything is opened."""
    if output is None and not dry_run:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if dry_run and append:
        raise click.UsageError(
            "--dry-run cannot be combined with --append, since records are appended in the archive's own quality. "
            "Give one of them."
        )
    given = [f"--{name.replace('_', '-')}" for name, value in wanted.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(
            f"{given[0]} and {given[1]} cannot be combined, since each chooses the quality. Give one of them."
        )
    for option, value in (("--psnr", wanted["psnr"]), ("--bytes-per-record", wanted["bytes_per_record"])):
        if value is not None and not 0 < value < float("inf"):
            raise click.UsageError(f"{option} must be a number above 0. Got {value:g}.")
    if append and output == "-":
        raise click.UsageError("--append extends a file, so the output cannot be standard output. Give a file.")
    if overlap is not None and overlap < 0:
        raise click.UsageError(f"The overlap must be a number of pixels ≥ 0. Got --overlap {overlap}.")
    if append and force:
        raise click.UsageError(
            "--append extends an archive, and --force replaces it, so they cannot be combined. Give one of them."
        )


def check_bound(asked: dict[str, Any], *, max_error: str | None, lossless: bool, overlap: int | None) -> None:
    """Refuse options that have no use, or no sense, beside a bound."""
    if lossless and max_error is not None:
        raise click.UsageError("--lossless and --max-error cannot be combined. Give one of them.")
    if not lossless and max_error is None:
        return
    bound = "--lossless" if lossless else "--max-error"
    for name, value in asked.items():
        if value is not None and (lossless or name == "quality"):
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{option} cannot be combined with {bound}, which always chooses the quality with the smallest file. "
                "Give one of them."
            )
    if overlap:
        raise click.UsageError(
            f"--overlap must be 0 with {bound}, since the tiles of such archives have no seams. Got {overlap}."
        )


def check_model(
    model: str | None, values: dict[str, Any], flags: dict[str, bool], *, kind: str | None, is_bounded: bool
) -> None:
    """Refuse options that need a model if there is none, and those that need none if there is one."""
    if model is not None:
        if kind is not None:
            raise click.UsageError(
                f"--as is for arrays without a model, and archives of a model always hold records. Got --as {kind}. "
                "Omit it, or -m."
            )
        return
    given = [name for name, value in values.items() if value is not None] + [name for name, on in flags.items() if on]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        if given[0] == "append" and is_bounded:
            raise click.UsageError(
                "--append needs a model. To tables, no rows are appended: compress the new rows into an archive of "
                "their own, with a model of both (narrows train TABLE --recipe columns), or all rows together. To "
                "other archives, give -m MODEL."
            )
        raise click.UsageError(f"{option} needs a model. Give -m MODEL, or omit {option}.")
    if not is_bounded:
        raise click.UsageError(
            "Missing option '-m' / '--model'. Give a model, or give --max-error or --lossless, with which an array "
            "needs none."
        )


def losses(text: str | None) -> tuple[str, ...]:
    """Return the kinds of loss that are accepted."""
    from narrows.data.image_losses import accepted_losses

    return accepted_losses([kind.strip() for kind in (text or "").split(",") if kind.strip()])


def check_values(
    fill_value: float | None, accepted: tuple[str, ...], *, max_error: str | None, lossless: bool, append: bool
) -> None:
    """Refuse a bound that is not valid, and options that have an effect only with a bound."""
    from narrows.archive.bound import fill_value_needs_bound, parse_bound
    from narrows.data.image_losses import accepts_nothing

    parse_bound(max_error, lossless=lossless)
    if append:  # the bound of the archive counts
        return
    if fill_value is not None and max_error is None:
        raise fill_value_needs_bound()
    if accepted and not lossless:
        raise accepts_nothing()


def choose(
    source: Source,
    codec: FrozenCodec,
    asked: dict[str, Any],
    *,
    model: str,
    output: str,
    before: Metadata | None,
    fill_value: float | None,
) -> int:
    """Return the quality for records after checking the options that depend on them, without loading PyTorch.

    Parameters
    ----------
    source : Source
        The records.
    codec : FrozenCodec
        Of the model.
    asked : dict
        The options of `narrows.compress` on quality, bound and overlap.
    model, output : str
        The files of model and archive.
    before : Metadata or None
        Of the archive that is appended to.
    fill_value : float or None
        As for `narrows.compress`.
    """
    from narrows.archive.appending import bound_for, fill_value_for
    from narrows.archive.layout_choice import layout_for
    from narrows.archive.quality import choose_quality
    from narrows.model.inspection import fill_value_of, read_header

    bound = {"max_error": asked["max_error"], "lossless": asked["lossless"]}
    of_model = fill_value_of(read_header(model))
    exact = fill_value_for(output, before, fill_value, of_model, is_bounded=bool(asked["max_error"]))
    bound_for(output, before, source, **bound, fill_value=exact)
    wanted = {name: asked[name] for name in ("psnr", "bytes_per_record", "quality")}
    n_tiles = layout_for(source, codec, asked["overlap"], before).n_records
    has_bounds = before is None and not asked["overlap"] and of_model is None
    return choose_quality(codec, **wanted, n_tiles=n_tiles, has_bounds=has_bounds or asked["max_error"] is not None)
