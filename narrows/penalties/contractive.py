"""The contractive penalty, which makes the code insensitive to small changes of the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.numerics.randomness import Stream
from narrows.numerics.record_noise import Noise, RecordNoise
from narrows.parts.options import Integer, Real, option
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain, Parts

__all__ = ["Contractive", "estimated_norm", "norm_of_one_layer"]


class Contractive(Penalty, name="contractive"):
    """Penalise the sensitivity of the code to the record: weight · ‖∂h/∂x‖²_F (Rifai et al. 2011, equation 5).

    For an encoder of one dense layer, h = s(W x + b), it is Σⱼ s′(aⱼ)² Σᵢ Wⱼᵢ², which takes one more product. For any
    other encoder it is estimated: ‖J‖²_F = E ‖Jᵀv‖² for directions v of random signs (Hutchinson 1990), each of which
    takes a forward and a backward pass of the encoder. x is the encoder's input, which may be corrupted.

    Examples
    --------
    >>> Contractive(weight=0.5)
    Contractive(weight=0.5)
    """

    weight: float = option(Real(0), "nats for each unit of the squared norm", default=0.1)
    n_projections: int = option(
        Integer(1), "number of directions for the estimate, if the encoder has more than one layer", default=1
    )

    def check_parts(self, parts: Parts) -> None:
        if parts.n_classes:
            raise InvalidParameterError("The 'contractive' penalty does not support labels: set conditional=False.")

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        single_layer = chain.encoder.single_layer
        if single_layer is not None:
            return self.weight * norm_of_one_layer(*single_layer, x)
        return self.weight * estimated_norm(chain.encoder, x, self.n_projections, generator or RecordNoise.of(x))


def norm_of_one_layer(layer: nn.Linear, activation: nn.Module, x: Tensor) -> Tensor:
    """Return ‖∂h/∂x‖²_F of h = s(W x + b) for records x (n, *shape), exactly; shape (n,).

    The activation acts on each number separately, so the gradient of the sum contains the derivative of each.
    """
    is_wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        a = layer(x.flatten(1))
        (slope,) = torch.autograd.grad(activation(a).sum(), a, create_graph=is_wanted)
    norm: Tensor = slope.square() @ layer.weight.square().sum(1)
    return norm


def estimated_norm(encoder: nn.Module, x: Tensor, n_projections: int, noise: Noise) -> Tensor:
    """Return an unbiased estimate of ‖∂h/∂x‖²_F of an encoder for records x (n, *shape); shape (n,).

    The mean of ‖Jᵀv‖² over directions v of random signs, drawn for each record.
    """
    is_wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        h = encoder(x)
        total = x.new_zeros(len(x))
        for index in range(n_projections):
            signs = _signs_like(h, noise, index)
            (moved,) = torch.autograd.grad(h, x, signs, create_graph=is_wanted, retain_graph=True)
            total = total + moved.square().flatten(1).sum(1)
    return total / n_projections


def _signs_like(h: Tensor, noise: Noise, index: int) -> Tensor:
    """Return 1 or −1 at random in the shape of h (n, *h_shape); ``index`` is the number of the direction."""
    if isinstance(noise, RecordNoise):
        return noise.stream(Stream.MEASURED_SLOPES, index).uniform_like(h).round().mul_(2).sub_(1)
    return torch.randint(0, 2, h.shape, generator=noise, device=h.device).to(h.dtype).mul_(2).sub_(1)
