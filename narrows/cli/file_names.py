"""What the name of an output says: that it is a picture, or by mistake another kind of file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from narrows.io.magic import IMAGE_ENDINGS

__all__ = ["PICTURE_ENDINGS", "names_picture", "refuse_other_kinds"]

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
"""Of the files in which pictures are drawn."""

_KINDS = frozenset(
    {
        *(".npy", ".npz", ".idx", ".csv", ".tsv", ".txt", ".json", ".parquet", ".h5", ".hdf5"),
        *(".log", ".jsonl", ".ndjson"),
        *(".pt", ".pth", ".ckpt", ".pkl", ".onnx", ".keras"),
        *(*IMAGE_ENDINGS, ".svg", ".pdf", ".html"),
        *(".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z"),
        *(".safetensors", ".narrows", ".index"),
    }
)


def names_picture(output: str) -> bool:
    """Return whether an output is a picture, and no folder whose name ends like one."""
    is_folder = output.endswith(("/", os.sep)) or os.path.isdir(output)
    return Path(output).suffix.lower() in PICTURE_ENDINGS and not is_folder


def refuse_other_kinds(output: str, what: str, ending: str) -> None:
    """Refuse an output whose name has the extension of another kind of file, for which it would be taken.

    Parameters
    ----------
    output : str
        The path.
    what : str
        What is written, with its article: "an archive".
    ending : str
        The extension that such a file usually has.

    Raises
    ------
    click.UsageError
        Names the extension, and one to choose.
    """
    found = os.path.splitext(output)[1]
    if found.lower() in _KINDS - {ending}:
        raise click.UsageError(
            f"The name of {what} must not end in {found}. Got '{output}'. Choose a name that ends in {ending}, for "
            f"example '{output.removesuffix(found)}{ending}'."
        )
