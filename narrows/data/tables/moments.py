"""Dates and times: whole numbers of days, seconds or parts of them since 1970, written by a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from narrows.data.tables.cells import Cells
from narrows.data.tables.rules import Mask, Stepped

__all__ = ["USUAL_PATTERNS", "MomentRule", "patterns_of"]

USUAL_PATTERNS = {"date": "YYYY-mm-dd", "datetime": "YYYY-mm-dd HH:MM:SS", "time": "HH:MM:SS"}
"""How dates and times are written that were read from no text, by their kinds."""

_TEMPLATE = re.compile(
    rb"(?:(?P<ymd>0{4}(?P<s1>[-/.])00(?P=s1)00)|(?P<dmy>00(?P<s2>[-/.])00(?P=s2)0{4}))?(?P<between>[T ])?"
    rb"(?P<time>00:00(?::00(?:[.,]0{1,9})?)?)?(?P<zone>Z| UTC|[+-]00:?00)?"
)
_LETTERS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_LONGEST = 40  # bytes of a date and time
_DAY = 86_400


def patterns_of(text: bytes) -> list[str]:
    """Return the patterns that a date or time may have: a letter for each digit, and all else as it is.

    Y, m and d are year, month and day, H, M and S the time, and f decimals of a second. Other letters are in quotes.

    Examples
    --------
    >>> patterns_of(b"2013-01-01T05:00:00Z"), patterns_of(b"31/12/99"), patterns_of(b"05:30")
    (["YYYY-mm-dd'T'HH:MM:SS'Z'"], [], ['HH:MM'])
    """
    found = _TEMPLATE.fullmatch(re.sub(rb"\d", b"0", text)) if len(text) <= _LONGEST else None
    if found is None or not (found["ymd"] or found["dmy"] or found["time"]):
        return []
    has_date, has_time = bool(found["ymd"] or found["dmy"]), bool(found["time"])
    if bool(found["between"]) != (has_date and has_time) or (found["zone"] and not has_time):
        return []
    dates = [""]
    if found["ymd"]:
        dates = ["YYYY{0}mm{0}dd".format(found["s1"].decode())]
    elif found["dmy"]:
        mark = found["s2"].decode()
        dates = [f"dd{mark}mm{mark}YYYY", f"mm{mark}dd{mark}YYYY"]
    between = {b"T": "'T'", b" ": " ", None: ""}[found["between"]]
    time = ""
    if has_time:
        time = "HH:MM:SS"[: min(8, len(found["time"]))]
        time += found["time"][8:].decode().replace("0", "f")
    zone = text[len(text) - len(found["zone"]) :].decode() if found["zone"] else ""
    return [date + between + time + (f"'{zone}'" if zone else "") for date in dates]


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentRule(Stepped, entry="moment"):
    """Dates and times of one pattern.

    Attributes
    ----------
    pattern : str
        As `patterns_of` has it.
    """

    pattern: str

    @property
    def places(self) -> tuple[dict[str, list[int]], dict[int, int]]:
        """The places of each letter in a text, and the other bytes by their places."""
        digits: dict[str, list[int]] = {}
        others: dict[int, int] = {}
        place, is_quoted = 0, False
        for letter in self.pattern:
            if letter == "'":
                is_quoted = not is_quoted
                continue
            if not is_quoted and (letter in _LETTERS or letter == "f"):
                digits.setdefault(letter, []).append(place)
            else:
                others[place] = ord(letter)
            place += 1
        return digits, others

    @property
    def per_second(self) -> int:
        """The number of units of a second; 0 if they are longer."""
        digits, _ = self.places
        return 10 ** len(digits.get("f", ())) if "S" in digits else 0

    @property
    def per_day(self) -> int:
        """The number of units of a day."""
        digits, _ = self.places
        return self.per_second * _DAY if self.per_second else 1440 if "M" in digits else 1

    @property
    def units(self) -> float:
        return self.per_day / _DAY

    def whole(self, cells: Cells) -> tuple[npt.NDArray[np.int64], Mask]:
        digits, others = self.places
        width = sum(map(len, digits.values())) + len(others)
        wrong = cells.lengths != width
        starts = np.where(wrong, 0, cells.starts)
        if len(cells.data) < width:
            return np.zeros(len(cells), np.int64), np.ones(len(cells), bool)
        wrong |= starts + width > len(cells.data)
        starts = np.where(wrong, 0, starts)
        for place, byte in others.items():
            wrong |= cells.data[starts + place] != byte
        parts: dict[str, npt.NDArray[np.int64]] = {}
        for letter, places in digits.items():
            number = np.zeros(len(cells), np.int64)
            for place in places:
                digit = cells.data[starts + place].astype(np.int64) - ord("0")
                wrong |= (digit < 0) | (digit > 9)
                number = 10 * number + digit
            parts[letter] = np.where(wrong, 1, number)
        return self._joined(parts, len(cells)), wrong

    def _joined(self, parts: dict[str, npt.NDArray[np.int64]], n: int) -> npt.NDArray[np.int64]:
        days = np.zeros(n, np.int64)
        if "Y" in parts:
            months = (parts["Y"] - 1970) * 12 + parts["m"] - 1
            days = months.astype("M8[M]").astype("M8[D]").astype(np.int64) + parts["d"] - 1
        if "H" not in parts:
            return days
        minutes = parts["H"] * 60 + parts["M"]
        if "S" not in parts:
            return days * 1440 + minutes
        rest = parts.get("f", np.zeros(n, np.int64))
        return (days * _DAY + minutes * 60 + parts["S"]) * self.per_second + rest

    def written(self, values: npt.NDArray[np.int64]) -> Cells:
        digits, others = self.places
        n, width = len(values), sum(map(len, digits.values())) + len(others)
        days, rest = np.divmod(values, self.per_day)
        parts: dict[str, npt.NDArray[np.int64]] = {}
        if "Y" in digits:
            days = np.clip(days, -719_528, 2_932_896)  # of the years 0 to 9999
            dates = days.astype("M8[D]")
            months = dates.astype("M8[M]")
            parts["d"] = (dates - months.astype("M8[D]")).astype(np.int64) + 1
            since = months.astype(np.int64)
            parts["Y"], parts["m"] = 1970 + since // 12, since % 12 + 1
        if "H" in digits:
            if self.per_second:
                rest, parts["f"] = np.divmod(rest, self.per_second)
                rest, parts["S"] = np.divmod(rest, 60)
            parts["H"], parts["M"] = np.divmod(rest, 60)
        text = np.empty((n, width), np.uint8)
        for place, byte in others.items():
            text[:, place] = byte
        for letter, places in digits.items():
            number = parts[letter]
            for place in reversed(places):
                number, digit = np.divmod(number, 10)
                text[:, place] = digit + ord("0")
        return Cells.together(text.ravel(), np.arange(1, n + 1) * width)

    def _to_json(self) -> dict[str, Any]:
        return super()._to_json() | {"pattern": self.pattern}

    @classmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        made = cls(pattern=str(values["pattern"]), **cls._steps(values), **shared)
        digits, others = made.places
        lengths = {letter: len(places) for letter, places in digits.items()}
        n_decimals = lengths.pop("f", 0)
        is_date, is_time = {"Y", "m", "d"}, [set(), {"H", "M"}, {"H", "M", "S"}]
        if (
            any(length != _LETTERS[letter] for letter, length in lengths.items())
            or (lengths.keys() & is_date) not in (set(), is_date)
            or (lengths.keys() - is_date) not in is_time
            or not lengths
            or n_decimals > 9
            or (n_decimals and "S" not in lengths)
            or any(byte > 127 for byte in others.values())
            or len(others) > 40
        ):
            raise ValueError("the pattern of a column is not valid")
        return made
