"""Principal components of preprocessed records, the initial weights of a linear path."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.errors import DataError
from narrows.numerics.imputation import impute
from narrows.numerics.principal import principal_directions, weighted_mean
from narrows.numerics.randomness import Stream, rng
from narrows.numerics.threads import one_blas_thread

__all__ = ["Components", "components_of", "sampled", "weights_of_sample"]

_MOST_VALUES = 2**25  # 128 MiB as float32; larger data are sampled
_NO_VARIANCE = 1e-6  # of the largest deviation: latent dimensions that vary less are not scaled


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of records of d values.

    Attributes
    ----------
    mean : Tensor of shape (d,)
        Mean record.
    directions : Tensor of shape (k, d)
        Orthonormal, the largest variance first; at most min(n, d).
    deviations : Tensor of shape (k,)
        Standard deviations of the records along the directions.
    deviation : float
        Root of the mean variance of a value; 1 if all records are equal.
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor
    deviation: float

    @property
    def scales(self) -> Tensor:
        """The unit of each latent dimension, (k,): its standard deviation, or that of a value if it hardly varies.

        The latter is rounded to a power of two. It is 1 for standardised values.
        """
        varies = self.deviations > _NO_VARIANCE * self.deviations.max()
        unit = 2.0 ** round(math.log2(self.deviation))
        return torch.where(varies, self.deviations, torch.full_like(self.deviations, unit))


def sampled(batches: Callable[[], Iterable[Tensor]]) -> Iterator[Tensor]:
    """Yield records (n, *shape), or a random sample if they have more than 2^25 values."""
    rows = _rows_of_sample(batches)
    if rows is None:
        yield from batches()
        return
    start = 0
    for batch in batches():
        inside = rows[(rows >= start) & (rows < start + len(batch))]
        yield batch[(inside - start).to(batch.device)]
        start += len(batch)


def weights_of_sample(weights: Tensor | None, batches: Callable[[], Iterable[Tensor]]) -> Tensor | None:
    """Return the weights of the records that `sampled` yields, given those of all records (n,), or None."""
    rows = None if weights is None else _rows_of_sample(batches)
    return weights if weights is None or rows is None else weights[rows.to(weights.device)]


def _rows_of_sample(batches: Callable[[], Iterable[Tensor]]) -> Tensor | None:
    """Return the rows of a random sample, in order; None: all."""
    sizes = [(len(batch), batch.numel()) for batch in batches()]
    n, n_values = (sum(column) for column in zip(*sizes, strict=True))
    most = max(_MOST_VALUES * n // n_values, 2)
    if n <= most:
        return None
    # Sample and solver have a fixed seed, so that the initial weights depend on the data alone.
    return torch.from_numpy(np.sort(rng(0, Stream.COMPONENTS_ROWS).choice(n, most, replace=False)))


_last: tuple[tuple[Any, ...], Components] | None = None  # arguments of `components_of`, as a digest, and its result


def components_of(
    records: Tensor, n_components: int, missing: Tensor | None = None, weights: Tensor | None = None
) -> Components:
    """Return at most ``n_components`` principal components of records (n, *shape), floats.

    Missing values, whose places are given, are estimated from the components (`narrows.numerics.imputation`). With
    weights (n,), mean and covariance are weighted.

    Raises
    ------
    DataError
        If values are not finite.

    Notes
    -----
    Runs on one thread: the number of threads changes the last bits of sums, and thus the initial weights. The last
    result is kept: a fit needs the components of its records for the network, and for the linear autoencoder that it is
    compared with.
    """
    global _last  # noqa: PLW0603
    arguments = n_components, *map(_digest, (records, missing, weights))
    last = _last
    if last is None or last[0] != arguments:
        last = _last = arguments, _components_of(records, n_components, missing, weights)
    return last[1]


def _digest(values: Tensor | None) -> tuple[Any, ...] | None:
    """Return dtype, shape and a hash of a tensor, for which others are not mistaken."""
    if values is None:
        return None
    return values.dtype, values.shape, hashlib.sha256(values.detach().cpu().numpy().tobytes()).digest()


def _components_of(records: Tensor, n_components: int, missing: Tensor | None, weights: Tensor | None) -> Components:
    x = records.flatten(1).cpu().numpy()
    if not np.isfinite(x).all():
        raise DataError("Preprocessed values are not finite: the data are too large. Divide them by a constant.")
    w = None if weights is None else weights.double().cpu().numpy()
    mean = weighted_mean(x, w)
    away = x - mean
    # Squares of large values overflow float32, so scale to about 1, by a power of two, which changes no digit.
    exponent = math.frexp(max(away.max(), -away.min()))[1]
    centred = np.ldexp(away, -exponent, out=away).astype(np.float32)
    if missing is not None:
        with one_blas_thread():
            impute(centred, missing.flatten(1).cpu().numpy(), n_components, w)
    with one_blas_thread():
        directions = principal_directions(centred, min(n_components, *x.shape), w, seed=0)
        codes = centred @ directions.T
    if w is None:
        deviations, total = codes.std(axis=0, dtype=np.float64), float(np.square(centred, dtype=np.float64).mean())
    else:
        squares = np.square(codes - weighted_mean(codes, w))
        deviations, total = np.sqrt(weighted_mean(squares, w)), float(weighted_mean(np.square(centred), w).mean())
    scale = math.ldexp(1.0, exponent)
    return Components(
        torch.from_numpy(mean),
        torch.from_numpy(directions.astype(np.float64)),
        torch.from_numpy(deviations * scale),
        math.sqrt(total) * scale or 1.0,
    )
