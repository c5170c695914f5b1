"""What an archive stores of series besides the values of their steps: lengths, names, times, and decimals.

Small things are entries of the metadata, ``series`` and ``decimals``. Columns with a value for each step are COLUMN
blocks, coded as blocks of fields are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.columns import Column, Columns, column_blocks
from narrows.archive.index import Index
from narrows.archive.layouts.windows import lengths_of
from narrows.archive.metadata import Metadata
from narrows.data.series.decimals import MOST_DIGITS, exact, quotient
from narrows.data.series.readings import MOST_READINGS, after_readings
from narrows.data.series.rows import SeriesRows
from narrows.data.series.times import Times
from narrows.errors import CorruptArchiveError, DataError

__all__ = ["ArchivedSeries", "read_series"]

_MOST_REGULAR = 1 << 10  # series whose times are stored as a start and a step each
_MOST_TICKS = 1 << 62  # between times whose differences are stored


@dataclass(frozen=True, eq=False)
class ArchivedSeries:
    """Series in an archive.

    Attributes
    ----------
    lengths : tuple of int
        The number of steps of each series.
    shape : tuple of int
        Shape of a step: () or (channels,).
    names, channels : tuple of str or None
        Names of the series, and of the channels.
    times : Times or None
        The times of all steps.
    digits : tuple of int or None
        The values are decimals with so many digits, for each channel.
    missing, ulps : ndarray of shape (steps, *shape), or None
        As for `Decimals`.
    readings : int
        As for `Decimals`.
    exceptions : ndarray of shape (steps, *shape), or None
        As for `Decimals`.
    origin : dict
        The format that the series was read from; see `WholeSeries`.
    """

    lengths: tuple[int, ...]
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    times: Times | None = None
    digits: tuple[int, ...] | None = None
    missing: npt.NDArray[Any] | None = None
    ulps: npt.NDArray[Any] | None = None
    readings: int = 0
    exceptions: npt.NDArray[Any] | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def n_steps(self) -> int:
        """The number of steps of all series."""
        return sum(self.lengths)

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the metadata."""
        described: dict[str, Any] = {"lengths": list(self.lengths)} if len(self.lengths) > 1 else {}
        for name in ("names", "channels"):
            if (given := getattr(self, name)) is not None:
                described[name] = list(given)
        if self.times is not None:
            described["time"] = self.times.to_json()
            if (regular := _regular(self.times.ticks, self.lengths)) is not None:
                described["time"] |= {"starts": regular[0], "steps": regular[1]}
        if self.origin:
            described["origin"] = self.origin
        found: dict[str, Any] = {"series": described} if described or self.digits is None else {}
        found |= {} if (steps := self._time_steps) is None else {"time_steps": list(steps)}
        if self.digits is not None:
            found["decimals"] = {"digits": list(self.digits)}
            found["decimals"] |= {} if self.missing is None else {"missing": True}
            found["decimals"] |= {} if self.ulps is None else {"ulps": True}
            found |= {"readings": self.readings} if self.readings else {}
            found |= {} if self.exceptions is None else {"exceptions": True}
        return found

    def blocks(self) -> Iterator[tuple[Column, int, bytes]]:
        """Yield the columns as blocks: what they contain, their number of steps, and their payload."""
        columns: list[tuple[Column, npt.NDArray[Any] | None]] = [
            (Column.MISSING, self.missing),
            (Column.ULPS, self.ulps),
            (Column.EXCEPTIONS, self.exceptions),
        ]
        if self.times is not None and _regular(self.times.ticks, self.lengths) is None:
            ticks, steps = self.times.ticks, self._time_steps
            columns.insert(0, (Column.TIMES, ticks if steps is None else np.diff(ticks, prepend=steps[0]) // steps[1]))
        for column, values in columns:
            if values is not None:
                yield from column_blocks(column, values)

    @property
    def _time_steps(self) -> tuple[int, int] | None:
        """The first time, and the unit in which differences of times are stored; None if they are not."""
        if self.times is None or _regular(self.times.ticks, self.lengths) is not None:
            return None
        ticks = self.times.ticks
        if int(ticks.max()) - int(ticks.min()) > _MOST_TICKS:
            return None
        return int(ticks[0]), max(1, int(np.gcd.reduce(np.diff(ticks))))

    def finish(self, values: npt.NDArray[Any], steps: Any, channels: slice | None = None) -> npt.NDArray[Any]:
        """Return restored values of some steps as they are to be: decimals as floats, and gaps as NaN.

        Parameters
        ----------
        values : ndarray of shape (n, *shape)
            As they were coded: integers, or floats near decimals.
        steps : slice or ndarray of int
            The steps.
        channels : slice, optional
            Some channels; all by default.
        """
        if self.digits is None:
            return values
        places = (steps,) if channels is None or not self.shape else (steps, channels)
        digits = self.digits if channels is None else self.digits[channels]
        if not digits or not values.size:
            return np.empty(values.shape, np.float64)
        numbers = values
        gaps = None if self.missing is None else self.missing[places] != 0
        if values.dtype.kind == "f":
            tens = 10.0 ** np.array(digits, np.float64)
            unknown = np.isnan(values)
            # The sum makes -0 to 0; a negative zero is an exception of its own.
            numbers = np.rint(np.where(unknown, 0, values) * (tens if values.ndim > 1 else tens[0])) + 0.0
            gaps = unknown if gaps is None else gaps | unknown
        quotients = after_readings(quotient(numbers, digits), self.readings)
        ulps, exceptions = (None if one is None else one[places] for one in (self.ulps, self.exceptions))
        return exact(quotients, gaps, ulps, exceptions)

    def rows(self, steps: Any) -> SeriesRows:
        """Return what a file of some steps needs besides the values."""
        groups = None
        if self.names is not None:
            numbers = np.repeat(np.arange(len(self.lengths)), self.lengths)[steps]
            groups = [self.names[number] for number in numbers.tolist()]
        times = None if self.times is None else self.times.take(steps)
        return SeriesRows(self.origin, self.channels, times, groups)

    def steps_between(self, text: str) -> npt.NDArray[np.int64]:
        """Return the steps between two times, ``START:STOP``, without the second; one may be left out.

        Raises
        ------
        DataError
            If the series have no times, or the text is no such range.
        """
        if self.times is None:
            raise DataError("These series have no times.")
        for at, letter in enumerate(text):
            if letter == ":":
                try:
                    inside = self.times.range_of(text[:at].strip(), text[at + 1 :].strip())
                except DataError:
                    continue
                return np.flatnonzero(inside)
        raise DataError(f"It is no range of times, such as {self.span()}.")

    def span(self) -> str:
        """Return the first and the last time as text."""
        if self.times is None or not self.n_steps:
            return "none"
        low, high = int(np.argmin(self.times.ticks)), int(np.argmax(self.times.ticks))
        first, last = self.times.take([low, high]).texts()
        return f"{first} to {last}"

    def take(self, kept: npt.NDArray[np.bool_]) -> ArchivedSeries:
        """Return the series with only some of their steps."""
        ends = np.cumsum(self.lengths)
        counts = [int(kept[end - length : end].sum()) for end, length in zip(ends, self.lengths, strict=True)]
        names = None
        if self.names is not None:
            names = tuple(name for name, n in zip(self.names, counts, strict=True) if n)
        return replace(
            self,
            lengths=tuple(n for n in counts if n),
            names=names,
            times=None if self.times is None else self.times.take(kept),
            missing=None if self.missing is None else self.missing[kept],
            ulps=None if self.ulps is None else self.ulps[kept],
            exceptions=None if self.exceptions is None else self.exceptions[kept],
        )


def _regular(ticks: npt.NDArray[np.int64], lengths: Sequence[int]) -> tuple[list[int], list[int]] | None:
    """Return the first time of each series and the distance of its times; None if that is not always the same."""
    if len(lengths) > _MOST_REGULAR:
        return None
    ends = np.cumsum(lengths)
    starts, steps = [], []
    for end, length in zip(ends.tolist(), lengths, strict=True):
        own = ticks[end - length : end]
        step = int(own[1] - own[0]) if length > 1 else 0
        if (np.diff(own) != step).any():
            return None
        starts.append(int(own[0]))
        steps.append(step)
    return starts, steps


def read_series(
    source: ByteFile, metadata: Metadata, index: Index, n_steps: int, shape: tuple[int, ...]
) -> ArchivedSeries:
    """Return the series of an archive.

    Parameters
    ----------
    source, metadata, index
        Of the archive.
    n_steps : int
        The number of its steps.
    shape : tuple of int
        Shape of a step.

    Raises
    ------
    CorruptArchiveError
        If an entry of the metadata or a column is damaged.
    """
    described = metadata.more.get("series")
    described = described if isinstance(described, dict) else {}
    decimals = metadata.more.get("decimals")
    lengths = lengths_of(described.get("lengths")) or (n_steps,)
    n_channels = shape[0] if shape else 1
    names, channels = (_names(described.get(key)) for key in ("names", "channels"))
    if sum(lengths) != n_steps or (names and len(names) != len(lengths)) or (channels and len(channels) != n_channels):
        raise CorruptArchiveError(f"the 'series' in its metadata do not have its {n_steps:,} steps: {described!r:.120}")
    origin = described.get("origin")
    found = ArchivedSeries(lengths, shape, names, channels, origin=origin if isinstance(origin, dict) else {})
    columns = Columns(source, index, n_steps, shape)
    if isinstance(described.get("time"), dict):
        steps = metadata.more.get("time_steps")
        found = replace(found, times=_times(described["time"], steps, lengths, columns))
    if decimals is None:
        return found
    digits = decimals.get("digits") if isinstance(decimals, dict) else None
    are_digits = isinstance(digits, list) and all(type(n) is int and 0 <= n <= MOST_DIGITS for n in digits)
    if not are_digits or digits is None or len(digits) != n_channels:
        raise CorruptArchiveError(f"the 'decimals' in its metadata are not valid: {decimals!r:.120}")
    readings = metadata.more.get("readings", 0)
    if type(readings) is not int or not 0 <= readings <= MOST_READINGS:
        raise CorruptArchiveError(f"the 'readings' in its metadata are not valid: {readings!r:.120}")
    return replace(
        found,
        digits=tuple(digits),
        readings=readings,
        missing=columns.read(Column.MISSING) if decimals.get("missing") else None,
        ulps=columns.read(Column.ULPS) if decimals.get("ulps") else None,
        exceptions=columns.read(Column.EXCEPTIONS) if metadata.more.get("exceptions") else None,
    )


def _names(given: Any) -> tuple[str, ...] | None:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return None
    return tuple(given)


def _times(described: dict[str, Any], time_steps: Any, lengths: Sequence[int], columns: Columns) -> Times:
    starts, steps = described.get("starts"), described.get("steps")
    if starts is None:
        ticks = columns.read(Column.TIMES)
        if time_steps is not None:
            first, unit = _first_and_unit(time_steps)[:, None]
            ticks = first + np.cumsum(ticks) * unit
    else:
        try:
            parts = [
                start + np.arange(length, dtype=np.int64) * step
                for start, step, length in zip(starts, steps or [], lengths, strict=True)
            ]
            ticks = np.concatenate(parts).astype(np.int64)
        except (TypeError, ValueError, OverflowError) as error:
            raise CorruptArchiveError(f"the times in its metadata are not valid: {described!r:.120}") from error
    try:
        return Times.from_json(described, ticks)
    except (TypeError, ValueError) as error:
        raise CorruptArchiveError(f"the times in its metadata are not valid: {described!r:.120}") from error


def _first_and_unit(given: Any) -> npt.NDArray[np.int64]:
    is_list = isinstance(given, list) and len(given) == 2 and all(type(one) is int for one in given)
    if not is_list or not all(-(1 << 63) <= one < 1 << 63 for one in given):
        raise CorruptArchiveError(f"the 'time_steps' in its metadata are not valid: {given!r:.120}")
    return np.array(given, np.int64)
