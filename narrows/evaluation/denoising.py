"""Compares a model with a median filter, non-local means and PCA at removing noise that is added to clean records.

The noisy records and all restored ones are measured in the data's dtype: bytes are rounded and clipped.

The settings of every alternative are those that are best for the clean records, which are unknown in practice: the
alternatives are shown at their best. The model has no such advantage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import narrows.data
from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.data.frames import as_frame_like, columns_of
from narrows.errors import MissingPackageError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.estimators.checks import records_for
from narrows.evaluation.denoisers import median_filter, non_local_means, pca
from narrows.evaluation.metrics import unit_of
from narrows.io.json_values import finite_or_none
from narrows.io.progress import Progress
from narrows.model.artefacts import PrincipalComponents
from narrows.model.inference import to_stored
from narrows.numerics.batches import batch_size
from narrows.numerics.psnr import peak_of
from narrows.numerics.randomness import Stream, drawn_seed, rng
from narrows.numerics.squares import SquaredSum, exponent_of
from narrows.parts.options import Real, check

__all__ = ["add_noise", "compare_denoisers", "measure_denoisers", "psnr_db_of_records"]

_BATCH = 256
# Settings are chosen on a sample, evenly spaced over all records, with fewer records if they are large.
_CHOSEN_ON = 100
_CHOSEN_ON_VALUES = 2**17
# Settings of non-local means to try: sigma and h relative to the noise, patch sizes, and patch distances.
# Clipping reduces the noise, so sigma may be smaller than the noise.
_NON_LOCAL_MEANS = tuple(product((0.0, 0.5, 1.0), (0.2, 0.3, 0.4, 0.6, 0.8), ((3, 6), (5, 6), (5, 11))))
_MOST_COMPONENTS = 100  # numbers of PCA components to try, with growing distances


def add_noise(model: Autoencoder, X: Data, noise: float, random_state: Any = 0) -> Any:
    """Return records (n, *shape) with normal noise on every value, in their own units and dtype.

    A record's noise does not depend on the number of other records. Missing values, which are equal to the fill
    value of the model, get no noise.

    Parameters
    ----------
    model : Autoencoder
        A fitted model, whose preprocessing defines the units of the noise.
    X : array_like of shape (n, *shape), path, name or Source
        The clean records. For a data frame, a data frame is returned.
    noise : float
        Standard deviation ≥ 0, in preprocessed units: pixels from 0 to 1 for bytes. With the preprocessing
        ``unit-scale``, noisy values are clipped to [0, 1].
    random_state : int, RandomState or None
        Source of the noise.

    Raises
    ------
    InvalidParameterError
        If the noise is not a number ≥ 0.
    ShapeMismatchError, NonFiniteDataError
        If the records have another shape than the model's, or contain NaN or infinity.
    """
    source = _open(model, X, "add_noise")
    scale = check("add_noise", "noise", noise, Real(0))
    units = _Units.of(model)
    numbers = rng(drawn_seed(random_state), Stream.ADDED_NOISE)
    noisy = np.empty_like(source.values)
    for rows in _batches(source):
        x = source.values[rows].astype(np.float64)
        x += scale * units.scale * numbers.standard_normal(x.shape)
        noisy[rows] = to_stored(units.within_range(x), source.dtype)
        if model.fill_value_ is not None:
            noisy[rows] = np.where(is_fill(source.values[rows], model.fill_value_), source.values[rows], noisy[rows])
    return as_frame_like(X, noisy, columns_of(X))


def compare_denoisers(
    model: Autoencoder, clean: Data, noise: float, random_state: Any = 0, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Add noise to clean records, and measure how well a model and its alternatives remove it.

    Parameters
    ----------
    model : Autoencoder
        A fitted model, usually trained with ``corruption``.
    clean : array_like of shape (n, *shape), path, name or Source
        The records, without noise.
    noise, random_state
        As for `add_noise`.
    progress : callable, optional
        Called as `narrows.data.Progress` with the activity ``"comparing"`` and the number of records measured.

    Returns
    -------
    comparison : dict
        The result of `measure_denoisers`.

    Raises
    ------
    InvalidParameterError, ShapeMismatchError, NonFiniteDataError
        As for `add_noise`.

    Examples
    --------
    >>> import narrows
    >>> model = narrows.recipe("auto", corruption="gaussian", training__epochs=9, random_state=0).fit("digits:train")
    >>> few = narrows.data.open("digits:test", limit=50)
    >>> methods = compare_denoisers(model, few, noise=0.5)["methods"]
    >>> list(methods)
    ['noisy', 'median filter', 'non-local means', 'PCA', 'narrows']
    >>> methods["narrows"]["gain_db"] > 3
    True
    """
    source = _open(model, clean, "compare_denoisers")
    noisy = add_noise(model, source, noise, random_state)
    return measure_denoisers(
        model,
        source,
        noisy,
        model.denoise(noisy, source.named_labels, dtype=model.dtype_),
        noise=noise,
        progress=progress,
    )


def measure_denoisers(
    model: Autoencoder,
    clean: Data,
    noisy: NDArray[Any],
    restored: NDArray[Any],
    *,
    noise: float,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure noisy records, the records restored by the model, and those restored by the alternatives.

    Parameters
    ----------
    model : Autoencoder
        A fitted model. The alternative PCA is that of its training data, with at most as many components as the code
        has numbers.
    clean : array_like of shape (n, *shape), path, name or Source
        The records without noise.
    noisy, restored : ndarray of shape (n, *shape)
        The results of `add_noise` and `Autoencoder.denoise`.
    noise : float
        As given to `add_noise`; the alternatives know it.
    progress : callable, optional
        Called as `narrows.data.Progress` with the activity ``"comparing"`` and the number of records measured.

    Returns
    -------
    comparison : dict
        ``records``, ``noise``, ``settings_chosen_on`` (number of records for the choice of settings), and ``methods``:
        for each the ``mse`` of a value over all records (bytes as pixels in [0, 1]), ``psnr_db`` with the peak of
        `narrows.evaluate`, ``gain_db`` over the noisy records, ``settings`` in the units of ``mse``, and ``missing``,
        the reason if there is no result. Undefined values, such as the PSNR without error, are None.
    """
    source = _open(model, clean, "measure_denoisers")
    unit = unit_of(model.dtype_)
    if progress is not None:
        progress("comparing", 0, len(source), "records")  # choosing settings takes some time
    squared = {"noisy": SquaredSum()}
    chosen, missing = _choose(model, source, noisy, noise)
    squared.update(dict.fromkeys((*chosen, "narrows"), SquaredSum()))
    n = 0
    for rows in _batches(source):
        x, x_noisy = _known(model, source.values[rows]) / unit, noisy[rows] / unit
        n += int(np.count_nonzero(~np.isnan(x)))
        squared["noisy"] += _squared(x, x_noisy)
        squared["narrows"] += _squared(x, restored[rows] / unit)
        for name, (alternative, settings) in chosen.items():
            squared[name] += _squared(x, alternative.restore(x_noisy, settings))
        if progress is not None:
            progress("comparing", rows.stop, len(source), "records")

    methods = {}
    before = squared["noisy"]
    for name in ("noisy", *_ALTERNATIVES, "narrows"):
        error = squared.get(name)
        methods[name] = {
            "mse": None if error is None or not n else float(error / n),
            "psnr_db": None if error is None or not n else finite_or_none(error.psnr_db(n, _peak(model))),
            "gain_db": None if error is None else 0.0 if name == "noisy" else _ratio_db(before, error),
            "settings": chosen[name][1] if name in chosen else {},
            "missing": missing.get(name),
        }
    return {
        "records": len(source),
        "noise": float(noise),
        "settings_chosen_on": _n_chosen_on(source),
        "methods": methods,
    }


def psnr_db_of_records(model: Autoencoder, clean: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Return the PSNR in dB of each record (n,), with the peak of `measure_denoisers`; infinite for equal ones."""
    error = (_known(model, clean).astype(np.float64) - other).reshape(len(clean), -1) / unit_of(model.dtype_)
    known = [one[~np.isnan(one)] for one in error]
    return np.array([SquaredSum.of(one).psnr_db(max(one.size, 1), _peak(model)) for one in known])


@dataclass(frozen=True)
class _Units:
    """The affine map from preprocessed units to the data's own units, if every step of preprocessing is affine.

    Attributes
    ----------
    low, scale : ndarray of shape (*shape)
        The value of 0 in the data's units, and the size of a step of 1.
    is_range : bool
        Whether 0 and 1 are the bounds of the data.
    """

    low: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_range: bool

    @classmethod
    def of(cls, model: Autoencoder) -> _Units:
        low, scale = model.chain_.preprocessor.offset_and_scale(model.shape_, model.chain_.device)
        steps = [part.name for part in model.chain_.parts.preprocessing]
        return cls(low.numpy(), scale.numpy(), steps == ["unit-scale"])

    def within_range(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(x, self.low, self.low + self.scale) if self.is_range else x


@dataclass(frozen=True)
class _Alternative:
    """A denoiser, the settings to try, and the conversion of its output to records."""

    function: Callable[..., NDArray[np.float64]]
    candidates: list[dict[str, Any]]
    as_records: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def restore(self, x_noisy: NDArray[np.float64], settings: dict[str, Any]) -> NDArray[np.float64]:
        return self.as_records(self.function(x_noisy, **settings))

    def best(self, x: NDArray[np.float64], x_noisy: NDArray[np.float64]) -> dict[str, Any]:
        """Return the settings with the smallest error."""
        return min(self.candidates, key=lambda settings: _squared(x, self.restore(x_noisy, settings)))


_ALTERNATIVES = ("median filter", "non-local means", "PCA")


def _choose(
    model: Autoencoder, source: Source, noisy: NDArray[Any], noise: float
) -> tuple[dict[str, tuple[_Alternative, dict[str, Any]]], dict[str, str]]:
    """Return the alternatives with their best settings, and the reasons why others are missing."""
    unit = unit_of(model.dtype_)
    some = np.linspace(0, len(source) - 1, _n_chosen_on(source)).round().astype(int)
    x, x_noisy = _known(model, source.values[some]) / unit, noisy[some] / unit
    chosen, missing = {}, {}
    for name, alternative in _alternatives(model, noise).items():
        if name == "PCA" and model.pca_ is None:
            missing[name] = "the model has none; model.measure(X) measures it"
            continue
        if name == "non-local means" and model.record_ != "image":
            missing[name] = "images only"
            continue
        try:
            chosen[name] = alternative, alternative.best(x, x_noisy)
        except MissingPackageError as error:
            missing[name] = f"needs {error.name}: pip install {error.name}"
    return chosen, missing


def _n_chosen_on(source: Source) -> int:
    return min(_CHOSEN_ON, max(_CHOSEN_ON_VALUES // math.prod(source.shape), 1), len(source))


def _alternatives(model: Autoencoder, noise: float) -> dict[str, _Alternative]:
    """Return the alternatives by name, for records whose bytes are scaled to [0, 1]."""
    unit, units = unit_of(model.dtype_), _Units.of(model)

    def as_records(x: NDArray[np.float64]) -> NDArray[np.float64]:
        stored = to_stored(units.within_range(x * unit), model.dtype_)
        return np.asarray(stored / unit)

    exponent = exponent_of(float(units.scale.max()))
    sigma = math.ldexp(noise * math.sqrt(np.square(np.ldexp(units.scale, -exponent)).mean()), exponent) / unit
    n_components = np.geomspace(1, 1 if model.pca_ is None else len(model.pca_.components), _MOST_COMPONENTS)
    n_components = n_components.round().astype(int)

    def by_pca(x: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
        return pca(x, model.model_.artefact(PrincipalComponents).in_units(unit), n_components)

    functions: dict[str, Callable[..., NDArray[np.float64]]]
    functions = {"median filter": median_filter, "non-local means": non_local_means, "PCA": by_pca}
    candidates: dict[str, list[dict[str, Any]]] = {
        "median filter": [{"size": size} for size in (3, 5)],
        "non-local means": [
            {"h": h * sigma, "sigma": share * sigma, "patch_size": size, "patch_distance": distance}
            for share, h, (size, distance) in _NON_LOCAL_MEANS
        ],
        "PCA": [{"n_components": int(k)} for k in np.unique(n_components)],
    }
    return {name: _Alternative(functions[name], candidates[name], as_records) for name in _ALTERNATIVES}


def _open(model: Autoencoder, data: Data, function: str) -> Source:
    """Return records as a source, checked to be of the model's shape and finite."""
    source = records_for(model, data, function)
    narrows.data.check_finite(source, fill_value=model.fill_value_)
    return source


def _batches(source: Source) -> Iterator[slice]:
    size = batch_size(source.shape, _BATCH)
    return (slice(start, min(start + size, len(source))) for start in range(0, len(source), size))


def _known(model: Autoencoder, values: NDArray[Any]) -> NDArray[Any]:
    """Return clean records (n, *shape) with NaN for missing values, which are not measured."""
    if model.fill_value_ is None:
        return values
    return np.where(is_fill(values, model.fill_value_), np.nan, values)


def _squared(x: NDArray[Any], x_hat: NDArray[Any]) -> SquaredSum:
    error = x.astype(np.float64) - x_hat
    return SquaredSum.of(np.where(np.isnan(x), 0.0, error))


def _peak(model: Autoencoder) -> float:
    """Return the peak, in units of 255 for bytes."""
    return peak_of(model.dtype_, *model.range_) / unit_of(model.dtype_)


def _ratio_db(a: SquaredSum, b: SquaredSum) -> float | None:
    """Return 10 log₁₀(a / b); None if one is 0 or infinite."""
    if not (a and b and math.isfinite(a.scaled) and math.isfinite(b.scaled)):
        return None
    return 10 * math.log10(a.scaled / b.scaled) + 20 * math.log10(2) * (a.exponent - b.exponent)
