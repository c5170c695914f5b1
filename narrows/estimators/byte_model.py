"""A model of bytes as an estimator: it learns from texts, and archives of texts are small with it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np

import narrows.data
from narrows.codec.model_file import BLOB, KIND_OF_BYTES, read_codec
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.text.frozen import FrozenBytes
from narrows.data import Source
from narrows.errors import DataError, ModelFileError
from narrows.estimators.text_samples import SampleOfTexts, learned_from, sample_of, tried_samples
from narrows.io.files import write_atomically
from narrows.io.model_file import FORMAT, HEADER, read_model_file
from narrows.io.progress import Progress
from narrows.parts.options import Integer, check

__all__ = ["ByteModel"]

_USUAL_SAMPLE, _MOST_SAMPLE = 3 << 19, (1 << 24) - 1
_EXPECTED = 32  # times the training texts, in the archives of a model


class ByteModel:
    """Learns to predict the bytes of texts, so that archives restore them byte for byte from few bytes.

    It consists of a sample of the training texts. With a larger one, the model takes more bytes and the texts fewer, so
    several sizes are tried on held-out texts. The one is taken with which the model and texts of 32 times the training
    texts' bytes together take the fewest bytes, and a sample of this size is taken of all training texts.

    Parameters
    ----------
    sample_bytes : int
        The largest number of bytes of the sample, up to 16,777,215. Opening an archive takes about three seconds for
        each mebibyte, and ten for each if texts are coded alone.

    Attributes
    ----------
    codec_ : PartedCodec
        The model as archives use it.
    sample_ : SampleOfTexts
        The sample of the model.
    tried_ : tuple of SampleOfTexts
        The samples that were tried, the largest first.
    trained_on_ : dict
        Name of the training texts, their number ``n_records`` and their bytes ``n_bytes``.

    Examples
    --------
    >>> model = ByteModel().fit([f"node-{k % 7} started task {k}" for k in range(400)])
    >>> model.sample_.n_records
    400
    """

    kind: ClassVar[str] = KIND_OF_BYTES

    def __init__(self, sample_bytes: int = _USUAL_SAMPLE) -> None:
        self.sample_bytes = sample_bytes

    def __repr__(self) -> str:
        given = "" if self.sample_bytes == _USUAL_SAMPLE else f"sample_bytes={self.sample_bytes}"
        return f"ByteModel({given})"

    @property
    def codec_(self) -> PartedCodec:
        """The model as archives use it."""
        if not hasattr(self, "_codec"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("This ByteModel is not fitted yet. Call 'fit' with texts first.")
        return self._codec

    @property
    def digest_(self) -> str:
        """The hash by which archives name the model file."""
        return hashlib.sha256(self.codec_.blob).hexdigest()

    def fit(self, X: Any, *, progress: Progress | None = None) -> Self:
        """Learn from texts.

        Parameters
        ----------
        X : list of str, path, name or Source
            The texts.
        progress : callable, optional
            Called as `narrows.data.Progress` with ``"learning"`` and the samples that were tried.

        Raises
        ------
        DataError
            If these are not texts, or all are empty.
        """
        most = check("ByteModel", "sample_bytes", self.sample_bytes, Integer(1, _MOST_SAMPLE))
        source = X if isinstance(X, Source) else narrows.data.open(X, record="text")
        if source.text is None:
            raise DataError(
                f"A model of bytes learns from text. {source.name} has records of shape {source.shape} {source.dtype}. "
                "Give lines of text, or a column of texts (--column)."
            )
        texts = source.text.texts
        if not texts.n_bytes:
            raise DataError(f"All texts of {source.name} are empty, so there is nothing to learn.")
        found = []
        for sample, size in tried_samples(texts, most):
            found.append((sample, size))
            if progress is not None:
                progress("learning", len(found), None, "samples")
        self.tried_ = tuple(sample for sample, _ in found)
        best, size = min(found, key=lambda one: one[0].cost(_EXPECTED * texts.n_bytes))
        model, sample = learned_from(sample_of(texts, np.arange(len(texts)), size))
        self._take(model, replace(sample, bits_per_byte=best.bits_per_byte))
        self.trained_on_ = {"name": source.name, "n_records": len(texts), "n_bytes": texts.n_bytes}
        return self

    def _take(self, model: FrozenBytes, sample: SampleOfTexts) -> None:
        self._codec = PartedCodec.of_bytes(model)
        self.sample_ = replace(sample, model_bytes=len(self._codec.blob))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the model as one safetensors file, which `narrows.load` reads.

        Raises
        ------
        OutputExistsError, OutputError, DataNotFoundError
            If the file cannot be written.
        """
        from safetensors.numpy import save

        blob = self.codec_.blob
        header = {**self.describe(), "sha256": hashlib.sha256(blob).hexdigest()}
        data = save({BLOB: np.frombuffer(blob, np.uint8)}, {HEADER: json.dumps(header, allow_nan=False)})

        def write(file: BinaryIO) -> None:
            file.write(data)

        write_atomically(path, write, force=force)

    def describe(self) -> dict[str, Any]:
        """Return the contents of the file without the model, as JSON values."""
        return {
            "format": FORMAT,
            "narrows": narrows.__version__,
            "kind": KIND_OF_BYTES,
            "record": "text",
            "params": {"sample_bytes": self.sample_bytes},
            "trained_on_": self.trained_on_,
            "tried_": [asdict(one) for one in self.tried_],
            "sample_": asdict(self.sample_),
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model in a file.

        Raises
        ------
        DataNotFoundError, ModelFileError
            If there is no such file, or it is no model of bytes, or damaged.
        """
        header, _ = read_model_file(path, ())
        codec = read_codec(path)
        if header.get("kind") != KIND_OF_BYTES or not isinstance(codec, PartedCodec):
            raise ModelFileError(f"{path} is no model of bytes.")
        try:
            model = cls(**header["params"])
            model._codec = codec
            model.trained_on_ = header["trained_on_"]
            model.tried_ = tuple(SampleOfTexts(**one) for one in header["tried_"])
            model.sample_ = SampleOfTexts(**header["sample_"])
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"{path} is a model of bytes with invalid content: {error}.") from error
        return model
