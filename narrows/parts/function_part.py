"""Parts that are a function of a user: what those of all axes share."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from narrows.errors import InvalidParameterError
from narrows.parts.options import Constraint
from narrows.parts.user_code import check_arguments, check_registered, is_code, reference, registered

__all__ = ["Function", "FunctionPart"]


class Function(Constraint):
    """A function, or another object that can be called."""

    def accepts(self, value: object) -> bool:
        return is_code(value)

    def __str__(self) -> str:
        return "a function"


class FunctionPart:
    """A mix-in for the part of an axis that stands for functions of users; its only option is ``function``."""

    axis: ClassVar[str]
    name: ClassVar[str]
    code: ClassVar[str] = "a function"
    role: ClassVar[str]
    """What the function is, in errors."""
    function: Any

    @classmethod
    def stands_for(cls, value: object) -> bool:
        """Return whether a value is code of a user that the part can compute with."""
        return is_code(value)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the part of a function."""
        return cls(function=value)  # type: ignore[call-arg]

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Return the part of a registered function, whose name `to_json` has described."""
        if set(settings) != {"function"}:
            raise InvalidParameterError(f"A part of a user must have the entry 'function' alone. Got {settings!r}.")
        return cls.of(registered(settings["function"]))

    @property
    def label(self) -> str:
        """The name of the function for messages."""
        return reference(self.function).partition(":")[2]

    @property
    def title(self) -> str:
        """As `Part.title`: with the name of the function."""
        return f"the {self.role} {self.label}"

    def _check_arguments(self, names: str) -> None:
        """Refuse a function that does not take the arguments of these names, separated by commas."""
        check_arguments(self.function, names, self.title)

    def to_json(self) -> dict[str, Any]:
        """As `Part.to_json`; the function is described by its name."""
        return {"axis": self.axis, "name": self.name, "function": reference(self.function)}

    def check_savable(self) -> None:
        """As `Part.check_savable`."""
        check_registered(self.function, f"The {self.axis} of the model")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(function={reference(self.function)})"
