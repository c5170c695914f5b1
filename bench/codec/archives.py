"""narrows' own archives: for each model in bench/models/codec `compress --psnr`, and a point for each of its qualities.

A model belongs to the set and the quality that its file is named after: ``mnist-23.5.safetensors``; those whose name
ends in ``-dense`` have a dense network and a curve of their own; those whose name ends in ``-lossless``, with a network
of residuals, keep records within bounds. The bytes are those of the archive, headers, checksums and
index included; the model is a side file, and what a reader needs of it is counted as side bytes.
`bench/codec/train.py` trains them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import Array, Attempt
from records import Records

import narrows

__all__ = ["attempts", "models_of"]

MODELS = Path(__file__).parents[1] / "models" / "codec"


BOUNDS = (128, 96, 64, 48, 32, 24, 16)  # of 255; finer ones in lossless_sizes.py and error_bound_sweep.py


def models_of(name: str) -> list[Path]:
    """Return the model files there are for a set, but for those of residuals."""
    found = (path for path in MODELS.glob("*.safetensors") if f"{path.stem}-".startswith(f"{name}-"))
    return sorted(path for path in found if not path.stem.endswith("-lossless"))


def attempts(records: Records) -> Iterator[Attempt]:
    models = models_of(records.name)
    if not models:
        print(f"{records.name}: no model {records.name}*.safetensors in {MODELS}, so no rows of narrows")
        return
    import torch

    from narrows.codec import read_frozen

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "test.narrows"
        for model in models:
            frozen = read_frozen(model)
            warm_up = attempt({"quality": 0}, model, archive, 0)
            warm_up.decode(warm_up.encode(records.train[:100]))
            wanted = model.stem.rpartition("-")[2]
            if wanted != "dense":
                yield attempt({"psnr": float(wanted)}, model, archive, len(frozen.only(frozen.default).blob))
            for position in range(len(frozen.qualities)):
                yield attempt({"quality": position}, model, archive, len(frozen.only(position).blob))
        exact = MODELS / f"{records.name}-lossless.safetensors"
        if exact.exists():
            side_bytes = len(read_frozen(exact).only(0, with_causal=True).blob)
            for bound in BOUNDS:
                yield within(bound, exact, archive, side_bytes)


def within(bound: int, model: Path, archive: Path, side_bytes: int) -> Attempt:
    """Return the attempt with no value further off than a bound."""

    def encode(records: Array) -> list[bytes]:
        narrows.compress(records, archive, model=model, max_error=bound, force=True)
        return [archive.read_bytes()]

    return Attempt(
        "narrows, bounded",
        f"{model.stem}, max_error={bound}",
        encode,
        lambda _: narrows.restore(archive, model=model),
        side_bytes,
        note="no value is further off than that",
    )


def attempt(asked: dict[str, Any], model: Path, archive: Path, side_bytes: int) -> Attempt:
    """Return the attempt with a quality, by its number or by the PSNR that is wanted."""

    def encode(records: Array) -> list[bytes]:
        narrows.compress(records, archive, model=model, **asked, force=True)
        return [archive.read_bytes()]

    ((name, value),) = asked.items()
    return Attempt(
        "narrows, dense" if model.stem.endswith("-dense") else "narrows",
        f"{model.stem}, {name}={value}",
        encode,
        lambda _: narrows.restore(archive, model=model),
        side_bytes,
        note="the whole archive; opening the model is part of the time",
    )
