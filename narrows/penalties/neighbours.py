"""A penalty for maps: records that are alike get codes that are close, and all others are kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from narrows.parts.options import Integer, Real, option
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain

__all__ = ["Neighbours"]

_EQUAL = 1e-5  # squared distances below this share of the squared lengths are rounding errors of equal records


class Neighbours(Penalty, name="neighbours"):
    """Keep the neighbours of records: weight · −log(q_ij / Σ_k q_ik), with q_ij = 1 / (1 + ‖zᵢ − zⱼ‖²).

    j is the record of the batch that is nearest to record i, and k runs over all others of the batch. The kernel is
    that of t-SNE, here for codes of an encoder (van der Maaten 2009), and the loss the InfoNCE form of its objective
    (Damrich, Böhm, Hamprecht and Kobak 2023, "From t-SNE to UMAP with contrastive learning"). In training, half of each
    batch are neighbours of the other half, drawn from the `n_neighbours` nearest among all training records; in a batch
    of any records few of them are close. Records that are equal do not count. A single record costs nothing.

    Examples
    --------
    >>> Neighbours(n_neighbours=10)
    Neighbours(n_neighbours=10)
    """

    weight: float = option(Real(0), "nats for each nat of −log q", default=1000.0)
    n_neighbours: int = option(
        Integer(0), "nearest training records, of which batches contain one beside each record; 0: any", default=15
    )

    @property
    def couples_records(self) -> bool:
        return True

    @property
    def n_partners(self) -> int:
        return self.n_neighbours

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        z = code.z.flatten(1)
        with torch.no_grad():
            away, equal = _distances(x.flatten(1).to(z.dtype))
            nearest = away.argmin(1)
            has_other = ~equal.all(1)
        log_q = -torch.log1p(_squared(z)).masked_fill(equal, 0.0)
        of_nearest = log_q.gather(1, nearest[:, None])[:, 0]
        of_all = log_q.masked_fill(equal, -torch.inf)
        of_all = of_all.where(has_other[:, None], 0.0).logsumexp(1)
        return self.weight * (of_all - of_nearest).where(has_other, 0.0)


def _distances(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distances of records (n, d), infinite for equal ones, and which are equal; each (n, n)."""
    x = x - x.mean(0)
    away, lengths = _squared(x), x.square().sum(1)
    equal = away <= _EQUAL * (lengths[:, None] + lengths)
    equal.fill_diagonal_(True)
    return away.masked_fill(equal, torch.inf), equal


def _squared(x: Tensor) -> Tensor:
    """Return the squared distances of points (n, d), shape (n, n)."""
    lengths = x.square().sum(1)
    return (lengths[:, None] + lengths - 2 * x @ x.T).clamp_min(0)
