"""Likelihoods of variational models: the evidence lower bound, and tighter bounds by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.bottlenecks import DiagonalNormal
from narrows.chain import Chain
from narrows.model.inference import Labels
from narrows.networks import Switches
from narrows.numerics.batches import batch_size
from narrows.numerics.eval_mode import in_eval_mode
from narrows.numerics.randomness import Stream
from narrows.numerics.record_noise import RecordNoise

__all__ = ["bounds"]

_BATCH = 1024
_ACTIVE = 0.01  # variance over records of the mean of a latent dimension that is in use


@torch.no_grad()
def bounds(
    chain: Chain, values: NDArray[Any], seed: int, labels: Labels = None, *, importance_samples: int = 0
) -> dict[str, float | None]:
    """Measure a variational model's likelihood of records, in nats per record.

    With one draw z ~ q(z | x) for each record, and the KL divergence in closed form,

        log p(x) ≥ E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = ELBO,

    independently of the weight of the divergence in training. With K importance samples z_k ~ q(z | x) the bound

        log p(x) ≥ E log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x)

    is tighter, and becomes tighter with K (Burda, Grosse and Salakhutdinov 2016, equation 8).

    Parameters
    ----------
    chain : Chain
        A trained chain with a variational bottleneck.
    values : ndarray of shape (n, *shape)
        Records in their stored dtype. They are not corrupted; with dynamic binarisation they are drawn once.
    seed : int
        Seed of the draws, which also depend on the values of the record, so that its bounds do not depend on the batch
        or the order.
    labels : ndarray of int, shape (n,), optional
        Classes of the records, for a conditional chain.
    importance_samples : int
        K; 0 for the ELBO alone.

    Returns
    -------
    bounds : dict
        ``elbo_nats_per_record`` = −``reconstruction_nats_per_record`` − ``kl_nats_per_record``; ``active_units``, the
        number of latent dimensions whose means have a variance above 0.01 over the records (Burda et al. 2016, section
        5.2); with importance samples ``nll_nats_per_record``, minus the tighter bound; and ``bits_per_dimension`` of
        the tightest bound, None if the likelihood is not a probability of the values.

    Raises
    ------
    DataError
        If values lie outside the likelihood's support, for a Bernoulli likelihood [0, 1].
    """
    with in_eval_mode(chain):
        return _bounds(chain, values, seed, labels, importance_samples)


def _bounds(
    chain: Chain, values: NDArray[Any], seed: int, labels: Labels, importance_samples: int
) -> dict[str, float | None]:
    """Do what `bounds` does, for a chain in eval mode."""
    size = batch_size(chain.shape, _BATCH)
    totals = {"reconstruction": 0.0, "kl": 0.0, "nll": 0.0}
    means, is_probability, n_values = [], True, 0
    for start in range(0, len(values), size):
        batch = torch.from_numpy(values[start : start + size].copy()).to(chain.device)
        chain.check_support(batch)
        noise, missing = chain.noise_of(batch, seed), chain.missing_of(batch)
        x = chain.observed(chain.prepare(batch), noise.stream(Stream.MEASURED_RECORDS), missing)
        told = None if labels is None else torch.from_numpy(labels[start : start + size]).to(x.device)
        condition = chain.condition(told)
        h, switches = chain.encoder.with_pool_indices(x, condition)
        posterior = chain.bottleneck.posterior(h)
        assert posterior is not None
        log_p = _log_p(chain, x, missing, switches, condition)
        totals["reconstruction"] -= _total(log_p(posterior.sample(noise.stream(Stream.MEASURED_CODES, 0)), 1))
        totals["kl"] += _total(posterior.kl().flatten(1).sum(1))
        if importance_samples:
            at_a_time = max(1, size // len(x))
            totals["nll"] -= _total(_log_likelihood(log_p, posterior, importance_samples, noise, at_a_time=at_a_time))
        means.append(posterior.mean.flatten(1))
        is_probability = is_probability and chain.likelihood.is_probability_of(x if missing is None else x[~missing])
        n_values += x.numel() if missing is None else int((~missing).sum())
    n = len(values)
    reconstruction, kl, nll = (total / n for total in totals.values())
    best = nll if importance_samples else reconstruction + kl
    return {
        "elbo_nats_per_record": -reconstruction - kl,
        "reconstruction_nats_per_record": reconstruction,
        "kl_nats_per_record": kl,
        **({"nll_nats_per_record": nll} if importance_samples else {}),
        "bits_per_dimension": best * n / n_values / math.log(2) if is_probability and n_values else None,
        "active_units": int((torch.cat(means).var(0, correction=0) > _ACTIVE).sum()),
    }


_LogP = Callable[[Tensor, int], Tensor]


def _log_p(chain: Chain, x: Tensor, missing: Tensor | None, switches: Switches, condition: Tensor | None) -> _LogP:
    """Return a function for log p(x | z), (n · m,), with m codes z (n · m, *z_shape) of each record (n, *shape)."""

    def log_p(z: Tensor, m: int) -> Tensor:
        told = None if condition is None else _repeat(condition, m)
        parameters = chain.decode(z, tuple(_repeat(one, m) for one in switches), told)
        return chain.log_prob(parameters, _repeat(x, m), None if missing is None else _repeat(missing, m))

    return log_p


def _log_likelihood(log_p: _LogP, posterior: DiagonalNormal, k: int, noise: RecordNoise, *, at_a_time: int) -> Tensor:
    """Return the importance-weighted bound of each record, shape (n,); a few samples at a time."""
    n = len(posterior.mean)
    log_weights = torch.empty(n, k, dtype=torch.float64, device=posterior.mean.device)
    for start in range(0, k, at_a_time):
        m = min(at_a_time, k - start)
        repeated = DiagonalNormal(_repeat(posterior.mean, m), _repeat(posterior.log_variance, m))
        z = repeated.sample(noise.streams(Stream.MEASURED_CODES, 1 + start, m))  # the ELBO uses stream 0
        log_weight = log_p(z, m) + DiagonalNormal.standard(z).log_prob(z) - repeated.log_prob(z)
        log_weights[:, start : start + m] = log_weight.double().reshape(n, m)
    return log_weights.logsumexp(1) - math.log(k)


def _repeat(x: Tensor, m: int) -> Tensor:
    return x if m == 1 else x.repeat_interleave(m, 0)


def _total(nats: Tensor) -> float:
    return float(nats.double().sum())
