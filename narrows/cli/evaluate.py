"""``narrows evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
from narrows.cli.inputs import load_model, open_data
from narrows.cli.options import data_argument, data_options, device_option, json_option, model_option, quiet_option
from narrows.cli.outputs import Verb

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["compared_with_pca", "evaluate", "metric_lines"]

_WORDS = {
    "records": ("", "records measured"),
    "sse_per_record": ("", "squared error of a record, summed over its values"),
    "mse": ("", "squared error of a value"),
    "psnr_db": ("dB", "peak signal-to-noise ratio"),
    "cross_entropy_per_value": ("nats", "binary cross-entropy of a value"),
    "nats_per_record": ("nats", "the training loss of a record"),
    "pca_sse_per_record": ("", "squared error of a record by PCA with as many components"),
    "preprocessed_sse_per_record": ("", "squared error of a record in preprocessed units"),
    "pca_preprocessed_sse_per_record": ("", "squared error of a record by PCA in preprocessed units"),
    "elbo_nats_per_record": ("nats", "evidence lower bound of log p(x): minus the sum of the next two"),
    "reconstruction_nats_per_record": ("nats", "−log p(x | z) for a random code z"),
    "kl_nats_per_record": ("nats", "Kullback-Leibler divergence of the code from its prior"),
    "nll_nats_per_record": ("nats", "upper bound of −log p(x) by importance sampling"),
    "bits_per_dimension": ("bits", "bits per value, by the tightest bound"),
    "active_units": ("", "latent dimensions in use"),
    "codebook_perplexity": ("", "effective number of codewords: exp of the entropy of their use"),
    "codewords_in_use": ("", "codewords that are used"),
}
"""Unit and short meaning of each metric; `narrows.evaluation.report.METRICS` defines them."""

_BESIDES = "Besides the code, the decoder gets the pooling switches of each record, which PCA does not need."


@click.command(cls=Verb)
@data_argument
@model_option
@data_options
@device_option
@click.option(
    "--importance-samples",
    type=click.IntRange(1),
    metavar="K",
    help="For variational models: bound −log p(x) with K draws of each record's code.",
)
@json_option
@quiet_option
def evaluate(
    *,
    data: str,
    model: str,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    importance_samples: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how well MODEL restores DATA, compared with PCA with a code of the same size.

    Pixels of 8 bits count as numbers in [0, 1], other data in their own units. PCA is fitted to the data that the
    model was trained on.
    """
    import narrows

    loaded = load_model(model, device)
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    metrics = narrows.evaluate(loaded, source, importance_samples=importance_samples or 0)
    if as_json:
        print_json({**metrics, "data": source.name, "model": model, "n_latent": loaded.n_latent_})
        return
    size = f"{shape_text(source.shape)} values"
    print_lines(
        f"{source.name}: {count(len(source), 'record')} of {size}, "
        f"each encoded as {count(loaded.chain_.bottleneck.n_symbols, 'number')} and decoded",
        "",
        *metric_lines(metrics, loaded),
    )


def metric_lines(metrics: Mapping[str, float | int | None], model: Autoencoder) -> list[str]:
    """Return a table of the metrics, the comparison with PCA, and a note if that is not a fair one."""
    rows = []
    for name, value in metrics.items():
        unit, meaning = _WORDS.get(name, ("", ""))
        if value is None:
            why = "the model has none" if name.startswith("pca_") else "not defined for these data"
            unit, meaning = "", f"{meaning}: {why}"
        rows.append((name, number(value), unit, meaning))
    lines = [*aligned(rows, right=[1]), "", compared_with_pca(metrics, model)]
    return [*lines, _BESIDES] if model.chain_.decoder.needs_switches else lines


def compared_with_pca(metrics: Mapping[str, float | int | None], model: Autoencoder) -> str:
    """Return a sentence that compares the two errors."""
    ours, pca = metrics["sse_per_record"], metrics["pca_sse_per_record"]
    assert ours is not None
    if pca is not None and max(ours, pca) < sys.float_info.min:  # the squares of these data vanish
        ours, pca = metrics["preprocessed_sse_per_record"], metrics["pca_preprocessed_sse_per_record"]
        assert ours is not None
    if pca is None or model.pca_ is None:
        return model.model_.why_missing("pca")
    n_components, n_values = model.pca_.components.shape
    name = f"PCA with {n_components} component{'s' if n_components > 1 else ''}"
    if n_components == n_values:
        return f"The code is as large as a record, or larger: {name} has no error."
    if pca in {ours, 0}:
        return f"The squared error of {name} is {number(pca)}, that of this model {number(ours)}."
    share = abs(1 - ours / pca)
    if ours < pca:
        return f"The squared error of this model is {share:.0%} lower than that of {name}."
    more = f"{share:.0%} higher than that of" if share < 1 else f"{number(ours / pca)} times that of"
    return f"The squared error of this model is {more} {name}, the best linear code."
