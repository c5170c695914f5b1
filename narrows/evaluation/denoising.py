"""Noise added to clean records, and what a model takes away of it beside a median filter, non-local means and PCA.

The noisy records and all restored ones are measured as people would have them: in the data's dtype, bytes as bytes.

Every alternative works with those of its settings that are best for these very records, which nobody knows who has
only the noisy ones: they are shown at their best. The model gets no such help.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

import narrows.data
from narrows.data import Source
from narrows.errors import MissingPackageError, ShapeMismatchError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.evaluation.denoisers import median_filter, non_local_means, pca
from narrows.evaluation.metrics import unit_of
from narrows.model.artefacts import PrincipalComponents
from narrows.model.inference import to_stored
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Real, check

__all__ = ["add_noise", "compare_denoisers", "measure_denoisers", "psnr_db_of_records"]

_BATCH = 256
# What settings are chosen on, spread evenly over all records: so many of them, fewer where records are large.
_CHOSEN_ON = 100
_CHOSEN_ON_VALUES = 2**17
# Settings of non-local means that are tried: sigma and h as shares of the noise's, patches, and how far away they are.
# Noise that is cut to a range is less than it says: less than sigma may be expected.
_NON_LOCAL_MEANS = tuple(product((0.0, 0.5, 1.0), (0.2, 0.3, 0.4, 0.6, 0.8), ((3, 6), (5, 6), (5, 11))))
_MOST_COMPONENTS = 100  # choices of how many components PCA keeps, ever further apart

OnRecords = Callable[[int, int], None]


def add_noise(model: Autoencoder, X: Data, noise: float, random_state: Any = 0) -> NDArray[Any]:
    """Return records (n, *shape) with normal noise on every value, in their own units and dtype.

    A record's noise does not depend on how many others there are.

    Parameters
    ----------
    model : Autoencoder
        Fitted; says what the units of the noise are.
    X : array_like of shape (n, *shape), path, name or Source
        The clean records.
    noise : float
        Standard deviation ≥ 0, in units of what the networks see: of pixels from 0 to 1 for bytes. Where the
        preprocessing is ``unit-scale``, noisy values are cut to [0, 1].
    random_state : int, RandomState or None
        What the noise is drawn from.

    Raises
    ------
    InvalidParameterError
        If the noise is no number ≥ 0.
    ShapeMismatchError, NonFiniteDataError
        If the records have another shape than the model's, or hold NaN or infinity.
    """
    source = _open(model, X)
    scale = check("add_noise", "noise", noise, Real(0))
    units = _Units.of(model)
    numbers = rng(int(check_random_state(random_state).randint(2**31 - 1)), Stream.ADDED_NOISE)
    noisy = np.empty_like(source.values)
    for rows in _batches(source):
        x = source.values[rows].astype(np.float64)
        x += scale * units.scale * numbers.standard_normal(x.shape)
        noisy[rows] = to_stored(units.within_range(x), source.dtype)
    return noisy


def compare_denoisers(
    model: Autoencoder, clean: Data, noise: float, random_state: Any = 0, *, on_records: OnRecords | None = None
) -> dict[str, Any]:
    """Add noise to clean records and measure what a model and its alternatives restore.

    Parameters
    ----------
    model : Autoencoder
        Fitted, usually with ``corruption``.
    clean : array_like of shape (n, *shape), path, name or Source
        The records, without noise.
    noise, random_state
        As for `add_noise`.
    on_records : callable, optional
        Called with the number of records measured and of all.

    Returns
    -------
    comparison : dict
        As `measure_denoisers` returns it.

    Raises
    ------
    InvalidParameterError, ShapeMismatchError, NonFiniteDataError
        As `add_noise`.

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
    source = _open(model, clean)
    noisy = add_noise(model, source, noise, random_state)
    return measure_denoisers(
        model,
        source,
        noisy,
        model.denoise(noisy, source.named_labels, dtype=model.dtype_),
        noise=noise,
        on_records=on_records,
    )


def measure_denoisers(
    model: Autoencoder,
    clean: Data,
    noisy: NDArray[Any],
    restored: NDArray[Any],
    *,
    noise: float,
    on_records: OnRecords | None = None,
) -> dict[str, Any]:
    """Measure noisy records, what the model restored, and what the alternatives do.

    Parameters
    ----------
    model : Autoencoder
        Fitted; the alternative PCA is that of its training data, with at most as many components as its code has
        numbers.
    clean : array_like of shape (n, *shape), path, name or Source
        The records without noise.
    noisy, restored : ndarray of shape (n, *shape)
        As `add_noise` and `Autoencoder.denoise` return them.
    noise : float
        As given to `add_noise`; the alternatives are told.
    on_records : callable, optional
        Called with the number of records measured and of all.

    Returns
    -------
    comparison : dict
        ``records``, ``noise``, ``settings_chosen_on`` (records that the alternatives' settings are chosen on), and
        ``methods``: for each ``mse`` of a value over all records (bytes as pixels in [0, 1]), ``psnr_db`` with the peak
        that `narrows.evaluate` has, ``gain_db`` over the noisy records, ``settings`` in the units of ``mse``, and
        ``missing``, why there is nothing. What has no value is None, as the PSNR of what is exact.
    """
    source = _open(model, clean)
    unit = unit_of(model.dtype_)
    if on_records is not None:
        on_records(0, len(source))  # choosing takes its time
    squared = {"noisy": 0.0}
    chosen, missing = _choose(model, source, noisy, noise)
    squared.update(dict.fromkeys((*chosen, "narrows"), 0.0))
    for rows in _batches(source):
        x, x_noisy = source.values[rows] / unit, noisy[rows] / unit
        squared["noisy"] += _squared(x, x_noisy)
        squared["narrows"] += _squared(x, restored[rows] / unit)
        for name, (alternative, settings) in chosen.items():
            squared[name] += _squared(x, alternative.restore(x_noisy, settings))
        if on_records is not None:
            on_records(rows.stop, len(source))

    methods = {}
    before = squared["noisy"]
    for name in ("noisy", *_ALTERNATIVES, "narrows"):
        error = squared.get(name)
        mse = None if error is None else error / source.values.size
        methods[name] = {
            "mse": mse,
            "psnr_db": None if mse is None else _ratio_db(_peak(model) ** 2, mse),
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
    error = (clean.astype(np.float64) - other).reshape(len(clean), -1) / unit_of(model.dtype_)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(_peak(model) ** 2 / np.square(error).mean(axis=1)))


@dataclass(frozen=True)
class _Units:
    """How the data's own units stand to those of the networks, where every step of preprocessing is affine.

    Attributes
    ----------
    low, scale : ndarray of shape (*shape)
        What 0 is in the data's units, and how much a step of 1 is.
    is_range : bool
        Whether 0 and 1 are the ends of the data's range.
    """

    low: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_range: bool

    @classmethod
    def of(cls, model: Autoencoder) -> _Units:
        zero = torch.zeros((1, *model.shape_), dtype=torch.float64, device=model.chain_.device)
        with torch.no_grad():
            low, high = (model.chain_.preprocessor.inverse(x).cpu().numpy()[0] for x in (zero, zero + 1))
        steps = [part.name for part in model.chain_.parts.preprocessing]
        return cls(low, high - low, steps == ["unit-scale"])

    def within_range(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(x, self.low, self.low + self.scale) if self.is_range else x


@dataclass(frozen=True)
class _Alternative:
    """A way to take noise away, the settings that it may have, and how what it returns becomes records again."""

    function: Callable[..., NDArray[np.float64]]
    candidates: list[dict[str, Any]]
    as_records: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def restore(self, x_noisy: NDArray[np.float64], settings: dict[str, Any]) -> NDArray[np.float64]:
        return self.as_records(self.function(x_noisy, **settings))

    def best(self, x: NDArray[np.float64], x_noisy: NDArray[np.float64]) -> dict[str, Any]:
        """Return the settings with which least is wrong."""
        return min(self.candidates, key=lambda settings: _squared(x, self.restore(x_noisy, settings)))


_ALTERNATIVES = ("median filter", "non-local means", "PCA")


def _choose(
    model: Autoencoder, source: Source, noisy: NDArray[Any], noise: float
) -> tuple[dict[str, tuple[_Alternative, dict[str, Any]]], dict[str, str]]:
    """Return the alternatives with their best settings, and why others are missing."""
    unit = unit_of(model.dtype_)
    some = np.linspace(0, len(source) - 1, _n_chosen_on(source)).round().astype(int)
    x, x_noisy = source.values[some] / unit, noisy[some] / unit
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
    """Return the alternatives by name, in units in which bytes are in [0, 1]."""
    unit, units = unit_of(model.dtype_), _Units.of(model)

    def as_records(x: NDArray[np.float64]) -> NDArray[np.float64]:
        stored = to_stored(units.within_range(x * unit), model.dtype_)
        return np.asarray(stored / unit)

    sigma = noise * math.sqrt(float(np.square(units.scale).mean())) / unit
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


def _open(model: Autoencoder, data: Data) -> Source:
    """Return records as a source, checked to be of the model's shape and finite."""
    check_is_fitted(model)
    source = narrows.data.open(data)
    if source.shape != model.shape_:
        raise ShapeMismatchError(f"The model was trained on records of shape {model.shape_}. Got {source.shape}.")
    narrows.data.check_finite(source)
    return source


def _batches(source: Source) -> Iterator[slice]:
    size = batch_size(source.shape, _BATCH)
    return (slice(start, min(start + size, len(source))) for start in range(0, len(source), size))


def _squared(x: NDArray[Any], x_hat: NDArray[Any]) -> float:
    return float(np.square(x.astype(np.float64) - x_hat).sum())


def _peak(model: Autoencoder) -> float:
    """Return what counts as the largest value: 1 for bytes, else the range of the training data."""
    return 1.0 if unit_of(model.dtype_) != 1 else model.range_[1] - model.range_[0]


def _ratio_db(a: float, b: float) -> float | None:
    return 10 * math.log10(a / b) if a > 0 and b > 0 else None
