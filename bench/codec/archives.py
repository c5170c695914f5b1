"""narrows' own archives: `compress --psnr` with the models of `train.py`, and `compress --lossless`.

A model in bench/models/codec belongs to the set and the quality that its file is named after:
``mnist-23.5.safetensors``. It writes archives of that quality, and of one a little lower and a little higher. Those
whose name ends in ``-dense`` have a dense network and a curve of their own; those whose name ends in ``-lossless``
restore every byte. The bytes are those of the archive, headers, checksums and index included. The model is a side
file: what a reader needs of it is counted as side bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import Array, Attempt
from records import Records

import narrows

__all__ = ["MODELS", "attempts", "models_of"]

MODELS = Path(__file__).parents[1] / "models" / "codec"
AROUND_DB = (-1.5, 0.0, 1.5)  # of the quality that a model was trained for
DENSE_DB = (19.0, 20.5, 22.0, 23.5)


def models_of(name: str) -> list[Path]:
    """Return the model files there are for a set, but for those of lossless archives."""
    found = (path for path in MODELS.glob("*.safetensors") if f"{path.stem}-".startswith(f"{name}-"))
    return sorted(path for path in found if not path.stem.endswith("-lossless"))


def attempts(records: Records) -> Iterator[Attempt]:
    models = models_of(records.name)
    if not models:
        print(f"{records.name}: no model {records.name}*.safetensors in {MODELS}, so no rows of narrows")
        return
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "test.narrows"
        for model in models:
            wanted = model.stem.rpartition("-")[2]
            steps = DENSE_DB if wanted == "dense" else [float(wanted) + step for step in AROUND_DB]
            for psnr in steps:
                yield warm(_Archive(model, archive, {"psnr": psnr}).attempt(), records)
        exact = MODELS / f"{records.name}-lossless.safetensors"
        if exact.exists():
            yield warm(_Archive(exact, archive, {"lossless": True}).attempt(), records)


def warm(attempt: Attempt, records: Records) -> Attempt:
    """Return an attempt after it was called once on a few records, which does not count."""
    attempt.decode(attempt.encode(records.train[:100]))
    return attempt


class _Archive:
    """An archive of the test records, written with one model in one way."""

    def __init__(self, model: Path, archive: Path, how: dict[str, Any]) -> None:
        self.model, self.archive, self.how = model, archive, how
        self.model_bytes = 0

    def attempt(self) -> Attempt:
        ((name, value),) = self.how.items()
        is_dense, is_exact = self.model.stem.endswith("-dense"), name == "lossless"
        return Attempt(
            "narrows, dense" if is_dense else "narrows, lossless" if is_exact else "narrows",
            f"{self.model.stem}, {name}" + ("" if is_exact else f"={value:g}"),
            self._encode,
            lambda _: narrows.restore(self.archive, model=self.model, threads=1),
            lambda: self.model_bytes,
            note="the whole archive; opening the model is part of the time",
        )

    def _encode(self, records: Array) -> list[bytes]:
        summary = narrows.compress(records, self.archive, model=self.model, threads=1, force=True, **self.how)
        self.model_bytes = summary.model_bytes
        return [self.archive.read_bytes()]
