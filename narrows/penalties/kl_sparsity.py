"""The Kullback-Leibler penalty on how active the units of the code are."""

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

_MARGIN = 1e-6  # how close to 0 and 1 a mean activity counts


class KLSparsity(Penalty, name="kl-sparsity"):
    """Let every unit of the code be active on a share ρ of the records: weight · Σⱼ KL(ρ ‖ ρ̂ⱼ).

    ρ̂ⱼ is the mean activity of unit j over the batch, KL(ρ ‖ ρ̂) = ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂)) that
    between two coins (Lee, Ekanadham and Ng 2008; Ng 2011, Sparse autoencoder). For units between 0 and 1: sigmoid
    ones. Every record of a batch is charged the same, so that what a record costs depends on those beside it.

    Examples
    --------
    >>> KLSparsity(target=0.1)
    KLSparsity(target=0.1)
    """

    weight: float = option(Real(0), "nats for each nat of divergence", default=1.0)
    target: float = option(
        Real(0, 1, open_low=True, open_high=True), "mean activity ρ that every unit is drawn to", default=0.05
    )

    @property
    def couples_records(self) -> bool:
        return True

    def check_parts(self, parts: Parts) -> None:
        given = getattr(parts.network, "code_activation", "identity")
        if given != "sigmoid":
            raise InvalidParameterError(
                "The 'kl-sparsity' penalty needs a code between 0 and 1: a network whose 'code_activation' is "
                f"'sigmoid'. Got {type(parts.network).__name__} with {given!r}. "
                "Set network='dense' and network__code_activation='sigmoid', or take the penalty 'l1'."
            )

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        active = h.flatten(1).mean(0).clamp(_MARGIN, 1 - _MARGIN)
        on = self.target * (self.target / active).log()
        off = (1 - self.target) * ((1 - self.target) / (1 - active)).log()
        return (self.weight * (on + off).sum()).expand(len(h))
