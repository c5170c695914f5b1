"""Times of the steps of a series: dates, or numbers in any unit, as integers with the form of their text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError

__all__ = ["Times"]

_DATE = re.compile(
    r"\d{4}-\d\d(?:-\d\d(?:(?P<gap>[T ])\d\d:\d\d(?::\d\d(?:\.(?P<fraction>\d{1,9}))?)?)?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.(?P<fraction>\d+))?")
_LENGTHS = {7: "M", 10: "D", 16: "m", 19: "s"}
_FRACTIONS = {3: "ms", 6: "us", 9: "ns"}
_LARGEST = 1 << 62


@dataclass(frozen=True, eq=False)
class Times:
    """The times of all steps.

    Attributes
    ----------
    ticks : ndarray of int64, shape (steps,)
        The times in units.
    unit : str
        NumPy's name of the unit of dates, from 1970 on: "M" (months), "D", "m" (minutes), "s", "ms", "us" or "ns";
        "" for numbers, whose unit is 1 in the last of their digits.
    name : str
        The name of the column.
    digits : int
        Digits after the point: of a number, or of the seconds of a date.
    gap : str
        The letter between day and hour, "T" or " ".
    zone : str
        What follows the time, such as "Z" or "+01:00".
    """

    ticks: npt.NDArray[np.int64]
    unit: str
    name: str = "time"
    digits: int = 0
    gap: str = " "
    zone: str = ""

    def take(self, steps: Any) -> Times:
        """Return the times of some steps."""
        return replace(self, ticks=self.ticks[steps])

    def values(self) -> npt.NDArray[Any]:
        """Return the times as NumPy's dates, or as numbers: integers, or floats if they have digits."""
        if self.unit:
            return self.ticks.astype(f"datetime64[{self.unit}]")
        return self.ticks / 10.0**self.digits if self.digits else self.ticks

    def texts(self) -> list[str]:
        """Return the times as they were written.

        Examples
        --------
        >>> Times.parse(["2014-02-14 14:30:00", "2014-02-14 14:35:00"], "t", "x.csv").texts()
        ['2014-02-14 14:30:00', '2014-02-14 14:35:00']
        """
        if not self.unit:
            return decimal_texts(self.ticks, self.digits)
        texts = np.datetime_as_string(self.ticks.astype(f"datetime64[{self.unit}]"))
        if self.digits and self.digits not in _FRACTIONS:
            cut = 20 + self.digits
            texts = texts.astype(f"U{cut}")
        return [text.replace("T", self.gap) + self.zone for text in texts.tolist()]

    def range_of(self, start: str, stop: str) -> npt.NDArray[np.bool_]:
        """Return which steps lie between two times, without the second; an empty text is the first, or the end.

        Raises
        ------
        DataError
            If a text is no time of this kind.
        """
        inside = np.ones(len(self.ticks), bool)
        if start:
            inside &= self.ticks >= self._tick(start)
        if stop:
            inside &= self.ticks < self._tick(stop)
        return inside

    def _tick(self, text: str) -> int:
        if self.unit:
            match = _DATE.fullmatch(text.strip())
            if match is not None:
                plain = text.strip().removesuffix(match["zone"] or "")
                wanted = np.datetime64(plain)
                tick = wanted.astype(f"datetime64[{self.unit}]")
                return int(tick.astype(np.int64)) + bool(tick < wanted)  # a unit that has begun is before
        else:
            try:
                return int(np.ceil(float(text) * 10.0**self.digits))
            except ValueError:
                pass
        example = self.take(slice(0, 1)).texts()
        raise DataError(f"{text!r} is no time of this series, whose times are such as {', '.join(example)}.")

    def to_json(self) -> dict[str, Any]:
        """Return all but the ticks as JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            **({"digits": self.digits} if self.digits else {}),
            **({"gap": self.gap} if self.gap != " " else {}),
            **({"zone": self.zone} if self.zone else {}),
        }

    @classmethod
    def from_json(cls, described: dict[str, Any], ticks: npt.NDArray[np.int64]) -> Times:
        """Return times from the values of `to_json`.

        Raises
        ------
        ValueError
            If they are not valid.
        """
        known: dict[str, Any] = {"name": "time", "digits": 0, "gap": " ", "zone": ""}
        given = {**known, **{key: described.get(key, known.get(key)) for key in ("unit", *known)}}
        texts = all(isinstance(given[key], str) and len(given[key]) < 1000 for key in ("name", "unit", "gap", "zone"))
        units = {"", *_LENGTHS.values(), *_FRACTIONS.values()}
        if not texts or given["unit"] not in units or type(given["digits"]) is not int or not 0 <= given["digits"] < 19:
            raise ValueError(f"the times are not valid: {described!r:.100}")
        return cls(ticks, **given)

    @classmethod
    def parse(cls, texts: Sequence[str], name: str, source: str, *, first_row: int = 2) -> Times:
        """Return times from their texts, which have one form.

        Raises
        ------
        DataError
            If a text has another form, or is empty; gives the row.
        """
        first = texts[0].strip() if len(texts) else ""
        if (match := _NUMBER.fullmatch(first)) is not None:
            return cls._of_numbers(texts, name, source, first_row)
        match = _DATE.fullmatch(first)
        if match is None:
            raise _no_time(first, name, source, first_row)
        fraction, zone = match["fraction"] or "", match["zone"] or ""
        plain = first.removesuffix(zone)
        digits = len(fraction)
        unit = next((u for n, u in _FRACTIONS.items() if digits <= n), "s") if digits else _LENGTHS[len(plain)]
        parsed = cls(np.empty(0, np.int64), unit, name, digits, match["gap"] or " ", zone)
        try:
            joined = np.array([text.strip().removesuffix(zone) for text in texts])
            ticks = joined.astype(f"datetime64[{unit}]").astype(np.int64)
            found = replace(parsed, ticks=ticks)
            if found.texts() == [text.strip() for text in texts]:
                return found
        except ValueError:
            pass
        form = len(first), match["gap"], match["zone"]
        for row, text in enumerate(texts):
            one = _DATE.fullmatch(text.strip())
            if one is None or (len(text.strip()), one["gap"], one["zone"]) != form:
                raise _no_time(text, name, source, first_row + row, first)
            try:
                np.datetime64(text.strip().removesuffix(zone))
            except ValueError:
                raise _no_time(text, name, source, first_row + row, first) from None
        raise DataError(f"The times in column {name!r} of {source} cannot be read. The first is {first!r}.")

    @classmethod
    def _of_numbers(cls, texts: Sequence[str], name: str, source: str, first_row: int) -> Times:
        matches = [_NUMBER.fullmatch(text.strip()) for text in texts]
        row = next((i for i, match in enumerate(matches) if match is None), None)
        if row is not None:
            raise _no_time(texts[row], name, source, first_row + row, texts[0])
        digits = max(len(match["fraction"] or "") for match in matches if match is not None)
        ticks = []
        for row, text in enumerate(texts):
            whole, _, fraction = text.strip().partition(".")
            ticks.append(int(whole + fraction.ljust(digits, "0")))
            if digits > 18 or abs(ticks[-1]) >= _LARGEST:
                raise _no_time(text, name, source, first_row + row, texts[0])
        return cls(np.array(ticks, np.int64), "", name, digits)


def decimal_texts(numbers: npt.NDArray[np.int64], digits: int) -> list[str]:
    """Return integers with a point before the last digits.

    Examples
    --------
    >>> decimal_texts(np.array([1250, -5, 0]), 2)
    ['12.50', '-0.05', '0.00']
    """
    if not digits:
        return [str(one) for one in numbers.tolist()]
    texts = []
    for one in numbers.tolist():
        text = str(abs(one)).rjust(digits + 1, "0")
        texts.append(f"{'-' if one < 0 else ''}{text[:-digits]}.{text[-digits:]}")
    return texts


def _no_time(text: str, name: str, source: str, row: int, first: str | None = None) -> DataError:
    like = "" if first is None else f" The first time is {first!r}, and all must have its form."
    return DataError(
        f"The time in row {row:,}, column {name!r} of {source} is {text!r}. Times are numbers, or dates such as "
        f"2014-02-14, 2014-02-14 14:30 or 2014-02-14T14:30:00.5Z.{like}"
    )
