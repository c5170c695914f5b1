"""The allowed values of a part's options, and the errors for other values.

An option declares its default, its allowed values and its meaning in one place, at its field::

    level: float = option(Real(0, 1), "probability that a value is set to zero", default=0.3)

The checks, the error messages and the help of the command line are derived from this declaration.
"""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from numbers import Real as RealNumber
from typing import Any

from narrows.errors import InvalidParameterError
from narrows.parts.typed import parse_value

__all__ = [
    "Boolean",
    "Choice",
    "Constraint",
    "Integer",
    "Real",
    "SequenceOf",
    "Size",
    "Text",
    "check",
    "option",
    "optional",
]


class Constraint(ABC):
    """A set of values that an option may have."""

    @property
    def metavar(self) -> str:
        """The word that stands for a value in the help of the command line."""
        return "VALUE"

    @abstractmethod
    def accepts(self, value: object) -> bool:
        """Return whether the option may have this value."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the name of the set of values, as it follows 'must be'."""

    def convert(self, value: Any) -> Any:
        """Return an accepted value in the form in which it is stored."""
        return value

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for."""
        return parse_value(text)

    def __or__(self, other: Constraint) -> Constraint:
        """Allow the values of both sets."""
        return _Either(self, other)


@dataclasses.dataclass(frozen=True)
class Real(Constraint):
    """A finite number from ``low`` to ``high``; ``open_low`` and ``open_high`` exclude the bounds."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def accepts(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, RealNumber):
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        above = self.low < number if self.open_low else self.low <= number
        below = number < self.high if self.open_high else number <= self.high
        return above and below and math.isfinite(number)

    def convert(self, value: Any) -> Any:
        return float(value)

    def __str__(self) -> str:
        low = f"{'>' if self.open_low else '≥'} {self.low:g}" if self.low > -math.inf else ""
        high = f"{'<' if self.open_high else '≤'} {self.high:g}" if self.high < math.inf else ""
        return " and ".join(["a number", *filter(None, [low, high])]).replace("number and", "number", 1)


@dataclasses.dataclass(frozen=True)
class Integer(Constraint):
    """A whole number from ``low`` to ``high``."""

    low: int = 1
    high: float = math.inf

    def accepts(self, value: object) -> bool:
        return type(value) is not bool and isinstance(value, Integral) and self.low <= int(value) <= self.high

    def convert(self, value: Any) -> Any:
        return int(value)

    def __str__(self) -> str:
        return f"a whole number ≥ {self.low}" + (f" and ≤ {self.high}" if self.high < math.inf else "")


@dataclasses.dataclass(frozen=True)
class Choice(Constraint):
    """One of a few named values."""

    values: tuple[object, ...]

    def __init__(self, *values: object) -> None:
        object.__setattr__(self, "values", values)

    @property
    def metavar(self) -> str:
        return "|".join(map(str, self.values))

    def accepts(self, value: object) -> bool:
        return any(value is allowed or (type(value) is type(allowed) and value == allowed) for allowed in self.values)

    def __str__(self) -> str:
        named = [repr(value) for value in self.values]
        return named[0] if len(named) == 1 else f"one of {', '.join(named)}"


@dataclasses.dataclass(frozen=True)
class Spelling(Choice):
    """One of a few names, of which some may be spelled in another way."""

    others: tuple[tuple[str, str], ...] = ()

    def __init__(self, *values: str, **others: str) -> None:
        super().__init__(*values)
        object.__setattr__(self, "others", tuple(others.items()))

    def accepts(self, value: object) -> bool:
        return super().accepts(value) or any(value == other for other, _ in self.others)

    def convert(self, value: Any) -> Any:
        return dict(self.others).get(value, value)


@dataclasses.dataclass(frozen=True)
class Boolean(Constraint):
    """True or False."""

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "True or False"


@dataclasses.dataclass(frozen=True)
class SequenceOf(Constraint):
    """A sequence of allowed values; a single value is a sequence of one."""

    each: Constraint
    shortest: int = 0

    def accepts(self, value: object) -> bool:
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        return len(values) >= self.shortest and all(self.each.accepts(one) for one in values)

    def convert(self, value: Any) -> Any:
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        return tuple(self.each.convert(one) for one in values)

    def __str__(self) -> str:
        return f"a sequence, each {self.each}" + (f", at least {self.shortest} of them" if self.shortest else "")


@dataclasses.dataclass(frozen=True)
class Text(Constraint):
    """A text."""

    @property
    def metavar(self) -> str:
        return "NAME"

    def accepts(self, value: object) -> bool:
        return isinstance(value, str)

    def parse(self, text: str) -> str:
        return text

    def __str__(self) -> str:
        return "a text"


@dataclasses.dataclass(frozen=True)
class Size(Constraint):
    """The height and width of an image in pixels."""

    @property
    def metavar(self) -> str:
        return "HxW"

    def accepts(self, value: object) -> bool:
        is_pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
        return is_pair and all(Integer(1).accepts(side) for side in value)  # type: ignore[attr-defined]

    def convert(self, value: Any) -> tuple[int, int]:
        return int(value[0]), int(value[1])

    def parse(self, text: str) -> tuple[int, int]:
        """Return the height and width in a text such as "28x28".

        Raises
        ------
        InvalidParameterError
            If the text has another form, or a number is zero.

        Examples
        --------
        >>> Size().parse("28x32")
        (28, 32)
        """
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*", text)
        size = (0, 0) if match is None else (int(match[1]), int(match[2]))
        if not self.accepts(size):
            raise InvalidParameterError(
                f"A size must have the form HEIGHTxWIDTH, in pixels, for example 28x28. Got {text!r}."
            )
        return size

    def __str__(self) -> str:
        return "a pair (height, width) of whole numbers ≥ 1"


@dataclasses.dataclass(frozen=True)
class _Either(Constraint):
    first: Constraint
    second: Constraint

    @property
    def metavar(self) -> str:
        return self.first.metavar

    def parse(self, text: str) -> Any:
        return self.first.parse(text)

    def accepts(self, value: object) -> bool:
        return self.first.accepts(value) or self.second.accepts(value)

    def convert(self, value: Any) -> Any:
        return self.first.convert(value) if self.first.accepts(value) else self.second.convert(value)

    def __str__(self) -> str:
        return f"{self.first} or {self.second}"


def optional(allowed: Constraint) -> Constraint:
    """Allow None in addition."""
    return allowed | Choice(None)


def option(
    allowed: Constraint, meaning: str, *, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING
) -> Any:
    """Declare an option of a part: a dataclass field with its allowed values, its meaning and its default.

    If the default is itself a part, ``factory`` makes a new one for each owner.
    """
    described = {"allowed": allowed, "meaning": meaning}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, metadata=described)
    return dataclasses.field(default=default, metadata=described)


def check(owner: str, name: str, value: Any, allowed: Constraint) -> Any:
    """Return the value as it is stored.

    Raises
    ------
    InvalidParameterError
        If the value is not allowed; the message names option, owner, allowed values and the value given.
    """
    if not allowed.accepts(value):
        raise InvalidParameterError(f"The '{name}' of {owner} must be {allowed}. Got {value!r}.")
    return allowed.convert(value)
