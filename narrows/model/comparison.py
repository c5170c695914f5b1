"""Compares the squared error of a model with that of principal component analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.chain import Chain
from narrows.data.columns import Columns
from narrows.data.fill import is_fill
from narrows.errors import WorseThanPCAWarning, warn
from narrows.io.json_values import finite_or_none
from narrows.io.text import times
from narrows.model.inference import reconstruct
from narrows.numerics.batches import Labelled, batch_size
from narrows.numerics.eval_mode import in_eval_mode
from narrows.training import Records

if TYPE_CHECKING:
    from narrows.model.artefacts.pca import PrincipalComponents
    from narrows.model.fitted import FittedModel

__all__ = ["Comparison", "check_against_pca", "compare_with_pca", "restores", "warn_if_worse", "warn_of_ruined_columns"]

_LEAST_GAIN = 0.05  # of PCA's error
_STANDARD_ERRORS = 2.0
_BATCH = 1024
_LEVEL = 1.01  # ratio to the error of PCA above which a model is worse
_ROUNDING = 1e-9  # relative to the sum of squares of the records; smaller errors are rounding errors
_SAMPLE = 1024
_RUINED = 10.0  # error of a column over its deviation; the mean alone has 1


@dataclass(frozen=True)
class Comparison:
    """Comparison of a model with PCA on held-out records.

    Attributes
    ----------
    n_records : int
        Number of held-out records.
    ratio : float or None
        Squared error of the model divided by that of PCA with as many components, in preprocessed units. None if PCA
        has no error, or if an error is not finite.
    is_better : bool
        Whether the model's error is lower by 5 % and by two standard errors of the difference.
    keeps_network : bool
        Whether the network was kept; otherwise the model is a linear autoencoder at the principal components.
    """

    n_records: int
    ratio: float | None
    is_better: bool
    keeps_network: bool = True


def compare_with_pca(chain: Chain, linear: Chain, held_out: Records) -> Comparison:
    """Compare a trained chain with a linear chain on held-out records, which may have weights."""
    by_chain, by_pca, weights = _squared_errors(chain, held_out), _squared_errors(linear, held_out), _weights(held_out)
    gain = by_pca - by_chain
    if len(gain) == 1:
        spread = math.inf
    elif weights is None:
        spread = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    else:
        away = weights * (gain - np.average(gain, weights=weights))
        spread = math.sqrt(float(np.square(away).sum())) / float(weights.sum())
    mean_of_chain, mean_of_pca, mean_gain = (
        one.mean() if weights is None else np.average(one, weights=weights) for one in (by_chain, by_pca, gain)
    )
    needed = max(_LEAST_GAIN * float(mean_of_pca), _STANDARD_ERRORS * spread)
    ratio = float(mean_of_chain / mean_of_pca) if by_pca.any() else math.inf
    return Comparison(len(held_out), finite_or_none(ratio), bool(mean_gain > needed))


def warn_if_worse(model: FittedModel, error: float, error_by_pca: float, sum_of_squares: float, records: str) -> None:
    """Warn if the squared error of a model is more than 1 % above that of PCA with as many components.

    The warning is given only for models that are trained for a small squared error alone. Models with random, rounded,
    quantised or sparse codes, corruption or penalties are also trained for other properties.

    Parameters
    ----------
    model : FittedModel
        The model.
    error, error_by_pca : float
        Summed squared errors, in preprocessed units.
    sum_of_squares : float
        Sum of squares of the preprocessed values, to which rounding errors are proportional.
    records : str
        Name of the records in the warning.
    """
    if not restores(model) or error <= _LEVEL * error_by_pca + _ROUNDING * sum_of_squares:
        return
    ratio = error / error_by_pca if error_by_pca > 0 else math.inf
    is_auto = isinstance(model.parameters["network"], str) and model.parameters["network"] == "auto"
    advice = "" if is_auto else ", or use the recipe 'auto', which starts from the principal components"
    warn(
        WorseThanPCAWarning(
            f"The squared error of the model on {records} is {times(ratio, of='that of PCA')} with a code of the same "
            f"length, so the model restores them worse. Train for more epochs{advice}."
        )
    )


def restores(model: FittedModel) -> bool:
    """Return whether a model is trained for a small squared error alone, and its units allow a comparison with PCA."""
    parts = model.chain.parts
    plain = (
        parts.bottleneck.name == "plain"
        and parts.corruption is None
        and not parts.penalties
        and parts.adversary is None
    )
    return plain and model.chain.preprocessor.is_affine


def check_against_pca(model: FittedModel, pca: PrincipalComponents, records: Records) -> None:
    """Warn if a fitted model restores a sample of its training records worse than its PCA."""
    if model.schema.kind in {"text", "columns"}:  # squared errors of symbols and categories mean nothing
        return
    chain, few = model.chain, torch.linspace(0, len(records) - 1, min(len(records), _SAMPLE), dtype=torch.float64)
    rows = few.long().to(records.device)
    records.expect(rows)
    sample, weights = Records(records.take(rows).cpu().numpy(), records.device), _weights(records, rows)
    if not restores(model):
        warn_of_ruined_columns(model, sample.tensor.cpu().numpy(), "its training data")
        return
    values = sample.tensor.cpu().numpy()
    unit = chain.preprocessor.divisor.expand(chain.shape).flatten().numpy()
    flat = values.reshape(len(values), -1)
    if chain.missing is not None:
        flat = np.where(is_fill(flat, chain.missing.fill_value), pca.mean, flat)
    squares_by_pca, squares = np.square(pca.errors(values) / unit), np.square(flat / unit)
    if weights is not None:
        squares_by_pca, squares = squares_by_pca * weights[:, None], squares * weights[:, None]
    try:
        errors = _squared_errors(chain, sample)
    except (MemoryError, RuntimeError):  # PyTorch raises RuntimeError if memory is short; the model must be kept
        return
    error = float((errors if weights is None else errors * weights).sum())
    warn_if_worse(model, error, float(squares_by_pca.sum()), float(squares.sum()), "its training data")


def warn_of_ruined_columns(model: FittedModel, values: NDArray[Any], records: str) -> None:
    """Warn if a model restores columns of a table far worse than their mean does, from which PCA starts.

    This holds for models that are trained for other properties than a small squared error as well. It happens where
    columns of different scales share one range. Columns with common bounds, such as pixels, are not looked at, since
    some of these hardly vary.

    Parameters
    ----------
    model : FittedModel
        The model.
    values : ndarray of shape (n, d)
        Records; at most 1,024 of them, evenly spaced, are restored.
    records : str
        Name of the records in the warning.
    """
    chain = model.chain
    if len(chain.shape) != 1 or chain.parts.n_classes or restores(model) or not chain.preprocessor.is_affine:
        return
    few, fill_value = values[:: -(-len(values) // _SAMPLE)], chain.parts.fill_value
    columns = Columns.of(few, fill_value=fill_value)
    if columns.are_bounded or (columns.low.min() >= 0 and columns.high.max() <= 1):
        return
    try:
        error = reconstruct(chain, few) - few
    except (MemoryError, RuntimeError):  # as in `check_against_pca`
        return
    missing = np.zeros(few.shape, bool) if fill_value is None else is_fill(few, fill_value)
    error = error[:, ~missing.all(axis=0)]  # the columns of which `Columns` has statistics
    error[missing[:, ~missing.all(axis=0)]] = 0.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        relative = np.abs(error / columns.deviation).mean(axis=0)
    n = int(((columns.deviation > 0) & (relative > _RUINED)).sum())
    if n:
        what = "1 column" if n == 1 else f"{n:,} columns"
        warn(
            WorseThanPCAWarning(
                f"The model restores {what} of {len(relative):,} in {records} with errors of more than ten times the "
                "standard deviation. The mean alone, from which PCA starts, restores them better. The preprocessing "
                "does not suit columns of different scales: set preprocessing='standardise', or real_values="
                "'unit-scale' with a recipe for values in [0, 1]."
            )
        )


def _weights(records: Records, rows: Tensor | None = None) -> NDArray[np.float64] | None:
    """Return the weights of records, or of those at some rows; None if they have none."""
    weights = records.weights_of(rows)
    return None if weights is None else weights.double().cpu().numpy()


def _squared_errors(chain: Chain, records: Records) -> NDArray[np.float64]:
    """Return the squared error of each record, summed over its preprocessed values, (n,)."""
    errors = []
    with torch.no_grad(), in_eval_mode(chain):
        for batch in records.batches(batch_size(chain.shape, _BATCH)):
            taken, labels = (batch.records, batch.labels) if isinstance(batch, Labelled) else (batch, None)
            x, condition = chain.prepare(taken), chain.condition(labels)
            h, switches = chain.encoder.with_pool_indices(x, condition)
            x_hat = chain.likelihood.mean(chain.decode(chain.bottleneck(h).z, switches, condition))
            errors.append(chain.difference(x, x_hat, chain.missing_of(taken)).double().square().flatten(1).sum(1).cpu())
    return torch.cat(errors).numpy()
