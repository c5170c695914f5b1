"""The report of a trained model: its pictures, its numbers and its training, as one page of HTML."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.checks import records_for
from narrows.evaluation import drawing
from narrows.evaluation.metric_table import has_own_scales
from narrows.evaluation.metrics import evaluate
from narrows.evaluation.report import report
from narrows.io.text import count, shape_text
from narrows.model.describe import describe_chain, describe_settings
from narrows.model.file import describe
from narrows.model.inspection import durations
from narrows.training import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["model_report"]


def model_report(
    model: Autoencoder,
    data: Data,
    *,
    path: str | None = None,
    command: str | None = None,
    n: int = 10,
    random_state: int = 0,
) -> str:
    """Return the report of a model, measured on records, as self-contained HTML.

    It has all pictures that the model and the records allow. `narrows.evaluation.report.write_report` writes it to a
    file.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
    data : array_like of shape (n_records, *shape), path, name or Source
        The records, which the model was not trained on.
    path : str, optional
        The model's file, to be named at the top.
    command : str, optional
        The command that made the report.
    n : int
        Number of records to draw.
    random_state : int
        Seed of the corruption in the picture of denoised records.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ShapeMismatchError
        If the records have another shape than the model's.
    DataError
        If values lie outside the likelihood's support.

    Warns
    -----
    RangeWarning, WorseThanPCAWarning
        As `narrows.evaluate`.
    """
    source = records_for(model, data, "model_report")
    metrics = evaluate(model, source)
    header = describe(model.model_)
    header["params"]["training"] = (model.training or Training()).to_json()
    on = model.trained_on_
    seconds = durations(header)["seconds"]
    return report(
        title=f"An autoencoder of {Path(on.name).name or on.name}",
        summary={
            **({} if path is None else {"model": path}),
            "trained on": f"{on.name}, {count(on.n_records, 'record')}",
            "training": f"{count(len(model.history_), 'epoch')}, {seconds:.1f} s",
            "measured on": f"{source.name}, {count(len(source), 'record')}",
            "a record": f"{shape_text(model.shape_)} {model.dtype_.name}",
            "its code": count(model.n_latent_, "number"),
        },
        metrics=metrics,
        comparison=_comparison(metrics, model),
        pictures=_pictures(model, source, n, random_state),
        history=model.history_,
        chain=describe_chain(header),
        settings=describe_settings(header),
        command=command,
        versions=_versions(),
    )


def _comparison(metrics: dict[str, Any], model: Autoencoder) -> list[dict[str, Any]]:
    if model.pca_ is None:
        return []
    n_components, n_values = model.pca_.components.shape
    if n_components == n_values:  # PCA has no error, so the comparison is of no use
        return []
    compared = ["sse_per_record", *(["preprocessed_sse_per_record"] if has_own_scales(model) else [])]
    return [
        {"name": "this autoencoder", **{name: metrics[name] for name in compared}},
        {"name": f"PCA, {n_components} components", **{name: metrics[f"pca_{name}"] for name in compared}},
    ]


def _pictures(model: Autoencoder, source: Source, n: int, random_state: int) -> dict[str, Figure]:
    """Return all pictures that this model and these data allow, by caption."""
    ways: dict[str, Callable[[], Figure]] = {
        "Records, and their reconstructions.": partial(drawing.draw_reconstructions, model, source, n=n),
        "Records, the same with noise, and restored from the noisy ones.": partial(
            drawing.draw_denoising, model, source, n=n, random_state=random_state
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
