"""The archives of ``narrows demo``: digits compressed, verified, restored, and compared with other formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from narrows.cli.archive import MUCH
from narrows.cli.console import aligned, count
from narrows.cli.verbs import Failure

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["FILES", "Archives", "archive_lines", "write_archives"]

_UNSEEN, _WHOLE, _RESTORED = "digits.narrows", "all.narrows", "restored.npy"
FILES = {
    _UNSEEN: "the 360 digits it has not seen, compressed; reading needs model.safetensors",
    _RESTORED: "the digits restored from it, an array of 360×8×8 bytes",
    _WHOLE: "all 1,797 digits, compressed, with the model inside: reading needs no other file",
    "qualities.png": "digits restored from fewer and fewer bytes",
}


@dataclass(frozen=True)
class Archives:
    """The sizes of two sets of digits, each with and without the bytes of the model.

    Attributes
    ----------
    unseen, unseen_with_model : Summary
        For the digits that the model was not trained on.
    whole, whole_with_model : Summary
        For all digits.
    unseen_fixed_bytes : int
        Bytes of header and index of the first archive.
    """

    unseen: Summary
    unseen_with_model: Summary
    whole: Summary
    whole_with_model: Summary
    unseen_fixed_bytes: int = 0

    def to_json(self) -> dict[str, dict[str, float | int | bool | None]]:
        """Return size and quality of each set of digits as JSON values."""
        sets = {
            "unseen": self.unseen,
            "unseen_with_model": self.unseen_with_model,
            "all": self.whole,
            "all_with_model": self.whole_with_model,
        }
        return {
            name: {
                "records": one.total_records,
                "n_bytes": one.n_bytes,
                "bytes_per_record": one.bytes_per_record,
                "psnr_db": one.psnr_db,
                "model_embedded": one.model_embedded,
            }
            for name, one in sets.items()
        }


def write_archives(model: Autoencoder, unseen: Source, whole: Source, folder: Path) -> Archives:
    """Write `FILES` except the picture into a folder, and verify the archives.

    Raises
    ------
    Failure
        If an archive does not restore to the compressed records.
    """
    import narrows
    from narrows.archive import inspect, verify

    pack: Callable[..., Any] = partial(narrows.compress, model=model, force=True)
    # Archives that are only measured are not kept.
    with TemporaryDirectory() as elsewhere:
        archives = Archives(
            unseen=pack(unseen, folder / _UNSEEN),
            unseen_with_model=pack(unseen, Path(elsewhere) / _UNSEEN, embed_model=True),
            whole=pack(whole, Path(elsewhere) / _WHOLE),
            whole_with_model=pack(whole, folder / _WHOLE, embed_model=True),
            unseen_fixed_bytes=inspect(folder / _UNSEEN).fixed_bytes,
        )
    for name, by in ((_UNSEEN, model), (_WHOLE, None)):
        report = verify(folder / name, model=by)
        if not (report.is_intact and report.is_restored):
            raise Failure(
                f"The archive '{folder / name}' failed its verification: restored records differ from the originals."
            )
    narrows.restore(folder / _UNSEEN, model=model, out=folder / _RESTORED, force=True)
    return archives


def archive_lines(archives: Archives, unseen: Source, whole: Source) -> list[str]:
    """Return a table of the bytes per digit, and a sentence on whether the model pays for itself."""
    from narrows.evaluation.compressors import lossless_sizes

    ours = [
        ("narrows, without model", archives.unseen, archives.whole),
        ("narrows, with model", archives.unseen_with_model, archives.whole_with_model),
    ]
    few_bytes, all_bytes = lossless_sizes(unseen.values), lossless_sizes(whole.values)
    n_unseen, n_whole = len(unseen), len(whole)
    rows = [
        ("bytes a digit", f"{n_unseen:,} unseen", "PSNR", f"all {n_whole:,}", "PSNR"),
        *(
            (name, f"{few / n_unseen:.1f}", "exact", f"{all_bytes[name] / n_whole:.1f}", "exact")
            for name, few in few_bytes.items()
        ),
        *(
            (name, f"{few.bytes_per_record:.1f}", _psnr(few), f"{all_.bytes_per_record:.1f}", _psnr(all_))
            for name, few, all_ in ours
        ),
    ]
    return [
        "Compressed with the same model into archives, which were verified and restored:",
        "",
        *aligned(rows, right=[1, 2, 3, 4], indent=2),
        "",
        *_fixed(archives),
        *_worth(archives.whole_with_model),
        f"Of all {n_whole:,}, {n_whole - n_unseen:,} are training data, which the model restores better.",
    ]


def _fixed(archives: Archives) -> list[str]:
    """Return a sentence on the share of header and index in the small archive of unseen digits, if it is large."""
    n_bytes, fixed = archives.unseen.n_bytes, archives.unseen_fixed_bytes
    if fixed <= MUCH * n_bytes:
        return []
    each = fixed / archives.unseen.total_records
    return [
        f"Of the {archives.unseen.bytes_per_record:.1f} bytes of an unseen digit, {each:.1f} are its share of the "
        "archive's header and index.",
    ]


def _worth(summary: Summary) -> list[str]:
    """Return a sentence on the number of digits from which the model pays for itself."""
    n, takes, rival = summary.total_records, f"The model takes {count(summary.model_bytes, 'byte')}", summary.rival
    if rival is None:
        return [f"{takes}."]
    if summary.pays_after is None:
        return [f"{takes}, and never pays for itself on records as small as these."]
    has_paid = "and has paid for itself" if summary.pays_after <= n else f"too many for {n:,} records as small as these"
    from_there = f"from {summary.pays_after:,} digits on"
    how = "which is lossless too" if summary.max_error == 0 else "at the same PSNR"
    return [f"{takes}, {has_paid}:", f"archive and model together beat {rival.name}, {how}, {from_there}."]


def _psnr(summary: Summary) -> str:
    return "exact" if summary.psnr_db is None else f"{summary.psnr_db:.1f} dB"
