"""Reads everything except the weights from a model file, without importing PyTorch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from narrows.errors import NotFreezableError
from narrows.io.model_file import finite, read_model_file
from narrows.model.describe import is_real_valued
from narrows.records import guess_kind

__all__ = ["ModelDescription", "durations", "fill_value_of", "inspect", "read_header"]


@dataclass(frozen=True)
class ModelDescription:
    """The contents of a model file without the tensors.

    Attributes
    ----------
    path : str
        The file.
    n_bytes : int
        Its size.
    header : dict
        The JSON values of the file, as returned by `narrows.model.file.describe`. `narrows.model.describe` converts
        them to text.
    qualities : tuple of dict
        The qualities that archives of this model can have, from coarse to fine: ``psnr_db`` and ``bytes_per_record``,
        measured on the training data. Empty without an archive codec.
    codec_error : str or None
        The reason why the model has no archive codec.
    codec_digest : str or None
        SHA-256 of the archive codec, in hexadecimal, by which archives name their model.
    """

    path: str
    n_bytes: int
    header: dict[str, Any]
    qualities: tuple[dict[str, float], ...]
    codec_error: str | None
    codec_digest: str | None = None

    @property
    def record(self) -> str:
        """What the records were treated as, ``image`` or ``vector``; guessed from the shape for older files."""
        return str(self.header.get("record", guess_kind(tuple(self.header["shape"]))))

    def to_json(self) -> dict[str, Any]:
        """Return the contents as JSON values. Some are None for files of earlier versions."""
        header, history = self.header, self.header["history_"]
        last = {"epoch": None, "loss": history[-1]["loss"], "validation_loss": history[-1]["validation_loss"]}
        kept = header.get("kept", last)  # older files do not contain it
        pretraining = header.get("pretraining_history_", [])
        return {
            "path": self.path,
            "n_bytes": self.n_bytes,
            "format": header["format"],
            "narrows": header["narrows"],
            "shape": header["shape"],
            "dtype": header["dtype"],
            "record": self.record,
            "real_valued": is_real_valued(header),
            "kind": header.get("kind", "autoencoder"),
            "classes": header.get("classes_", []),
            "n_latent": header["n_latent_"],
            "weights": header["n_weights"],
            "parts": header["parts"],
            "params": header["params"],
            "fill_value": header["parts"].get("fill_value"),
            "trained_on": header["trained_on_"],
            "comparison": header.get("comparison"),
            "race": header.get("race"),
            "residual": header.get("residual"),
            "epochs": len(history),
            "kept_epoch": kept["epoch"],
            "loss": kept["loss"],
            "validation_loss": kept["validation_loss"],
            **durations(header),
            "threads": _most_frequent(history, "threads"),
            "shards": _most_frequent(history, "shards"),
            "history": history,
            "pretraining_history": pretraining,
            "artefacts": header.get("artefacts"),
            "qualities": list(self.qualities),
            "not_frozen": self.codec_error,
            "model_id": None if self.codec_digest is None else self.codec_digest[:12],
        }


def inspect(path: str | os.PathLike[str]) -> ModelDescription:
    """Describe the model in a file; its weights are not read.

    Parameters
    ----------
    path : path-like
        The model file.

    Returns
    -------
    ModelDescription

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model, is damaged, or was written by a newer narrows.
    """
    from narrows.codec import read_frozen

    header = read_header(path)
    n_bytes = os.path.getsize(path)
    try:
        codec = read_frozen(path)
    except NotFreezableError as error:
        return ModelDescription(str(path), n_bytes, header, (), str(error))
    qualities = tuple({"psnr_db": one.psnr_db, "bytes_per_record": one.bytes_per_record} for one in codec.qualities)
    return ModelDescription(str(path), n_bytes, header, qualities, None, codec.digest)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the header of a model file. The number of weights is added for older files, which do not contain it.

    Parameters
    ----------
    path : path-like
        The model file.

    Returns
    -------
    dict
        The JSON values, as returned by `narrows.model.file.describe`. Numbers that are not finite are None.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model, is damaged, or was written by a newer narrows.
    """
    header = finite(read_model_file(path, names=())[0])
    if "n_weights" not in header:
        weights = read_model_file(path)[1].items()
        header["n_weights"] = sum(
            w.size for name, w in weights if name.startswith(("chain.encoder.", "chain.decoder."))
        )
    return header


def durations(header: Mapping[str, Any]) -> dict[str, float | None]:
    """Return how long a fit took: all of it, training, measuring, and the epochs alone.

    Of models that do not contain it, only the duration of the epochs is known, which is then that of all.

    Parameters
    ----------
    header : mapping
        As returned by `narrows.model.file.describe`.
    """
    rows = [*header.get("pretraining_history_", []), *header["history_"]]
    epochs = sum(row["seconds"] for row in rows)
    took = header.get("took")
    return {
        "seconds": epochs if took is None else took["training"] + took["measuring"],
        "training_seconds": None if took is None else took["training"],
        "measuring_seconds": None if took is None else took["measuring"],
        "epoch_seconds": epochs,
    }


def fill_value_of(header: Mapping[str, Any]) -> float | None:
    """Return the fill value of a model, given the header of its file; None if it has none."""
    value = header["parts"].get("fill_value")
    return None if value is None else float(value)


def _most_frequent(history: list[dict[str, Any]], key: str) -> int | None:
    """Return the most frequent value of an entry over the epochs; None in models saved before it was recorded."""
    values = Counter(row[key] for row in history if key in row)
    return values.most_common(1)[0][0] if values else None
