"""Likelihoods of variational models: the evidence lower bound, split, and tighter bounds by importance sampling."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from narrows.batches import batch_size
from narrows.bottlenecks import DiagonalNormal
from narrows.chain import Chain
from narrows.inference import noise_of

__all__ = ["bounds"]

_BATCH = 1024
_ACTIVE = 0.01  # variance of a mean over records from which a number of the code counts as in use


@torch.no_grad()
def bounds(chain: Chain, values: NDArray[Any], seed: int, *, importance_samples: int = 0) -> dict[str, float | None]:
    """Measure a variational model's likelihood of records, in nats per record.

    With one draw z ~ q(z | x) for each record, and the KL divergence in closed form,

        log p(x) ≥ E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) = ELBO,

    whatever weight the divergence had in training. With K importance samples z_k ~ q(z | x) the bound

        log p(x) ≥ E log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x)

    is tighter, the more so the larger K (Burda, Grosse and Salakhutdinov 2016, equation 8).

    Parameters
    ----------
    chain : Chain
        Trained, with a bottleneck that is a distribution.
    values : ndarray of shape (n, *shape)
        Records in their stored dtype. Nothing is corrupted; under dynamic binarisation they are drawn once, here.
    seed : int
        What is drawn comes from it.
    importance_samples : int
        K; 0 for the ELBO alone.

    Returns
    -------
    bounds : dict
        ``elbo_nats_per_record`` = −``reconstruction_nats_per_record`` − ``kl_nats_per_record``; ``active_units``, how
        many numbers of the code have means that vary by more than 0.01 over the records (Burda et al. 2016, section
        5.2); with importance samples ``nll_nats_per_record``, minus the tighter bound; and ``bits_per_dimension`` of
        the best bound there is, None where values are not what the likelihood is a probability of.
    """
    noise = noise_of(chain, seed)
    size = batch_size(chain.shape, _BATCH)
    totals = {"reconstruction": 0.0, "kl": 0.0, "nll": 0.0}
    means, is_probability = [], chain.parts.likelihood.name == "bernoulli"
    for start in range(0, len(values), size):
        batch = torch.from_numpy(values[start : start + size].copy()).to(next(chain.parameters()).device)
        x = chain.likelihood.observe(chain.prepare(batch), noise)
        posterior = chain.bottleneck.posterior(chain.encoder(x))
        assert posterior is not None
        totals["reconstruction"] -= _total(chain.likelihood.log_prob(chain.decode(posterior.sample(noise)), x))
        totals["kl"] += _total(posterior.kl().flatten(1).sum(1))
        if importance_samples:
            totals["nll"] -= _total(_log_likelihood(chain, x, posterior, importance_samples, noise))
        means.append(posterior.mean.flatten(1))
        is_probability = is_probability and bool(((x == 0) | (x == 1)).all())
    n = len(values)
    reconstruction, kl, nll = (total / n for total in totals.values())
    best = nll if importance_samples else reconstruction + kl
    return {
        "elbo_nats_per_record": -reconstruction - kl,
        "reconstruction_nats_per_record": reconstruction,
        "kl_nats_per_record": kl,
        **({"nll_nats_per_record": nll} if importance_samples else {}),
        "bits_per_dimension": best / math.prod(chain.shape) / math.log(2) if is_probability else None,
        "active_units": int((torch.cat(means).var(0, correction=0) > _ACTIVE).sum()),
    }


def _log_likelihood(chain: Chain, x: Tensor, posterior: DiagonalNormal, k: int, noise: Generator) -> Tensor:
    """Return the importance-weighted bound of each record x (n, *shape), shape (n,); a few samples at a time."""
    log_weights = torch.empty(len(x), k, dtype=torch.float64, device=x.device)
    at_a_time = max(1, batch_size(chain.shape, _BATCH) // len(x))
    repeated, start = None, 0
    while start < k:
        m = min(at_a_time, k - start)
        if repeated is None or len(repeated.mean) != m * len(x):
            repeated = DiagonalNormal(*(_repeat(one, m) for one in (posterior.mean, posterior.log_variance)))
        z = repeated.sample(noise)
        log_weight = chain.likelihood.log_prob(chain.decode(z), _repeat(x, m))
        log_weight = log_weight + DiagonalNormal.standard(z).log_prob(z) - repeated.log_prob(z)
        log_weights[:, start : start + m] = log_weight.double().reshape(len(x), m)
        start += m
    return log_weights.logsumexp(1) - math.log(k)


def _repeat(x: Tensor, m: int) -> Tensor:
    return x if m == 1 else x.repeat_interleave(m, 0)


def _total(nats: Tensor) -> float:
    return float(nats.double().sum())
