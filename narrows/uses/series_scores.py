"""Scores of the time steps of series: how unlike the rest, or a training series, each of them is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narrows.data.arrays import as_array, check_dtype
from narrows.data.frames import columns_of, is_frame
from narrows.data.opening import open as open_data
from narrows.data.series import WholeSeries
from narrows.data.source import Source
from narrows.errors import DataError, NonFiniteDataError, ShapeMismatchError
from narrows.parts.options import Integer, check, optional
from narrows.uses.coders import MOST_FITTED, Coder, LinearCoder, ModelCoder
from narrows.uses.novelty import OUTLIER, Calibration, Measured, Novelty

if TYPE_CHECKING:  # PyTorch is imported only with a model
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["SeriesScores", "score_series"]

Floats = npt.NDArray[np.float64]

_WINDOW, _SHARE = 256, 8  # the usual window: 256 steps, but at most an eighth of the series
_SHORTEST = 4  # steps of a window
_PLACES = 64  # starts of windows in the length of one
_LATENT = 8
_FITTED_WITHOUT_GAPS = 64  # windows: if there are so many without missing values, no others are fitted
_VALUES = 1 << 22  # of windows that are measured at a time


@dataclass(frozen=True, eq=False)
class SeriesScores:
    """Scores of all steps of a series, or of several series one after the other.

    Attributes
    ----------
    score : ndarray of shape (steps,)
        High is odd. 0 is the median of the training data, 1 a standard deviation upwards if scores were normal. NaN
        where the value is missing, or too many around it.
    is_outlier : ndarray of bool, shape (steps,)
        Whether the score is above `threshold`.
    threshold : float
    windows : tuple of int
        The lengths of the windows that were compared, in steps.
    top_channel : ndarray of int, shape (steps,), optional
        The channel that contributes most; None for series of one channel.
    series : WholeSeries
        The series, with its times and the names of its channels, if they are known.
    """

    score: Floats
    is_outlier: npt.NDArray[np.bool_]
    threshold: float
    windows: tuple[int, ...]
    top_channel: npt.NDArray[np.int64] | None
    series: WholeSeries


def score_series(
    series: Any, model: Autoencoder | None = None, *, train: Any = None, window: int | None = None
) -> SeriesScores:
    """Return how odd each step of a series is.

    Windows of the series are measured by an autoencoder. The score of a window is the sum of three terms, each in
    standard deviations over the training data: the distance from the mean window, the error of the reconstruction, and
    the distance of the code to the nearest codes of other windows. The score of a step is the mean over all windows
    that contain it. The same call gives the same scores in every run.

    Parameters
    ----------
    series : array_like of shape (steps,) or (steps, channels), DataFrame, path or Source
        The series; a path as for `narrows.data.open`. NaN is a missing value: its step has the score NaN, and the steps
        beside it are scored by the values that there are.
    model : Autoencoder, optional
        A model of windows of such a series, whose length is then used. By default linear autoencoders with 8 latent
        dimensions are fitted to the training data.
    train : as series, optional
        A series without outliers to compare with. By default the series is compared with itself; outliers must then be
        rare.
    window : int, optional
        Steps of the longer of two windows; the other has half of them. Shorter windows give scores that tell apart
        outliers close to each other, longer ones find what is odd only in its surroundings. By default 256 steps, but
        at most an eighth of the series.

    Raises
    ------
    DataError
        If the series is constant, shorter than the window, or has infinite values.
    ShapeMismatchError
        If model or training series have another number of channels.

    Examples
    --------
    >>> steps = np.arange(2000)
    >>> series = np.sin(steps / 10) + np.random.default_rng(0).normal(0, 0.1, 2000)
    >>> series[1200:1220] = 0
    >>> found = score_series(series, window=64)
    >>> 1190 < int(np.argmax(found.score)) < 1230
    True
    """
    check("score_series", "window", window, optional(Integer(_SHORTEST)))
    scored = _whole(series)
    trained = scored if train is None else _whole(train)
    if trained.n_channels != scored.n_channels:
        raise ShapeMismatchError(
            f"The training series has {trained.n_channels} channels, and the series {scored.n_channels}. They must be "
            "the same."
        )
    lengths = _lengths(scored, trained, model, window)
    known = _Filled.of(trained)
    given = known if trained is scored else _Filled.of(scored)
    scale = _scale(known)
    usual = np.zeros((trained.n_steps, trained.n_channels))
    parts = np.zeros((scored.n_steps, scored.n_channels))
    for length in lengths:
        scorer = _Scorer.fit(known, length, scale, model)
        own = scorer.score(known, is_trained=True)
        usual += own / len(lengths)
        parts += (own if given is known else scorer.score(given)) / len(lengths)
    score = Calibration.fit(usual.sum(axis=1))(parts.sum(axis=1))
    score[~given.observed.any(axis=1)] = np.nan
    top = None if scored.n_channels == 1 else np.argmax(np.nan_to_num(parts), axis=1)
    return SeriesScores(score, score > OUTLIER, OUTLIER, lengths, top, scored)


@dataclass(frozen=True, eq=False)
class _Filled:
    """The values of a series (steps, channels) without gaps, and which of them are not estimates."""

    values: Floats
    observed: npt.NDArray[np.bool_]
    series: WholeSeries

    @classmethod
    def of(cls, series: WholeSeries) -> _Filled:
        values = np.array(series.values, np.float64).reshape(series.n_steps, -1)
        if np.isinf(values).any():
            step = int(np.flatnonzero(np.isinf(values).any(axis=1))[0])
            raise NonFiniteDataError(f"The series has an infinite value at step {step:,}. Replace it, or make it NaN.")
        observed = ~np.isnan(values)
        for first, length in zip(series.starts, series.lengths, strict=True):
            part, there = values[first : first + length], observed[first : first + length]
            for channel in np.flatnonzero(~there.all(axis=0)):
                at = np.flatnonzero(there[:, channel])
                if len(at):
                    part[:, channel] = np.interp(np.arange(length), at, part[at, channel])
                else:
                    part[:, channel] = 0
        return cls(values, observed, series)

    @property
    def is_complete(self) -> bool:
        return bool(self.observed.all())

    def starts(self, length: int) -> npt.NDArray[np.int64]:
        """Return the first steps of windows, at most 64 in the length of one; the last ends with the series."""
        stride = max(1, length // _PLACES)
        found = [
            first + np.unique(np.append(np.arange(0, steps - length + 1, stride), steps - length))
            for first, steps in zip(self.series.starts, self.series.lengths, strict=True)
        ]
        return np.concatenate(found)

    def windows(
        self, starts: npt.NDArray[np.int64], length: int
    ) -> Iterator[tuple[Floats, npt.NDArray[np.bool_] | None]]:
        """Yield windows (n, length, channels) with which of their values are observed; None: all of them."""
        steps = np.arange(length)
        batch = max(1, _VALUES // (length * self.values.shape[1]))
        for i in range(0, len(starts), batch):
            at = starts[i : i + batch, None] + steps
            yield self.values[at], None if self.is_complete else self.observed[at]


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Scores steps by windows of one length."""

    coder: Coder
    novelty: Novelty
    length: int
    scale: Floats
    kept: Floats  # the windows whose codes are compared with, (m, length, channels)

    @classmethod
    def fit(cls, known: _Filled, length: int, scale: Floats, model: Autoencoder | None) -> _Scorer:
        starts = known.starts(length)
        complete = np.array([known.observed[start : start + length].all() for start in starts.tolist()])
        some = starts[complete] if complete.sum() >= _FITTED_WITHOUT_GAPS else starts
        some = some[:: -(-len(some) // MOST_FITTED)]
        windows = known.values[some[:, None] + np.arange(length)]
        coder: Coder
        if model is None:
            coder = LinearCoder.fit(windows, scale, _LATENT, _LATENT)
        else:
            coder = ModelCoder(model, windows.mean(axis=0), scale)
        novelty = Novelty.fit(_measure(coder, known, starts, length), starts, length)
        kept = known.values[novelty.positions[:, None] + np.arange(length)]
        return cls(coder, novelty, length, scale, kept)

    def score(self, given: _Filled, *, is_trained: bool = False) -> Floats:
        """Return what each channel contributes to the score of each step, (steps, channels)."""
        starts = given.starts(self.length)
        measured = _measure(self.coder, given, starts, self.length)
        terms, nearest = self.novelty.compare(measured, starts if is_trained else None, self.length)
        n_channels = given.values.shape[1]
        if n_channels == 1:
            parts = terms.sum(axis=1)[:, None]
        else:
            differences, i = np.empty((len(starts), n_channels)), 0
            for windows, _ in given.windows(starts, self.length):
                away = (windows - self.kept[nearest[i : i + len(windows)]]) / self.scale
                differences[i : i + len(windows)] = np.einsum("nsc,nsc->nc", away, away)
                i += len(windows)
            parts = self.novelty.by_channel(terms, measured, differences)
        return _spread(parts, starts, self.length, given.series.n_steps)


def _measure(coder: Coder, given: _Filled, starts: npt.NDArray[np.int64], length: int) -> Measured:
    found = [coder.measure(windows, observed) for windows, observed in given.windows(starts, length)]
    return Measured(
        np.concatenate([one.codes for one in found]),
        np.concatenate([one.from_mean for one in found]),
        np.concatenate([one.restored for one in found]),
    )


def _spread(values: Floats, starts: npt.NDArray[np.int64], length: int, n_steps: int) -> Floats:
    """Return for each step the mean of the values (windows, m) of all windows that contain it; NaN if there is none."""
    usable = np.isfinite(values).all(axis=1)
    values, starts = values[usable], starts[usable]
    total, count = np.zeros((n_steps + 1, values.shape[1])), np.zeros(n_steps + 1)
    np.add.at(total, starts, values)
    np.add.at(total, starts + length, -values)
    np.add.at(count, starts, 1)
    np.add.at(count, starts + length, -1)
    count = np.cumsum(count)[:-1, None]
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(count > 0, np.cumsum(total, axis=0)[:-1] / np.maximum(count, 1), np.nan)
    return mean


def _whole(data: Any) -> WholeSeries:
    """Return a series as a whole."""
    if isinstance(data, WholeSeries):
        return data
    if isinstance(data, Source | str | os.PathLike):
        source = data if isinstance(data, Source) else open_data(data, window="auto")
        if source.windows is None:
            raise DataError(
                f"{source.name} holds records, and no series. Give an array of shape (steps,) or (steps, channels), "
                "or open it with window='auto'."
            )
        return source.windows.series
    channels = tuple(map(str, columns_of(data) or ())) if is_frame(data) else ()
    values = as_array(data.to_numpy() if is_frame(data) else data)
    check_dtype(values.dtype, "The series")
    whole = WholeSeries.of_array(values, "The series", {"kind": "array"})
    return WholeSeries(whole.values, whole.lengths, None, channels or None)


def _lengths(
    scored: WholeSeries, trained: WholeSeries, model: Autoencoder | None, window: int | None
) -> tuple[int, ...]:
    """Return the lengths of the windows, the longest first."""
    shortest = min(*scored.lengths, *trained.lengths)
    if model is not None:
        from narrows.estimators.checks import check_autoencoder

        check_autoencoder(model, "score_series")
        shape = model.shape_
        if len(shape) > 2 or (shape[1] if len(shape) == 2 else 1) != scored.n_channels:
            raise ShapeMismatchError(
                f"The model was trained on records of shape {shape}. Scores of this series need a model of windows "
                f"(steps, {scored.n_channels})."
            )
        if window not in {None, shape[0]}:
            raise DataError(f"The model was trained on windows of {shape[0]:,} steps. Got window={window}. Omit it.")
        window = shape[0]
    if window is None:
        window = min(_WINDOW, shortest // _SHARE)
        if window < _SHORTEST:
            raise DataError(
                f"A series needs at least {_SHARE * _SHORTEST} steps to be scored. Got {shortest:,}. If so few are "
                "right, give the steps of a window (window=, --window)."
            )
    if window > shortest:
        raise DataError(
            f"The window has {window:,} steps, but the series has only {shortest:,}. Give a window of at most "
            f"{shortest:,} steps (window=, --window), better an eighth of that."
        )
    return (window,) if model is not None or window // 2 < _SHORTEST else (window, window // 2)


def _scale(known: _Filled) -> Floats:
    """Return the standard deviation of each channel; 1 for channels that do not vary."""
    deviations = np.array(
        [
            np.std(column[there]) if there.any() else 0.0
            for column, there in zip(known.values.T, known.observed.T, strict=True)
        ]
    )
    means = np.abs(known.values).max(axis=0)
    varies = deviations > 1e-12 * means
    if not varies.any():
        raise DataError("The series is constant, so no step is odder than others. Give a series that varies.")
    return np.where(varies, deviations, 1.0)
