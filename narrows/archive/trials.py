"""What archives of some records would be like: with each quality of a model, with a bound, and lossless."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from narrows.archive.bound import bound_of
from narrows.archive.compress import compress, compress_within
from narrows.archive.description import inspect
from narrows.archive.encoder import ModelEncoder
from narrows.archive.plan import Plan, plan_archive
from narrows.data import Source
from narrows.errors import NarrowsError, Warned, recorded
from narrows.io.progress import Progress

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["Trial", "Trials", "try_qualities"]

_MOST_RECORDS, _MOST_BYTES = 5_000, 32 << 20
"""The largest sample."""
_MOST_REFINED = 500  # records of it with an effort, which takes long


@dataclass(frozen=True)
class Trial:
    """An archive that was tried.

    Attributes
    ----------
    quality : int or None
        Number of the model's quality, from 0, the coarsest. None with a bound, for which the smallest file is chosen,
        and for pixels that are rounded to levels.
    error_bound : float or None
        The largest error allowed, in the records' units; 0: lossless; None: no bound.
    is_default, is_chosen : bool
        Whether it is what `compress` writes if nothing is requested, and with what is requested here.
    bytes_per_record : float
        Size of the file, divided by the number of its records.
    n_bytes : int
        Size of the file with all records; estimated if they were sampled.
    psnr_db : float or None
        PSNR of the restored records. None if they are exact, or if PSNR is not defined.
    max_error : float
        The largest error of a value, in the records' units.
    seconds : float
        Duration of the compression of all records; estimated if they were sampled.
    model_bytes : int
        Size of the model that a reader needs; part of `n_bytes` only if it is to be stored in the archive.
    """

    quality: int | None
    error_bound: float | None
    is_default: bool
    is_chosen: bool
    bytes_per_record: float
    n_bytes: int
    psnr_db: float | None
    max_error: float
    seconds: float
    model_bytes: int


@dataclass(frozen=True)
class Trials:
    """The result of `try_qualities`.

    Attributes
    ----------
    records : int
        Number of records of the data.
    sampled : int
        Number of records that were compressed, evenly spaced among them; the same if they are few.
    trials : tuple of Trial
        The qualities from coarse to fine, then with bounds, then lossless. Bounds are those that `compress` chooses,
        and the one that is given.
    left_out : tuple of str
        The reason for each kind of archive that these records cannot have.
    warnings : tuple of dict
        What a person should know, as in `narrows.archive.summary.Summary`.
    """

    records: int
    sampled: int
    trials: tuple[Trial, ...]
    left_out: tuple[str, ...]
    warnings: tuple[Warned, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "trials": [asdict(one) for one in self.trials], "warnings": list(self.warnings)}


def try_qualities(
    data: Data,
    *,
    model: Autoencoder | str | os.PathLike[str],
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    quality: int | None = None,
    max_error: float | str | None = None,
    accept_loss: str | Sequence[str] = (),
    fill_value: float | None = None,
    overlap: int | None = None,
    effort: int = 0,
    embed_model: bool = False,
    chunk_records: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trials:
    """Compress records with each quality of a model, losslessly and with an error bound; keep nothing but the numbers.

    If there are many records, a sample of at most 5,000 of them (500 with an effort) and 32 MiB is compressed, and
    sizes and durations are extrapolated to all records.

    Parameters
    ----------
    data : array_like of shape (n, *shape), path, name or Source
        The records, as for `compress`.
    model : Autoencoder or path
        A fitted model, or a model file.
    psnr, bytes_per_record, quality : optional
        As for `compress`: what they choose is marked, and tried if it is a bound.
    max_error : float or str, optional
        Also try this error bound.
    accept_loss, fill_value, overlap, effort, embed_model, chunk_records, threads
        As for `compress`; each is used where it has an effect.
    progress : callable, optional
        Called as `narrows.data.Progress` with the activity ``"trying qualities"`` and the number done.

    Returns
    -------
    Trials

    Raises
    ------
    NarrowsError
        As `compress`: if the records cannot be compressed with the qualities, or not with the bound that was given.

    Examples
    --------
    >>> import narrows
    >>> model = narrows.recipe("auto", training__epochs=2, random_state=0).fit("digits:train")
    >>> tried = try_qualities("digits:test", model=model)
    >>> [trial.quality for trial in tried.trials][:3], tried.trials[-1].max_error
    ([0, 1, 2], 0.0)
    """
    encoder = ModelEncoder(model, effort=effort)
    codec = encoder.codec
    with recorded(held=True) as warned:
        source = encoder.records_of(data)
        bound = None if max_error is None else bound_of(max_error, lossless=False, source=source, fill_value=fill_value)
    sample = _sample(source, _MOST_RECORDS if effort == 0 else _MOST_REFINED)
    selected = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    is_selected = any(value is not None for value in selected.values())
    default = _choice(encoder, source, overlap, dict.fromkeys(selected), bound is not None)
    chosen = default
    if is_selected:
        both = None if quality is not None else max_error
        chosen = _choice(encoder, source, overlap, selected, False, max_error=both, fill_value=fill_value)
    planned = {_key(one): one for one in (default, chosen) if one is not None}
    key_chosen = _Key(None, bound) if bound is not None and not is_selected else _key(chosen)
    asked: list[dict[str, Any]] = [
        {"quality": k, "overlap": overlap, "effort": effort} for k in range(len(codec.qualities))
    ]
    for key, plan in planned.items():
        if plan.bound or plan.weight is not None:
            given = fill_value if key == key_chosen else None
            asked.append({"planned": plan, "max_error": plan.bound, "fill_value": given})
    if bound is not None:
        asked.append({"max_error": bound, "fill_value": fill_value})
    asked.append({"lossless": True, "accept_loss": accept_loss})
    trials: list[Trial] = []
    left_out: dict[str, None] = {}
    found: dict[str, Warned] = {str(one): one.to_json() for one in (*source.warnings, *warned)}
    for done, options in enumerate(asked, 1):
        this = _key(options["planned"]) if "planned" in options else _key_of(**options)
        marks = {"is_default": this == _key(default), "is_chosen": this == key_chosen}
        try:
            options |= {"embed_model": embed_model, "chunk_records": chunk_records, "threads": threads}
            trial, its_warnings = _try(sample, len(source), encoder.model, options, marks)
        except NarrowsError as error:
            if "max_error" in options or ("quality" in options and bound is None):
                raise
            left_out[str(error)] = None
        else:
            trials.append(trial)
            if trial.is_default or trial.is_chosen or trial.error_bound:
                found.update({one["message"]: one for one in its_warnings})
        if progress is not None:
            progress("trying qualities", done, len(asked), "qualities")
    return Trials(len(source), len(sample), tuple(trials), tuple(left_out), tuple(found.values()))


def _choice(
    encoder: ModelEncoder,
    source: Source,
    overlap: int | None,
    selected: dict[str, Any],
    may_fail: bool,
    *,
    max_error: float | str | None = None,
    fill_value: float | None = None,
) -> Plan | None:
    """Return the plan that `compress` makes; None if it cannot make one and ``may_fail``."""
    values: dict[str, Any] = {"accept_loss": (), "fill_value": fill_value, "before": None}
    bounds: dict[str, Any] = {"max_error": max_error, "lossless": False}
    try:
        with recorded(held=True):
            return plan_archive(source, "", encoder=encoder, overlap=overlap, **selected, **bounds, **values)
    except NarrowsError:
        if may_fail:
            return None
        raise


class _Key(NamedTuple):
    """What identifies a way to write an archive: the quality, the bound, and whether pixels are rounded to levels."""

    quality: int | None = None
    bound: float | None = None
    is_rounded: bool = False


def _key(plan: Plan | None) -> _Key:
    """Return the key of a plan; what is lossless, or of rounded pixels, has no quality."""
    if plan is None:
        return _Key()
    return _Key(None if plan.bound == 0 else plan.number, plan.bound, plan.weight is not None)


def _key_of(quality: int | None = None, max_error: float | None = None, lossless: bool = False, **_: Any) -> _Key:
    """Return the key of what is asked of `compress`, which chooses the quality itself if there is a bound."""
    return _Key(quality, 0.0 if lossless else max_error)


def _sample(source: Source, most: int) -> Source:
    """Return the source, or evenly spaced records of it if there are many."""
    most = max(1, min(most, _MOST_BYTES // max(1, source.values[:1].nbytes)))
    if len(source) <= most:
        return source
    return source.take(np.unique(np.linspace(0, len(source) - 1, most).round().astype(np.int64)))


def _try(
    sample: Source, n_records: int, model: Autoencoder, options: dict[str, Any], marks: dict[str, bool]
) -> tuple[Trial, tuple[Warned, ...]]:
    """Compress a sample into a temporary file, and return what it would be with all records."""
    quality, scale = options.get("quality"), n_records / len(sample)
    with TemporaryDirectory() as folder, recorded(held=True):
        path = Path(folder) / "trial.narrows"
        write: Callable[..., Any] = compress
        if "planned" in options:
            options = {name: value for name, value in options.items() if name != "max_error"}
            write = compress_within
        began = time.perf_counter()
        made = write(sample, path, model=model, **options)
        seconds = time.perf_counter() - began
        found = inspect(path)
    n_bytes = found.n_bytes - found.records_bytes + round(found.records_bytes * scale)
    trial = Trial(
        quality=quality,
        error_bound=made.error_bound,
        **marks,
        bytes_per_record=n_bytes / n_records,
        n_bytes=n_bytes,
        psnr_db=made.psnr_db,
        max_error=made.max_error,
        seconds=seconds * scale,
        model_bytes=made.model_bytes,
    )
    return trial, made.warnings
