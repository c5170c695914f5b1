"""A density of the codes of training records. Models without a prior draw codes from it to generate records.

Ex-post density estimation (Ghosh et al. 2020, "From variational to deterministic autoencoders").
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import NotMeasuredError
from narrows.model.artefacts.contract import Artefact, TrainingRecords
from narrows.numerics.batches import Labelled, batch_size
from narrows.numerics.randomness import Stream, generator, integer, rng
from narrows.training import Records

if TYPE_CHECKING:
    from narrows.model.fitted import FittedModel

__all__ = ["LatentDensity"]

_RECORDS, _VALUES = 10_000, 2**23  # largest sample: number of records, and number of values in their codes
_LONGEST = 64  # largest latent dimension with full covariances
_PRINCIPAL = 32  # principal components of longer codes: with more, samples of images are noisier
_COMPONENTS = (2, 6, 20, 60)
_RECORDS_A_COMPONENT = 5  # smallest number of records for each component, in units of the length of a code
_HELD_OUT = 0.2
_STEPS = 15  # of expectation-maximisation
_LEAST_VARIANCE = 1e-6  # in units of the variance of each number
_BATCH = 1024
_TOO_LARGE = "The codes of the training records are so large that their squares are not finite."


@dataclass(frozen=True, eq=False)
class LatentDensity(Artefact, name="density", title="density of codes"):
    """A mixture of K normal distributions over codes of d numbers: p(z) = Σ_k w_k N(z; μ_k, L_k L_kᵀ).

    For long codes the mixture covers the first k principal components and omits the d − k directions with little
    variance; otherwise k = d.

    Attributes
    ----------
    weights : ndarray of shape (K,), float64
        w, with sum 1.
    means : ndarray of shape (K, k), float64
    factors : ndarray of shape (K, k, k), float64
        L, lower triangular; zero in the rows of numbers that never vary.
    centre : ndarray of shape (d,), float64
        Added to each draw; zero if k = d.
    components : ndarray of shape (k, d), float64, or (0, d)
        Orthonormal principal components; none if k = d.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    centre: NDArray[np.float64]
    components: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, n_axes in {"means": 2, "centre": 1}.items():
            if getattr(self, name).ndim != n_axes:
                raise ValueError(f"the array 'density.{name}' must have {n_axes} axes. Got {getattr(self, name).ndim}")
        (n, k), (d,) = self.means.shape, self.centre.shape
        if not 1 <= k <= d:
            raise ValueError(f"the array 'density.means' must have 1 to {d} columns. Got {k}")
        shapes = {"weights": (n,), "factors": (n, k, k), "components": (0 if k == d else k, d)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"the array 'density.{name}' must have the shape {shape}. Got {getattr(self, name).shape}"
                )
        finite = all(np.isfinite(array).all() for array in self.to_arrays().values())
        if n == 0 or not finite or (self.weights < 0).any() or not math.isclose(self.weights.sum(), 1, abs_tol=1e-6):
            raise ValueError("the arrays 'density.*' must be finite, with non-negative weights whose sum is 1")

    @classmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        density = cls.of(model.chain, records.records, model.seed)
        if density is None:
            raise NotMeasuredError(_TOO_LARGE)
        return density

    @classmethod
    def prepare(cls, model: FittedModel, records: TrainingRecords) -> Callable[[], Self] | None:
        codes = cls.codes_of(model.chain, records.records, model.seed)
        if not _has_squares(codes):
            raise NotMeasuredError(_TOO_LARGE)
        return partial(cls._fit, codes, model.seed)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        return {f"density.{name}": array for name, array in self.to_arrays().items()}

    @classmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        arrays = {name[8:]: array for name, array in tensors.items() if name.startswith("density.")}
        if not arrays:
            return None
        density = cls.from_arrays(arrays)
        if len(density.centre) != model.n_latent:
            raise ValueError(
                f"the density of codes must have the latent dimension {model.n_latent}. Got {len(density.centre)}"
            )
        return density

    @classmethod
    def of(cls, chain: Chain, records: Records, seed: int) -> Self | None:
        """Fit a density to the codes of at most 10,000 training records; return None if the codes overflow."""
        return cls.fit(cls.codes_of(chain, records, seed), seed)

    @classmethod
    def codes_of(cls, chain: Chain, records: Records, seed: int) -> NDArray[np.float64]:
        """Return the flat codes (n, d) of at most 10,000 training records.

        The decoder was trained on these codes: if codes are random, one is drawn for each record.
        """
        d = math.prod(chain.bottleneck.z_shape)
        n = min(len(records), _RECORDS, max(_VALUES // d, _LONGEST))
        rows = np.sort(rng(seed, Stream.DENSITY_ROWS).choice(len(records), n, replace=False))
        noise = generator(seed, Stream.DENSITY_NOISE, device=records.device)
        codes = []
        with torch.no_grad():
            for some in torch.split(torch.from_numpy(rows).to(records.device), batch_size(chain.shape, _BATCH)):
                records.expect(some)
                batch = records.take(some)
                taken, labels = (batch.records, batch.labels) if isinstance(batch, Labelled) else (batch, None)
                x = chain.observed(chain.prepare(taken), noise, chain.missing_of(taken))
                h = chain.encoder(x, chain.condition(labels))
                codes.append(chain.bottleneck(h, noise).z.flatten(1).double().cpu().numpy())
        return np.concatenate(codes)

    @classmethod
    def fit(cls, codes: NDArray[np.float64], seed: int) -> Self | None:
        """Fit a density to codes (n, d) of any magnitude; return None if their squares are not finite.

        A fifth of the codes is held out, and the number of components with the highest density of these codes is
        chosen. If there are few codes, it is 1.
        """
        return cls._fit(codes, seed) if _has_squares(codes) else None

    @classmethod
    def _fit(cls, codes: NDArray[np.float64], seed: int) -> Self:
        """Fit a density to codes (n, d) whose squares are finite."""
        d = codes.shape[1]
        centre, components = np.zeros(d), np.zeros((0, d))
        if d > _LONGEST:
            from sklearn.decomposition import PCA

            solver = integer(seed, Stream.DENSITY_SOLVER)
            centre = codes.mean(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):  # codes that are all the same have no variance
                components = PCA(min(_PRINCIPAL, len(codes)), random_state=solver).fit(codes - centre).components_
            codes = (codes - centre) @ components.T
        middle, scale = codes.mean(axis=0), codes.std(axis=0)
        weights, means, covariances = _mixture((codes - middle) / np.where(scale > 0, scale, 1.0), seed)
        factors = np.linalg.cholesky(covariances) * scale[:, None]
        arrays = (weights, means * scale + middle, factors, centre, components)
        # Memory layout as after loading, so that products have the same bits.
        return cls(*map(np.ascontiguousarray, arrays))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the density of these arrays; raise a ValueError if they are not valid.

        The inverse of `to_arrays`.
        """
        missing = [field.name for field in fields(cls) if field.name not in arrays]
        if missing:
            raise ValueError(f"these arrays of the density are missing: {', '.join(missing)}")
        return cls(*(np.asarray(arrays[field.name], dtype=np.float64) for field in fields(cls)))

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return all arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return n codes drawn from the density, shape (n, d)."""
        chosen = np.searchsorted(np.cumsum(self.weights)[:-1], rng.random(n), side="right")
        noise = rng.standard_normal((n, self.means.shape[1]))
        drawn = self.means[chosen]
        for component in np.unique(chosen):
            rows = chosen == component
            drawn[rows] += noise[rows] @ self.factors[component].T
        return self._whole(drawn)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean code, shape (d,)."""
        return self._whole(self.weights @ self.means)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of each latent dimension, shape (d,)."""
        away = self.means - self.weights @ self.means
        covariance = np.einsum("m,mij,mkj->ik", self.weights, self.factors, self.factors)
        covariance += np.einsum("m,mi,mj->ij", self.weights, away, away)
        if len(self.components):
            covariance = np.einsum("ij,ik,kj->j", self.components, covariance, self.components, optimize=True)
            return np.asarray(np.sqrt(covariance.clip(0)))
        return np.asarray(np.sqrt(covariance.diagonal()))

    def _whole(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the codes (..., d) of the model for codes (..., k) of the mixture."""
        return codes @ self.components + self.centre if len(self.components) else codes


def _has_squares(codes: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.square(codes).sum()))


def _mixture(
    codes: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (K,), means (K, k) and covariances (K, k, k) of a mixture for codes (n, k) of unit variance."""
    n, k = codes.shape
    one = np.ones(1), codes.mean(axis=0)[None], (_covariance(codes) + _LEAST_VARIANCE * np.eye(k))[None]
    tried = [number for number in _COMPONENTS if number * _RECORDS_A_COMPONENT * k <= n]
    if not tried:
        return one
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    order = rng(seed, Stream.DENSITY_HELD_OUT).permutation(n)
    held_out, seen = np.split(codes[order], [round(_HELD_OUT * n)])
    best, best_nats = one, _nats(seen, held_out)
    for number in tried:
        mixture = GaussianMixture(
            number,
            tol=1e-2,
            reg_covar=_LEAST_VARIANCE,
            max_iter=_STEPS,
            init_params="k-means++",
            random_state=integer(seed, Stream.DENSITY_SOLVER),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps are enough
            mixture.fit(seen)
        nats = -float(mixture.score(held_out))
        if nats < best_nats:
            best, best_nats = (mixture.weights_, mixture.means_, mixture.covariances_), nats
    return best


def _nats(seen: NDArray[np.float64], held_out: NDArray[np.float64]) -> float:
    """Return minus the mean log-density of held-out codes under one normal distribution fitted to the others."""
    factor = np.linalg.cholesky(_covariance(seen) + _LEAST_VARIANCE * np.eye(seen.shape[1]))
    away = np.linalg.solve(factor, (held_out - seen.mean(axis=0)).T)
    distance = np.square(away).sum(axis=0).mean()
    return float(0.5 * distance + np.log(factor.diagonal()).sum() + 0.5 * len(away) * math.log(2 * math.pi))


def _covariance(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    away = codes - codes.mean(axis=0)
    return np.asarray(away.T @ away / len(codes))
