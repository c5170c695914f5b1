"""The metrics of a model: their units and meaning, and their comparison with PCA in words."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from narrows.io.text import number, times

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["METRICS", "Metric", "compared_with_pca", "decided_by_few", "has_own_scales"]

_FEW = 10.0  # ratio of mean to median squared error from which a few records decide the mean
_EQUAL = 0.005  # relative difference that is 0 % when it is rounded
_ONE_SCALE = 3.0  # the largest scale of a column over the median, from which that column dominates squared errors


class Metric(NamedTuple):
    """A metric in words.

    Attributes
    ----------
    unit : str
        Its unit; empty if it has none, or that of the data.
    title : str
        What it is, in a few words.
    meaning : str
        How it is computed, and which values are good.
    """

    unit: str
    title: str
    meaning: str


METRICS = {
    "records": Metric(
        "",
        "records measured",
        "Number of records for all metrics.",
    ),
    "missing_values": Metric(
        "",
        "values that are missing",
        "Number of values that are equal to the fill value of the model. They are missing, and no metric counts them.",
    ),
    "sse_per_record": Metric(
        "",
        "squared error of a record, summed over its values",
        "Squared error summed over a record's values, averaged over records; pixels in [0, 1], other data in "
        "their own units. Lower is better.",
    ),
    "median_sse_per_record": Metric(
        "",
        "the same of the median record",
        "Squared error summed over a record's values, of the median record, in the units of sse_per_record. It does "
        "not depend on a few records that are unlike all others. Lower is better.",
    ),
    "mse": Metric(
        "",
        "squared error of a value",
        "Squared error averaged over all values of all records; pixels in [0, 1], other data in their own units. "
        "Lower is better.",
    ),
    "psnr_db": Metric(
        "dB",
        "peak signal-to-noise ratio",
        "Peak signal-to-noise ratio, 10 log₁₀(peak² / mse); the peak is 1 for pixels in [0, 1], else the range of"
        " these records. Higher is better.",
    ),
    "cross_entropy_per_value": Metric(
        "nats",
        "binary cross-entropy of a value",
        "Binary cross-entropy averaged over all values, which lie in [0, 1]. Lower is better; it cannot reach 0 "
        "unless all values are 0 or 1.",
    ),
    "nats_per_record": Metric(
        "nats",
        "the training loss of a record",
        "The training loss: −log p(x | z) plus the cost of the code, averaged over records; for a variational "
        "model with random codes and the training weight of the divergence. Lower is better.",
    ),
    "median_nats_per_record": Metric(
        "nats",
        "the same of the median record",
        "The training loss of the median record, on which a few records that are unlike all others have no effect. "
        "Lower is better.",
    ),
    "bits_per_record": Metric(
        "bits",
        "of a row given its code",
        "For tables: −log₂ p of a row's cells given its code, with numbers rounded to their resolution. The code "
        "itself is not counted. Lower is better.",
    ),
    "own_bits_per_record": Metric(
        "bits",
        "of a row by each column's own distribution",
        "For tables: the bits of a row if each column is coded by a histogram of its training cells.",
    ),
    "pca_sse_per_record": Metric(
        "",
        "squared error of a record by PCA with as many components",
        "sse_per_record of PCA with as many components as the code has numbers: the error to beat.",
    ),
    "preprocessed_sse_per_record": Metric(
        "",
        "squared error of a record in preprocessed units",
        "As sse_per_record, in preprocessed units: if each value is divided by its own scale, all values have "
        "equal weight. Lower is better.",
    ),
    "pca_preprocessed_sse_per_record": Metric(
        "",
        "squared error of a record by PCA in preprocessed units",
        "The same for PCA.",
    ),
    "preprocessed_mse": Metric(
        "",
        "squared error of a value in preprocessed units",
        "preprocessed_sse_per_record, averaged over the values of a record: for standardised values, the share of "
        "their variance that is lost. It is the validation_mse of the "
        "training history. Lower is better.",
    ),
    "elbo_nats_per_record": Metric(
        "nats",
        "evidence lower bound of log p(x): minus the sum of the next two",
        "Evidence lower bound of log p(x), given the label for conditional models: minus reconstruction and KL "
        "divergence, independently of its weight in training. For grey values with a Bernoulli likelihood it is "
        "the usual score, but not a bound of a probability. Higher is better.",
    ),
    "reconstruction_nats_per_record": Metric(
        "nats",
        "−log p(x | z) for a random code z",
        "−log p(x | z) for a code z drawn from the encoder's distribution q(z | x).",
    ),
    "kl_nats_per_record": Metric(
        "nats",
        "Kullback-Leibler divergence of the code from its prior",
        "KL divergence of the encoder's distribution q(z | x) from the prior.",
    ),
    "nll_nats_per_record": Metric(
        "nats",
        "upper bound of −log p(x) by importance sampling",
        "Upper bound of −log p(x) by importance sampling, tighter than the ELBO. Lower is better.",
    ),
    "bits_per_dimension": Metric(
        "bits",
        "bits per value, by the tightest bound",
        "The tightest of these bounds in bits per value, only for values of 0 and 1, for which the likelihood is "
        "a probability.",
    ),
    "active_units": Metric(
        "",
        "latent dimensions in use",
        "Latent dimensions whose means have a variance above 0.01 over the records.",
    ),
    "bytes": Metric(
        "",
        "bytes of all texts, without line ends",
        "Number of bytes of all texts, without line ends.",
    ),
    "characters_right": Metric(
        "",
        "share of the bytes that are restored right",
        "Share of bytes that are the same at the same place of the text and of what is restored, of the bytes of the "
        "longer of both. Higher is better; 1: all are right.",
    ),
    "records_right": Metric(
        "",
        "share of the texts that are restored exactly",
        "Share of the texts all bytes of which are restored right. Higher is better.",
    ),
    "bits_per_byte": Metric(
        "bits",
        "bits of a byte: given the code, and of the code",
        "−log₂ p(x | z), and the bits of the code if it has a rate, divided by the number of bytes, of which each text "
        "has one more, its end. Lower is better.",
    ),
    "code_bits_per_record": Metric(
        "bits",
        "bits of the code of a text",
        "Bits of the code of a text by its own prior, if it has a rate. Lower is better.",
    ),
    "codebook_perplexity": Metric(
        "",
        "effective number of codewords: exp of the entropy of their use",
        "Effective number of codewords: exp of the entropy of their use.",
    ),
    "codewords_in_use": Metric(
        "",
        "codewords that are used",
        "Number of codewords that are used.",
    ),
}
"""The metrics of `narrows.evaluate`, by name."""


def compared_with_pca(metrics: Mapping[str, Any], model: Autoencoder) -> str:
    """Return sentences that compare the errors of a model and PCA, in both units if they give different ratios."""
    ours, pca = metrics["sse_per_record"], metrics["pca_sse_per_record"]
    if pca is not None and max(ours, pca) < sys.float_info.min:  # the squares of these data vanish
        ours, pca = metrics["preprocessed_sse_per_record"], metrics["pca_preprocessed_sse_per_record"]
    if pca is None or model.pca_ is None:
        return model.model_.why_missing("pca")
    n_components, n_values = model.pca_.components.shape
    name = f"PCA with {n_components} component{'s' if n_components > 1 else ''}"
    if n_components == n_values:
        return f"The code is as large as a record, or larger: {name} has no error."
    if pca in {ours, 0}:
        return f"The squared error of {name} is {number(pca)}, that of this model {number(ours)}."
    scaled, pca_scaled = metrics["preprocessed_sse_per_record"], metrics["pca_preprocessed_sse_per_record"]
    if not has_own_scales(model) or not scaled or not pca_scaled:
        return f"The squared error of this model is {_beside(ours / pca, name)}."
    column, each = _dominating(model), "column" if len(model.shape_) == 1 else "value"
    text = (
        f"In the units of the data (sse_per_record), the squared error of this model is {_beside(ours / pca, name)}. "
    )
    if column is not None:
        text += f"The columns have different scales, so {column}, the one with the largest, counts most in this and in "
        text += "psnr_db. "
    text += f"With each {each} divided by its own scale (preprocessed_sse_per_record), the error of this model is "
    return f"{text}{_beside(scaled / pca_scaled, name)}."


def decided_by_few(metrics: Mapping[str, Any]) -> str | None:
    """Return a sentence on a mean squared error that a few records decide, since their errors are far larger."""
    mean, median = metrics["sse_per_record"], metrics["median_sse_per_record"]
    if not 0 < median * _FEW <= mean:
        return None
    return (
        f"A few records have most of the squared error: the mean, {number(mean)}, is "
        f"{times(mean / median, of='that of the median record')}, {number(median)}."
    )


def has_own_scales(model: Autoencoder) -> bool:
    """Return whether preprocessing divides each value by a scale of its own."""
    divisor = model.chain_.preprocessor.divisor
    return bool((divisor != divisor.flatten()[0]).any())


def _beside(ratio: float, name: str) -> str:
    """Return how the error of a model is beside that of PCA, given their ratio."""
    share = abs(1 - ratio)
    if share < _EQUAL:
        return f"equal to that of {name}"
    if ratio < 1:
        return f"{share:.0%} lower than that of {name}" if ratio >= 2 * _EQUAL else times(ratio, of=f"that of {name}")
    best = "the best linear code"
    return (
        f"{share:.0%} higher than that of {name}, {best}" if share < 1 else times(ratio, of=f"that of {name}, {best}")
    )


def _dominating(model: Autoencoder) -> str | None:
    """Return the column of a table with the largest scale if it is far larger than the others, otherwise None."""
    if len(model.shape_) != 1:
        return None
    scale = model.chain_.preprocessor.divisor.cpu().numpy().ravel()
    if scale.size < 2 or scale.max() <= _ONE_SCALE * sorted(scale)[scale.size // 2]:
        return None
    position = int(scale.argmax())
    names = getattr(model, "feature_names_in_", None)
    return f"column {position}" if names is None else f"column '{names[position]}'"
