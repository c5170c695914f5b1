"""The Kullback-Leibler penalty on the mean activity of the units of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Generator, Tensor

from narrows.errors import InvalidParameterError
from narrows.parts.options import Real, option
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain, Parts

__all__ = ["KLSparsity"]

_MARGIN = 1e-6  # a mean activity is clipped to this distance from 0 and 1


class KLSparsity(Penalty, name="kl-sparsity"):
    """Make every unit of the code active on a share ρ of the records: weight · Σⱼ KL(ρ ‖ ρ̂ⱼ).

    ρ̂ⱼ is the mean activity of unit j over the batch, and KL(ρ ‖ ρ̂) = ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂)) the
    divergence of Bernoulli distributions (Lee, Ekanadham and Ng 2008; Ng 2011, Sparse autoencoder). Units must be
    between 0 and 1, as sigmoid units are. All records of a batch have the same cost, which depends on the whole batch.

    Examples
    --------
    >>> KLSparsity(target=0.1)
    KLSparsity(target=0.1)
    """

    weight: float = option(Real(0), "nats for each nat of divergence", default=1.0)
    target: float = option(
        Real(0, 1, open_low=True, open_high=True), "target ρ of the mean activity of every unit", default=0.05
    )

    @property
    def couples_records(self) -> bool:
        return True

    def check_parts(self, parts: Parts) -> None:
        given = getattr(parts.network, "code_activation", "identity")
        if given != "sigmoid":
            raise InvalidParameterError(
                "The 'kl-sparsity' penalty needs a code between 0 and 1, so the network's 'code_activation' must be "
                f"'sigmoid'. Got {type(parts.network).__name__} with {given!r}. "
                "Set network='dense' and network__code_activation='sigmoid', or use the penalty 'l1'."
            )

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        active = h.flatten(1).mean(0).clamp(_MARGIN, 1 - _MARGIN)
        on = self.target * (self.target / active).log()
        off = (1 - self.target) * ((1 - self.target) / (1 - active)).log()
        return (self.weight * (on + off).sum()).expand(len(h))
