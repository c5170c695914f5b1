"""Finds the rule of each column, by the cells of all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.csv_reader import MISSING
from narrows.data.tables import kernels
from narrows.data.tables.cells import Cells, without_quotes
from narrows.data.tables.moments import MomentRule, patterns_of
from narrows.data.tables.rules import CategoryRule, FloatRule, NumberRule, Rule, TextRule
from narrows.errors import InvalidParameterError, UnknownNameError

__all__ = ["KINDS", "MOST_CATEGORIES", "MOST_WRONG", "NULLS", "SKIP", "Findings", "check_kinds"]

MOST_CATEGORIES = 1 << 16
"""The largest number of categories of a column."""

KINDS = ("integer", "decimal", "float", "boolean", "date", "time", "datetime", "category", "identifier", "text")
"""What a column may have."""

SKIP = "skip"
"""What a column is said to have that is left out."""

MOST_WRONG = 0.02
"""The largest share of cells of a column that are unlike its kind, if it is found."""

NULLS = {text.encode() for text in MISSING} | {b'""', b'"NA"', b"?", b"-", b"\\N", b"NAN", b"NaT"}
"""Texts that stand for missing values."""

_BOOLEANS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_ASKED_BOOLEANS = (*_BOOLEANS, {"on", "off"}, {"1", "0"}, {"1.0", "0.0"})  # also these, in a column that is said to be
_ABSENT = {b"", b'""', b"NA", b'"NA"', b"N/A", b"NaN", b"nan", b"NULL", b"null", b"<NA>", b"\\N"}  # of categories
_LEAST_REPEATS = 3  # of a category, on average
_FEW = 64  # categories that need no repeats
_MOST_CATEGORY_BYTES = 1 << 22
_TRIED = 4096  # cells that dates and floats are tried on
_POWERS = 10 ** np.arange(kernels.MOST_DIGITS + 1, dtype=np.int64)
_FITS = 1 << 62


def check_kinds(kinds: Mapping[str, str], names: Sequence[str], source: str) -> None:
    """Check that what columns have is said of columns that there are, and that not all of them are left out.

    Raises
    ------
    UnknownNameError, InvalidParameterError
        If not.
    """
    for column in kinds:
        if column not in names:
            raise UnknownNameError(f"column of {source}", column, names)
    if all(kinds.get(name) == SKIP for name in names):
        raise InvalidParameterError(f"All columns of {source} are to be left out by 'columns' (--columns). Keep one.")


class Findings:
    """What is known of the cells of a column, piece by piece.

    Parameters
    ----------
    name : str
        Its name in messages.
    quote : int
        The byte of quotes; -1: none.
    """

    def __init__(self, name: str, quote: int) -> None:
        self.name, self.quote = name, quote
        self.n = self.n_quoted = 0
        self.counts: Counter[bytes] | None = Counter()  # of all different cells; None if there are too many
        self.some: list[bytes] = []  # of the first piece
        self.nulls: Counter[bytes] = Counter()  # of texts that stand for missing values
        self.by_digits = np.zeros(kernels.MOST_DIGITS + 1, np.int64)
        self.largest = np.zeros(kernels.MOST_DIGITS + 1, np.int64)  # of the numbers with so many digits
        self.zeros = np.zeros(kernels.MOST_DIGITS + 1, np.int64)  # of those that end with a zero after the point
        self.n_leading = 0
        self.whole_lengths: Counter[int] = Counter()  # of whole numbers

    def add(self, cells: Cells) -> None:
        """Take the cells of some further rows."""
        self.n += len(cells)
        inner, are_quoted = (
            without_quotes(cells, self.quote) if self.quote >= 0 else (cells, np.zeros(len(cells), bool))
        )
        self.n_quoted += int(are_quoted.sum())
        if not self.some:
            self.some = cells.take(_spread(len(cells), _TRIED)).texts()
        self._count(cells)
        self._add_numbers(inner)

    def _count(self, cells: Cells) -> None:
        found = kernels.ids(*cells, MOST_CATEGORIES)
        if found is None:
            self.counts = None
            self.nulls.update({text: int(cells.equal(text).sum()) for text in NULLS})
            return
        numbered, firsts = found
        times = np.bincount(numbered, minlength=len(firsts)).tolist()
        counted = dict(zip(cells.take(firsts).texts(), times, strict=True))
        self.nulls.update({text: counted[text] for text in NULLS if text in counted})
        if self.counts is not None:
            self.counts.update(counted)
            if len(self.counts) > MOST_CATEGORIES:
                self.counts = None

    def _add_numbers(self, inner: Cells) -> None:
        read = kernels.numbers(*inner)
        are = read.digits >= 0
        digits, styles = read.digits[are], read.styles[are]
        n = len(self.by_digits)
        self.by_digits += np.bincount(digits, minlength=n)
        np.maximum.at(self.largest, digits, np.abs(read.values[are]))
        self.zeros += np.bincount(digits[styles & kernels.TRAILING_ZERO > 0], minlength=n)
        self.n_leading += int(np.count_nonzero(styles & kernels.LEADING_ZERO))
        whole = are & (read.styles & kernels.HAS_POINT == 0)
        lengths = np.bincount(inner.lengths[whole] - (read.values[whole] < 0), minlength=1)
        self.whole_lengths.update({length: int(n) for length, n in enumerate(lengths) if n})

    # ------------------------------------------------------------------------------------------------------- rules

    def rule(self, kind: str | None = None, *, must_fit: bool = True) -> Rule:
        """Return the rule of the column.

        Parameters
        ----------
        kind : str, optional
            One of `KINDS`, if it is given; otherwise it is found.
        must_fit : bool
            Whether it is an error if no cell is of this kind; otherwise the rule is the one that is found then.

        Raises
        ------
        InvalidParameterError
            If no cell is of this kind.
        """
        if not self.n:
            return TextRule(kind=kind or "text")
        found = {rule.kind: rule for rule in self._possible()}
        usual = next(iter(found.values()))
        if kind is None or kind in found:
            return usual if kind is None else found[kind]
        rule = self._as_asked(kind, found)
        if rule is None and must_fit:
            raise self.refusal(kind)
        return rule or usual

    def _possible(self) -> list[Rule]:
        """Return the rules that fit nearly all cells, the best first."""
        null = self._null()
        n_missing = 0 if null is None else self.nulls[null]
        present = self.n - n_missing
        quoted = self.n_quoted - (n_missing if null is not None and null[:1] == b'"' else 0) > present / 2
        rules: list[Rule | None] = [self._number(null, present, quoted=quoted)] if present else []
        if rules and rules[0] is None:
            rules = [self._moment(null, quoted=quoted), self._float(null, quoted=quoted)]
        return [*(rule for rule in rules if rule is not None), *self._words(null)]

    def _null(self) -> bytes | None:
        """Return the text of missing values, as it is in the file; None if there are none."""
        known = {text: n for text, n in self.nulls.items() if n}
        return max(known, key=lambda text: (known[text], text)) if known else None

    def _number(self, null: bytes | None, present: int, *, quoted: bool) -> Rule | None:
        """Return the rule of numbers, if nearly all present cells are some."""
        used = np.flatnonzero(self.by_digits)
        if self.by_digits.sum() < present * (1 - MOST_WRONG) or not len(used):
            return None
        shared: dict[str, Any] = {"null": null, "quoted": quoted}
        digits = int(used[-1])
        fits = self.largest <= _FITS // _POWERS[np.maximum(digits - np.arange(len(self.largest)), 0)]
        while digits and self.by_digits[~fits].sum() > self.n * MOST_WRONG:
            digits = int(used[used < digits][-1]) if (used < digits).any() else 0
            fits = self.largest <= _FITS // _POWERS[np.maximum(digits - np.arange(len(self.largest)), 0)]
            fits[digits + 1 :] = False
        if self.by_digits[~fits].sum() > self.n * MOST_WRONG:
            return None
        if not digits:
            return self._integer(shared)
        n_shorter = np.cumsum(self.by_digits) - self.by_digits
        n_longer_zeros = self.zeros.sum() - np.cumsum(self.zeros)
        least = int(np.argmin((n_shorter + n_longer_zeros)[: digits + 1]))
        return NumberRule(kind="decimal", digits=digits, least=least, **shared)

    def _integer(self, shared: dict[str, Any]) -> Rule | None:
        if self.n_leading <= self.n * MOST_WRONG:
            return NumberRule(kind="integer", **shared)
        length, times = self.whole_lengths.most_common(1)[0]
        if times < sum(self.whole_lengths.values()) * (1 - MOST_WRONG):
            return None
        return NumberRule(kind="integer", width=length, **shared)

    def _moment(self, null: bytes | None, *, quoted: bool, asked: str | None = None) -> Rule | None:
        """Return the rule of dates or times, if nearly all cells are some of one pattern; if asked for, some."""
        cells = self._tried(null)
        inner = without_quotes(cells, self.quote)[0] if quoted else cells
        if not len(inner):
            return None
        patterns = {pattern for text in inner.take(_spread(len(inner), 16)).texts() for pattern in patterns_of(text)}
        best, fewest = None, len(cells) * (MOST_WRONG if asked is None else 1)
        for pattern in sorted(patterns):
            has_date, has_time = "Y" in pattern, "H" in pattern
            kind = "datetime" if has_date and has_time else "date" if has_date else "time"
            if asked not in {None, kind}:
                continue
            rule = MomentRule(kind=kind, pattern=pattern, null=null, quoted=quoted)
            n_wrong = len(rule.encode(cells, self.quote).rows)
            if n_wrong < fewest or (n_wrong == 0 and best is None):
                best, fewest = rule, n_wrong
        return best

    def _float(self, null: bytes | None, *, quoted: bool) -> Rule | None:
        cells = self._tried(null)
        rule = FloatRule(kind="float", null=null, quoted=quoted)
        return rule if len(cells) and len(rule.encode(cells, self.quote).rows) <= len(cells) * MOST_WRONG else None

    def _tried(self, null: bytes | None) -> Cells:
        """Return some of the cells that are not missing."""
        return Cells.of([text for text in self.some if text != null])

    def _words(self, null: bytes | None) -> list[Rule]:
        """Return the rules of categories and texts."""
        quoted = self.n_quoted > self.n / 2
        is_identifier = self.counts is None or len(self.counts) > self.n / 2
        text = TextRule(kind="identifier" if is_identifier and self._are_short() else "text", null=null, quoted=quoted)
        if self.counts is None:
            return [text]
        n = len(self.counts)
        category = self._categories(self._kind_of_words())
        are_many = n > _FEW and n * _LEAST_REPEATS > self.n
        if are_many or sum(map(len, self.counts)) > _MOST_CATEGORY_BYTES or n == self.n > 1:
            return [text, category]
        return [category, text]

    def _categories(self, kind: str) -> CategoryRule:
        assert self.counts is not None, "all different cells are known"
        absent = max(_ABSENT & self.counts.keys(), key=lambda text: (self.nulls[text], text), default=None)
        return CategoryRule(kind=kind, dictionary=sorted(self.counts), absent=absent)

    def _booleans(self) -> CategoryRule | None:
        """Return the rule of the pair of words that most cells are of; all others are exceptions. None without any."""
        counts = self.counts or Counter()
        pairs = [[text for text in counts if _plain(text) in pair] for pair in _ASKED_BOOLEANS]
        words = max(pairs, key=lambda texts: sum(counts[text] for text in texts))
        absent = max(_ABSENT & counts.keys(), key=lambda text: (self.nulls[text], text), default=None)
        dictionary = sorted([*words, *([] if absent is None else [absent])])
        return CategoryRule(kind="boolean", dictionary=dictionary, absent=absent) if words else None

    def _kind_of_words(self) -> str:
        assert self.counts is not None, "all different cells are known"
        words = {_plain(text) for text in self.counts if text not in NULLS}
        return "boolean" if any(words and words <= pair for pair in _BOOLEANS) else "category"

    def _are_short(self) -> bool:
        """Return whether cells are words, rather than sentences."""
        some = [text for text in self.some if text]
        return bool(some) and sum(b" " in text.strip(b'"') for text in some) < len(some) / 4

    def _as_asked(self, kind: str, found: dict[str, Rule]) -> Rule | None:
        """Return a rule of a kind that was not found; None if there is none."""
        if kind in {"text", "identifier"}:
            rule = next(rule for rule in found.values() if isinstance(rule, TextRule))
            return TextRule(kind=kind, null=rule.null, quoted=rule.quoted)
        shared: dict[str, Any] = {"kind": kind, "null": self._null(), "quoted": self.n_quoted > self.n / 2}
        if kind == "category":
            return None if self.counts is None else self._categories(kind)
        if kind == "boolean":
            return self._booleans()
        if kind == "float":
            return FloatRule(**shared)
        if kind in {"integer", "decimal"}:
            used = np.flatnonzero(self.by_digits) if kind == "decimal" else np.zeros(1, np.int64)
            return NumberRule(digits=int(used[-1]) if len(used) else 0, **shared)
        return self._moment(shared["null"], quoted=shared["quoted"], asked=kind)

    def refusal(self, kind: str, n: int = 0, n_present: int = 0) -> InvalidParameterError:
        """Return the error of a column that cannot be of a kind: n of the cells that are not missing are."""
        first = next((text.decode("latin-1") for text in self.some if text not in NULLS), "")
        why = f"it has texts such as {first!r:.60}"
        why += f", and {n or 'none'} of {n_present:,} cells {'is' if n < 2 else 'are'} {kind}" if n_present else ""
        if kind == "category" and self.counts is None:
            why = f"it has more than {MOST_CATEGORIES:,} different texts"
        return InvalidParameterError(
            f"The column {self.name!r} cannot be {kind} (--columns): {why}. By itself it is {self.rule().kind}."
        )


def _plain(text: bytes) -> str:
    """Return a cell without quotes, in small letters."""
    return text.strip(b'"').lower().decode("latin-1")


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """Return the numbers of at most so many of n things, spread over all."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.empty(0, np.int64)
