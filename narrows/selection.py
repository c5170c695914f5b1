"""Whether a network has earned its place: it must restore records that it has not seen better than PCA does."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.batches import Labelled, batch_size
from narrows.chain import Chain
from narrows.data import Source
from narrows.errors import WorseThanPCAWarning
from narrows.networks import Dense
from narrows.pca import PrincipalComponents
from narrows.stages import new_chain
from narrows.training import Records, Training

__all__ = [
    "Comparison",
    "check_against_pca",
    "choose",
    "compare_with_pca",
    "linear_chain",
    "value_scale",
    "warn_if_worse",
]

_LEAST_GAIN = 0.05  # of PCA's error
_STANDARD_ERRORS = 2.0
_BATCH = 1024
_LEVEL = 1.01
_SAMPLE = 1024
_RESTORING = ("plain", "top-k")


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


def choose(
    chain: Chain,
    records: Records,
    held_out: Records | None,
    *,
    is_auto: bool,
    settings: Training,
    source: Source,
    seed: int,
) -> tuple[Comparison | None, Chain]:
    """Return how a trained chain compares with PCA, and the chain to keep: it, or a linear one where that is better.

    Only a network that was chosen by "auto" (``is_auto``) is replaced. The linear chain that is kept has the
    components of all records, those held out to choose by included.
    """
    chain.eval()
    network = chain.parts.network
    if not network.linear_path or network.is_linear or held_out is None:
        return None, chain
    comparison = compare_with_pca(chain, linear_chain(chain, settings, source, records, seed), held_out)
    if comparison.is_better or not is_auto:
        return comparison, chain
    # Of data that were held out by request nothing may be learned.
    learned_from = records.only(None) if settings.validation is None else records
    linear = linear_chain(chain, settings, source, learned_from, seed)
    return replace(comparison, keeps_network=False), linear.eval()


def linear_chain(chain: Chain, settings: Training, source: Source, records: Records, seed: int) -> Chain:
    """Return a linear autoencoder with the principal components of records, the rest as in another chain."""
    parts = replace(chain.parts, network=Dense(widths=(), linear_path=True))
    return new_chain(parts, settings, source, records, seed)


def compare_with_pca(chain: Chain, linear: Chain, held_out: Records) -> Comparison:
    """Return how a trained chain restores records held out, beside the linear chain of its training records."""
    by_chain, by_pca = _squared_errors(chain, held_out), _squared_errors(linear, held_out)
    gain = by_pca - by_chain
    spread = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    needed = max(_LEAST_GAIN * float(by_pca.mean()), _STANDARD_ERRORS * spread)
    ratio = float(by_chain.mean() / by_pca.mean()) if by_pca.any() else math.inf
    return Comparison(len(held_out), ratio if math.isfinite(ratio) else None, bool(gain.mean() > needed))


def warn_if_worse(chain: Chain, error: float, error_by_pca: float, records: str) -> None:
    """Warn where the squared error of a chain is more than 1 % above that of PCA, both in preprocessed units.

    Only where codes are there to restore from: one that is drawn, rounded or chosen from a codebook buys other things
    with its error, as do corruption and penalties.
    """
    parts = chain.parts
    restores = parts.bottleneck.name in _RESTORING and parts.corruption is None and not parts.penalties
    if restores and error > _LEVEL * error_by_pca:
        times = error / error_by_pca if error_by_pca > 0 else math.inf
        warnings.warn(
            f"The model restores {records} worse than principal component analysis does with a code of the same "
            f"length: its squared error is {times:.3g} times as large. Train for more epochs, or take the recipe "
            "'auto', which starts at the principal components.",
            WorseThanPCAWarning,
            stacklevel=3,
        )


def value_scale(chain: Chain) -> NDArray[np.float64] | None:
    """Return what one preprocessed unit of each value is worth, (d,); None where it is the same for all."""
    unit = chain.preprocessor.unit.expand(chain.shape).flatten().numpy()
    return None if (unit == unit[0]).all() else unit.copy()


def check_against_pca(chain: Chain, pca: PrincipalComponents, records: Records) -> None:
    """Warn where a trained chain restores its own training records, some of them, worse than PCA does."""
    few = torch.linspace(0, len(records) - 1, min(len(records), _SAMPLE), dtype=torch.float64).long()
    batch = records.take(few.to(records.device))
    scale = value_scale(chain)
    values = batch.cpu().numpy().reshape(len(batch), -1)
    away = (values - pca.decode(pca.encode(batch.cpu().numpy()))) / (1.0 if scale is None else scale)
    if scale is None:
        away = away / float(chain.preprocessor.unit.flatten()[0])
    sample = Records(batch.cpu().numpy(), records.device)
    warn_if_worse(chain, float(_squared_errors(chain, sample).sum()), float(np.square(away).sum()), "its training data")


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
