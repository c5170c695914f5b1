"""How the texts of a column are numbers, categories or texts, and these the same texts again.

A rule reads cells as a column that a coder takes, and writes the cells that belong to a column. Cells that it would
write differently are exceptions, which the table keeps as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from narrows.data.tables import kernels
from narrows.data.tables.cells import Cells, in_quotes, without_quotes
from narrows.records.columns import Column, Ids, Numbers, Texts

__all__ = ["CategoryRule", "Encoded", "FloatRule", "NumberRule", "Rule", "Stepped", "TextRule"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A column, the rows whose texts are exceptions (m,), and these texts."""

    column: Column
    rows: npt.NDArray[np.int64]
    texts: list[bytes]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule(ABC):
    """How the texts of a column are numbers, categories or texts.

    Attributes
    ----------
    kind : str
        What the column has, in a word that people see.
    null : bytes or None
        The text of missing values; None if there are none.
    quoted : bool
        Whether all other cells are in quotes.
    """

    registry: ClassVar[dict[str, type[Rule]]] = {}
    entry: ClassVar[str]
    holds: ClassVar[type[Column]] = Numbers
    """What the cells become."""

    kind: str
    null: bytes | None = None
    quoted: bool = False

    def __init_subclass__(cls, *, entry: str | None = None) -> None:
        super().__init_subclass__()
        if entry is not None:
            cls.entry = entry
            Rule.registry[entry] = cls

    @abstractmethod
    def _read(self, cells: Cells) -> tuple[Column, Mask | None]:
        """Return cells without quotes as a column in which none is missing, and which cells it cannot express."""

    @abstractmethod
    def _write(self, column: Column) -> Cells:
        """Return the cells of a column, without quotes; those of missing values have any text."""

    def encode(self, cells: Cells, quote: int = -1) -> Encoded:
        """Return cells as a column, and the exceptions.

        Parameters
        ----------
        cells : Cells
            The cells of some rows, as they are in the file.
        quote : int
            The byte of quotes; -1: none.
        """
        missing = None if self.null is None else cells.equal(self.null)
        inner = without_quotes(cells, quote)[0] if self.quoted else cells
        column, wrong = self._read(inner)
        column = _with_missing(column, missing, wrong)
        differ = self._differ(cells, column, wrong, quote)
        if not differ.any():
            return Encoded(column, np.empty(0, np.int64), [])
        if not isinstance(column, Texts):
            column = _with_missing(column, missing, differ)
        rows = np.flatnonzero(differ)
        return Encoded(column, rows, cells.take(rows).texts())

    def _differ(self, cells: Cells, column: Column, wrong: Mask | None, quote: int) -> Mask:
        """Return which cells the column does not give back."""
        return cells.differ(self.decode(column, quote))

    def decode(self, column: Column, quote: int = -1) -> Cells:
        """Return the cells of a column, as they are in the file but for exceptions."""
        written = self._write(column)
        written = in_quotes(written, quote) if self.quoted else written
        missing = column.missing
        return written if missing is None or self.null is None else written.replaced(missing, self.null)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON values, without what it has by default."""
        shared = {"rule": self.entry, "kind": self.kind}
        null = {} if self.null is None else {"null": self.null.hex()}
        return shared | null | ({"quoted": True} if self.quoted else {}) | self._to_json()

    def _to_json(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_json(cls, values: dict[str, Any], dictionary: list[bytes]) -> Rule:
        """Return the rule of `to_json`; raises KeyError, TypeError or ValueError for other values.

        Parameters
        ----------
        values : dict
            As `to_json` has them.
        dictionary : list of bytes
            The categories, if the rule has some.
        """
        kind = Rule.registry[values["rule"]]
        null = None if values.get("null") is None else bytes.fromhex(values["null"])
        shared = {"kind": str(values["kind"]), "null": null, "quoted": bool(values.get("quoted", False))}
        return kind._from_json(values, dictionary, shared)

    @classmethod
    @abstractmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        """Return the rule; ``shared`` are the arguments that all rules have."""


def _with_missing(column: Column, missing: Mask | None, wrong: Mask | None) -> Column:
    """Return a column in which some are missing, or in no category of the dictionary."""
    if isinstance(column, Ids):
        values = column.values if wrong is None else np.where(wrong, column.n_known, column.values)
        return Ids(values, missing, column.n_known)
    if isinstance(column, Texts):
        return Texts(column.values, missing)
    both = missing if wrong is None else wrong if missing is None else missing | wrong
    return Numbers(column.values, both if both is not None and both.any() else None)


# ---------------------------------------------------------------------------------------------------------- numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Stepped(Rule):
    """Whole numbers, of which those that are coded are: number = start + step · coded.

    Attributes
    ----------
    start, step : int
        The smallest number, and the distance between numbers.
    bound : int
        How far a number may be from the one that is coded.
    """

    start: int = 0
    step: int = 1
    bound: int = 0

    @abstractmethod
    def whole(self, cells: Cells) -> tuple[npt.NDArray[np.int64], Mask]:
        """Return cells (n,) as whole numbers, and which of them are none."""

    @abstractmethod
    def written(self, values: npt.NDArray[np.int64]) -> Cells:
        """Return the cells of whole numbers (n,)."""

    def coded(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return whole numbers (n,) as those that are coded."""
        return np.floor_divide(values - self.start + self.bound, self.step)

    def within(self, bound: int, low: int) -> Self:
        """Return the rule with a bound on the difference of numbers, of which the smallest is given."""
        return replace(self, start=low, step=2 * bound + 1, bound=bound) if bound else self

    @property
    def units(self) -> float:
        """The number of units of one, or of one second."""
        return 1.0

    def numbers(self, column: Numbers) -> npt.NDArray[np.int64]:
        """Return the whole numbers (n,) of a column, with any in the place of missing ones."""
        return self.start + self.step * column.values

    def _read(self, cells: Cells) -> tuple[Column, Mask | None]:
        values, wrong = self.whole(cells)
        return Numbers(self.coded(values)), wrong

    def _differ(self, cells: Cells, column: Column, wrong: Mask | None, quote: int) -> Mask:
        if not self.bound:
            return super()._differ(cells, column, wrong, quote)
        present = wrong if self.null is None or wrong is None else wrong & ~cells.equal(self.null)
        return np.zeros(len(cells), bool) if present is None else present

    def _write(self, column: Column) -> Cells:
        assert isinstance(column, Numbers), "the column has numbers"
        return self.written(self.numbers(column))

    def fitted(self, values: npt.NDArray[np.int64]) -> Self:
        """Return the rule with the start and the step of whole numbers (n,)."""
        if not len(values) or self.bound:
            return self
        low, high = int(values.min()), int(values.max())
        if high - low >= 1 << 62:
            return self
        step = int(np.gcd.reduce(values - low)) or 1
        start = low % step if step > 1 else 0
        return replace(self, start=start, step=step)

    def _to_json(self) -> dict[str, Any]:
        given = {"start": self.start, "step": self.step, "bound": self.bound}
        return {name: value for name, value in given.items() if value != (name == "step")}

    @staticmethod
    def _steps(values: dict[str, Any]) -> dict[str, Any]:
        found = {name: int(values.get(name, name == "step")) for name in ("start", "step", "bound")}
        if not (-(1 << 63) <= found["start"] < 1 << 63 and 1 <= found["step"] < 1 << 62 and found["bound"] >= 0):
            raise ValueError("the steps of a column are out of range")
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberRule(Stepped, entry="number"):
    """Numbers with a point: whole numbers of units of 10^-digits.

    Attributes
    ----------
    digits : int
        Digits after the point, 0 to 18.
    least : int
        Zeros at the end are left out until so many digits after the point remain.
    width : int
        The smallest number of digits, with zeros at the start.
    """

    digits: int = 0
    least: int = 0
    width: int = 0

    @property
    def units(self) -> float:
        return 10.0**self.digits

    def whole(self, cells: Cells) -> tuple[npt.NDArray[np.int64], Mask]:
        read = kernels.numbers(*cells)
        more = self.digits - read.digits.astype(np.int64)
        factor = 10 ** np.clip(more, 0, kernels.MOST_DIGITS)
        wrong = (read.digits < 0) | (more < 0) | (np.abs(read.values) > (1 << 62) // factor)
        return np.where(wrong, 0, read.values * factor), wrong

    def written(self, values: npt.NDArray[np.int64]) -> Cells:
        return Cells.together(*kernels.write(values, self.digits, self.least, self.width))

    def _to_json(self) -> dict[str, Any]:
        given = {"digits": self.digits, "least": self.least, "width": self.width}
        return super()._to_json() | {name: value for name, value in given.items() if value}

    @classmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        digits, least, width = (int(values.get(name, 0)) for name in ("digits", "least", "width"))
        if not (0 <= least <= digits <= kernels.MOST_DIGITS and 0 <= width <= 20):
            raise ValueError("the digits of a column are out of range")
        return cls(digits=digits, least=least, width=width, **cls._steps(values), **shared)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatRule(Rule, entry="float"):
    """Floats, by the order of their bits; their texts are the shortest that are read as them."""

    def _read(self, cells: Cells) -> tuple[Column, Mask | None]:
        wrong = np.zeros(len(cells), bool)
        found = np.zeros(len(cells))
        for row, text in enumerate(cells.texts()):
            try:
                found[row] = float(text)
            except ValueError:
                wrong[row] = True
        return Numbers(ordered(found)), wrong

    def _write(self, column: Column) -> Cells:
        assert isinstance(column, Numbers), "the column has numbers"
        return Cells.of([repr(one).encode() for one in unordered(column.values).tolist()])

    @classmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        return cls(**shared)


def ordered(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return floats (n,) as integers that are in the same order."""
    bits = values.view(np.int64)
    return bits ^ ((bits >> 63) & np.int64((1 << 63) - 1))


def unordered(values: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the floats (n,) of `ordered`."""
    bits = values ^ ((values >> 63) & np.int64((1 << 63) - 1))
    return np.ascontiguousarray(bits).view(np.float64)


# -------------------------------------------------------------------------------------------- categories and texts


@dataclass(frozen=True, kw_only=True, eq=False)
class CategoryRule(Rule, entry="category"):
    """Categories: texts of a dictionary, as they are in the file.

    Attributes
    ----------
    dictionary : list of bytes
        The categories, all different.
    absent : bytes or None
        The category that stands for missing values. It is a category like others, since a coder then sees one column of
        decisions.
    """

    holds = Ids

    dictionary: list[bytes] = field(default_factory=list)
    absent: bytes | None = None

    def _read(self, cells: Cells) -> tuple[Column, Mask | None]:
        known = {text: number for number, text in enumerate(self.dictionary)}
        n_known = len(self.dictionary)
        found = kernels.ids(*cells, len(cells))
        assert found is not None, "there are at most as many categories as cells"
        numbered, firsts = found
        numbers = np.array([known.get(text, n_known) for text in cells.take(firsts).texts()], np.int64)
        values = numbers[numbered] if len(numbers) else numbered
        return Ids(values, None, n_known), None

    def _write(self, column: Column) -> Cells:
        assert isinstance(column, Ids), "the column has categories"
        cells = Cells.of([*self.dictionary, b""])
        return cells.take(np.clip(column.values, 0, len(self.dictionary)))

    def _to_json(self) -> dict[str, Any]:
        return {} if self.absent is None else {"absent": self.absent.hex()}

    @classmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        absent = None if values.get("absent") is None else bytes.fromhex(values["absent"])
        return cls(dictionary=dictionary, absent=absent, **shared)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextRule(Rule, entry="text"):
    """Identifiers and free text, as they are in the file but for the quotes around them."""

    holds = Texts

    def _read(self, cells: Cells) -> tuple[Column, Mask | None]:
        return Texts(cells.texts()), None

    def _write(self, column: Column) -> Cells:
        assert isinstance(column, Texts), "the column has texts"
        return Cells.of(column.values)

    @classmethod
    def _from_json(cls, values: dict[str, Any], dictionary: list[bytes], shared: dict[str, Any]) -> Self:
        return cls(**shared)
