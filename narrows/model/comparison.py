"""A model beside principal component analysis, on records that it was not trained on."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import WorseThanPCAWarning, levels_to_caller
from narrows.numerics.batches import Labelled, batch_size
from narrows.training import Records

if TYPE_CHECKING:
    from narrows.model.artefacts.pca import PrincipalComponents
    from narrows.model.fitted import FittedModel

__all__ = ["Comparison", "check_against_pca", "compare_with_pca", "restores", "warn_if_worse"]

_LEAST_GAIN = 0.05  # of PCA's error
_STANDARD_ERRORS = 2.0
_BATCH = 1024
_LEVEL = 1.01
_ROUNDING = 1e-9  # of the records' own squares: errors this small say nothing
_SAMPLE = 1024


@dataclass(frozen=True)
class Comparison:
    """A model beside PCA on records held out.

    Attributes
    ----------
    n_records : int
        How many were held out.
    ratio : float or None
        Squared error of the model over that of PCA with a code of the same length, in preprocessed units. None where
        PCA leaves no error, or where an error is not finite.
    is_better : bool
        Whether the model's error is lower by 5 %, and by two standard errors of the difference.
    keeps_network : bool
        Whether the network was kept; otherwise the model is a linear autoencoder at the principal components.
    """

    n_records: int
    ratio: float | None
    is_better: bool
    keeps_network: bool = True


def compare_with_pca(chain: Chain, linear: Chain, held_out: Records) -> Comparison:
    """Return how a trained chain restores records held out, beside the linear chain of its training records."""
    by_chain, by_pca = _squared_errors(chain, held_out), _squared_errors(linear, held_out)
    gain = by_pca - by_chain
    spread = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    needed = max(_LEAST_GAIN * float(by_pca.mean()), _STANDARD_ERRORS * spread)
    ratio = float(by_chain.mean() / by_pca.mean()) if by_pca.any() else math.inf
    return Comparison(len(held_out), ratio if math.isfinite(ratio) else None, bool(gain.mean() > needed))


def warn_if_worse(model: FittedModel, error: float, error_by_pca: float, sum_of_squares: float, records: str) -> None:
    """Warn where the squared error of a model is more than 1 % above that of PCA with a code of the same length.

    Only for models trained to restore. Drawn, rounded, quantised or sparse codes, corruption and penalties accept a
    larger error for other gains.

    Parameters
    ----------
    model : FittedModel
        The model.
    error, error_by_pca : float
        Summed squared errors, in preprocessed units.
    sum_of_squares : float
        Of the records' preprocessed values: says how large errors are that rounding makes.
    records : str
        What the records are, for the warning.
    """
    if not restores(model) or error <= _LEVEL * error_by_pca + _ROUNDING * sum_of_squares:
        return
    times = error / error_by_pca if error_by_pca > 0 else math.inf
    is_auto = isinstance(model.parameters["network"], str) and model.parameters["network"] == "auto"
    advice = "" if is_auto else ", or take the recipe 'auto', which starts at the principal components"
    warnings.warn(
        f"The model restores {records} worse than principal component analysis does with a code of the same "
        f"length: its squared error is {times:.3g} times as large. Train for more epochs{advice}.",
        WorseThanPCAWarning,
        stacklevel=levels_to_caller(),
    )


def restores(model: FittedModel) -> bool:
    """Return whether a fitted model is trained for nothing but a small error, in units that PCA can be compared in."""
    parts = model.chain.parts
    plain = parts.bottleneck.name == "plain" and parts.corruption is None and not parts.penalties
    return plain and model.chain.preprocessor.is_affine


def check_against_pca(model: FittedModel, pca: PrincipalComponents, records: Records) -> None:
    """Warn where a fitted model restores its own training records, some of them, worse than its PCA does."""
    if not restores(model):
        return
    chain, few = model.chain, torch.linspace(0, len(records) - 1, min(len(records), _SAMPLE), dtype=torch.float64)
    sample = Records(records.take(few.long().to(records.device)).cpu().numpy(), records.device)
    values = sample.tensor.cpu().numpy()
    unit = chain.preprocessor.unit.expand(chain.shape).flatten().numpy()
    flat = values.reshape(len(values), -1)
    by_pca = np.square((flat - pca.decode(pca.encode(values))) / unit).sum()
    try:
        error = _squared_errors(chain, sample).sum()
    except (MemoryError, RuntimeError):  # PyTorch raises the latter; a warning is not worth the trained model
        return
    warn_if_worse(model, float(error), float(by_pca), float(np.square(flat / unit).sum()), "its training data")


def _squared_errors(chain: Chain, records: Records) -> NDArray[np.float64]:
    """Return the squared error of each record, summed over its preprocessed values, (n,)."""
    errors = []
    with torch.no_grad():
        for batch in records.batches(batch_size(chain.shape, _BATCH)):
            taken, labels = (batch.records, batch.labels) if isinstance(batch, Labelled) else (batch, None)
            x, condition = chain.prepare(taken), chain.condition(labels)
            h, switches = chain.encoder.with_switches(x, condition)
            x_hat = chain.likelihood.mean(chain.decode(chain.bottleneck(h).z, switches, condition))
            errors.append((x - x_hat).double().square().flatten(1).sum(1).cpu())
    return torch.cat(errors).numpy()
