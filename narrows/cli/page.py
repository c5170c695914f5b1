"""The report of a trained model on one page: its pictures, its numbers and its training."""

from __future__ import annotations

import math
import platform
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.cli import drawing
from narrows.cli.console import count, shape_text
from narrows.errors import DataError, InvalidParameterError
from narrows.model.describe import describe_chain, describe_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["build_page", "psnr_db"]


def build_page(
    model: Autoencoder, source: Source, *, path: str, arguments: Sequence[str], n: int = 10, seed: int = 0
) -> str:
    """Return the report of a model, measured on records, as self-contained HTML."""
    from narrows.evaluation.metrics import evaluate
    from narrows.evaluation.report import report
    from narrows.model.file import describe
    from narrows.training import Training

    metrics = evaluate(model, source)
    header = describe(model.model_)
    header["params"]["training"] = (model.training or Training()).to_json()
    on = model.trained_on_
    seconds = sum(row["seconds"] for row in model.history_)
    return report(
        title=f"An autoencoder of {Path(on.name).name or on.name}",
        summary={
            "model": path,
            "trained on": f"{on.name}, {count(on.n_records, 'record')}",
            "training": f"{count(len(model.history_), 'epoch')}, {seconds:.1f} s",
            "measured on": f"{source.name}, {count(len(source), 'record')}",
            "a record": f"{shape_text(model.shape_)} {model.dtype_.name}",
            "its code": count(model.n_latent_, "number"),
        },
        metrics=metrics,
        comparison=_comparison(metrics, model),
        pictures=_pictures(model, source, n, seed),
        history=model.history_,
        chain=describe_chain(header),
        settings=describe_settings(header),
        command=shlex.join(["narrows", *arguments]),
        versions=_versions(),
    )


def _comparison(metrics: dict[str, Any], model: Autoencoder) -> list[dict[str, Any]]:
    if model.pca_ is None:
        return []
    n_components, n_values = model.pca_.components.shape
    if n_components == n_values:  # PCA has no error, so the comparison is of no use
        return []
    return [
        {"name": "this autoencoder", "sse_per_record": metrics["sse_per_record"]},
        {"name": f"PCA, {n_components} components", "sse_per_record": metrics["pca_sse_per_record"]},
    ]


def _pictures(model: Autoencoder, source: Source, n: int, seed: int) -> dict[str, Figure]:
    """Return all pictures that this model and these data allow, by caption."""
    ways: dict[str, Callable[[], Figure]] = {
        "Records, and their reconstructions.": partial(drawing.draw_reconstructions, model, source, n=n),
        "Records, the same with noise, and restored from the noisy ones.": partial(
            drawing.draw_denoising, model, source, n=n, seed=seed
        ),
        "Codes as a map next to PCA, coloured by label if there are labels.": partial(drawing.draw_map, model, source),
        "Filters: the weights of the encoder's first layer.": partial(drawing.draw_filters, model, wide=True),
    }
    found = {}
    for caption, draw in ways.items():
        try:
            found[caption] = draw()
        except (DataError, InvalidParameterError):  # not for these records, or not for this model
            continue
    return found


def _versions() -> dict[str, str]:
    names = ("narrows", "torch", "numpy", "scikit-learn")
    return {**{name: version(name) for name in names}, "python": platform.python_version()}


def psnr_db(sse_per_record: float, metrics: dict[str, Any]) -> float | None:
    """Return the signal-to-noise ratio for another squared error on the same records."""
    ours, sse = metrics["psnr_db"], metrics["sse_per_record"]
    if ours is None or sse <= 0 or sse_per_record <= 0:
        return None
    return float(ours - 10 * math.log10(sse_per_record / sse))
