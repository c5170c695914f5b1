"""The error that quantisation causes in the records of a trained chain, measured on training records."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.chain import Chain
from narrows.numerics.batches import batch_size
from narrows.numerics.psnr import psnr_db
from narrows.numerics.randomness import Stream, generator
from narrows.training.workers import over_workers

__all__ = ["MeasuredDistortion", "over_batches"]

_BATCH = 512
_PROBES, _PROBED = 4, 256


@dataclass(frozen=True)
class MeasuredDistortion:
    """The effect of changes of the codes on records: a `Distortion`.

    Attributes
    ----------
    chain : Chain
        The trained chain.
    codes : Tensor of shape (n, *z_shape)
        The codes of the records before any rounding.
    records : ndarray of shape (n, *shape)
        The records.
    coarse : float
        The error that the integer decoder's coarse weights add, as a share of the error of codes as trained.
    """

    chain: Chain
    codes: Tensor
    records: NDArray[Any]
    coarse: float = 0.0

    @property
    def psnr(self) -> float | None:
        return getattr(self.chain.parts.likelihood, "psnr", None)

    def error(self, z: Tensor) -> float:
        def squared(batch: Tensor, codes: Tensor) -> Tensor:
            x_hat = self.chain.likelihood.mean(self.chain.decode(codes))
            missing = self.chain.missing_of(batch)
            return self.chain.difference(self.chain.prepare(batch), x_hat, missing).double().square().flatten(1).sum(1)

        return float(over_batches(squared, self.chain, self.records, z).mean())

    def psnr_of(self, z: Tensor) -> float:
        share = 1.0 if self.chain.missing is None else float(self.chain.missing.share)
        more = self.coarse * self._as_trained if self.coarse else 0.0
        return psnr_db((self.error(z) + more) / (math.prod(self.chain.shape) * share), 1.0)

    @cached_property
    def _as_trained(self) -> float:
        with torch.no_grad():
            return self.error(self.chain.bottleneck.project(self.codes.to(self.chain.device)))

    def gains(self) -> NDArray[np.float64]:
        """Return the squared change of the output per squared change of each latent dimension, (n_symbols,).

        This is g_d, the mean squared length of column d of the Jacobian J of the distribution's coordinates. It is
        estimated without computing J: for v of independent standard normal numbers, the expectation of (Jᵀ v)_d² is the
        squared length of column d (Hutchinson 1990).
        """
        chain, noise = self.chain, generator(0, Stream.CODEC_PROBES)
        total = torch.zeros(self.codes[0].numel(), dtype=torch.float64)
        for _ in range(_PROBES):
            at = self.codes[:_PROBED].to(chain.device, copy=True).requires_grad_()
            y = chain.likelihood.coordinates(chain.decode(at))
            v = torch.randn(y.shape, generator=noise, dtype=y.dtype).to(y.device)
            (gradient,) = torch.autograd.grad((y * v).sum(), at)
            total += gradient.flatten(1).double().square().mean(0).cpu()
        return (total / _PROBES).numpy()


def over_batches(function: Callable[..., Tensor], chain: Chain, records: NDArray[Any], *others: Tensor) -> Tensor:
    """Return a function of records, and of tensors with a row for each record, computed batch by batch."""
    size = batch_size(chain.shape, _BATCH)

    def of_batch(start: int) -> Tensor:
        batch = slice(start, start + size)
        values = torch.from_numpy(np.array(records[batch])).to(chain.device)
        return function(values, *(one[batch].to(chain.device) for one in others)).cpu()

    return torch.cat(over_workers(of_batch, range(0, len(records), size), chain.device))
