"""A part: one link of the chain, as a value.

A part holds settings and nothing that is learned. It compares by value, its `repr` evaluates back to it, it turns into
JSON and back, and it has scikit-learn's ``get_params``, ``set_params`` and ``clone``. ``build(...)``, in the same file,
makes the `torch.nn.Module` that does the work, once the sizes of the data are known.

An axis is an abstract part; a concrete part registers its name on the axis it derives from::

    class Corruption(Part, axis="corruption"): ...

    class Masking(Corruption, name="masking"): ...

so that ``"masking"`` means `Masking()` wherever a corruption is expected.

An axis may have one part for code of users, functions or modules, which stands for every such value (`of_user`)::

    class CustomPenalty(Penalty, name="custom", of_user=True): ...
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import textwrap
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.parts.options import Constraint, check, option

__all__ = ["OneOf", "Part", "as_optional_part", "as_part", "split_nested"]


@dataclass_transform(kw_only_default=True, field_specifiers=(option,))
class Part:
    """Settings of one link of the chain; see the module's docstring."""

    axis: ClassVar[str]
    name: ClassVar[str]
    registry: ClassVar[dict[str, type[Any]]]
    user_part: ClassVar[type[Any] | None] = None
    """The part of the axis for code of users; None if the axis has none. It is not in the registry."""
    is_user_code: ClassVar[bool] = False
    """Whether the part computes with functions or modules of users, which may draw random numbers of PyTorch."""

    @property
    def title(self) -> str:
        """What errors call the part, within a sentence."""
        return f"the {self.axis}"

    def __init_subclass__(cls, *, axis: str | None = None, name: str | None = None, of_user: bool = False) -> None:
        super().__init_subclass__()
        if axis is not None:
            cls.axis, cls.registry = axis, {}
        if of_user:
            cls.is_user_code = True
            of_axis: Any = next(base for base in cls.__mro__ if "registry" in vars(base))
            of_axis.user_part = cls
        if name is not None:
            cls.name = name
            if not of_user:
                cls.registry[name] = cls
        doc = vars(cls).get("__doc__")
        dataclasses.dataclass(kw_only=True, repr=False)(cls)
        if doc is not None:
            cls.__doc__ = _with_options(doc, cls)

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        for field in _options(self):
            value = check(type(self).__name__, field.name, getattr(self, field.name), field.metadata["allowed"])
            setattr(self, field.name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name; with ``deep``, also those of parts inside, as ``outer__inner``."""
        params: dict[str, Any] = {}
        for field in _options(self):
            value = params[field.name] = getattr(self, field.name)
            if deep and isinstance(value, Part):
                params |= {f"{field.name}__{key}": inner for key, inner in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change settings in place, nested ones as ``outer__inner``.

        Raises
        ------
        UnknownNameError
            If there is no such setting; the nearest is suggested.
        InvalidParameterError
            If a value is not allowed. Nothing is changed in that case.
        """
        changed = copy.copy(self)
        known = [field.name for field in _options(self)]
        whole, nested = split_nested(params)
        for name in [*whole, *nested]:
            if name not in known:
                raise UnknownNameError(f"option of {type(self).__name__}", name, known)
        # Whole parts first, so that their settings apply to the new part; all at once, since some depend on each other.
        changed.__dict__.update(whole)
        changed._check()
        for outer, inner in nested.items():
            part = getattr(changed, outer)
            if not isinstance(part, Part):
                raise InvalidParameterError(
                    f"The '{outer}' of {type(self).__name__} is {part!r}, which has no options. "
                    f"Got '{outer}__{next(iter(inner))}'."
                )
            setattr(changed, outer, part.clone().set_params(**inner))
        self.__dict__.update(changed.__dict__)
        return self

    def clone(self) -> Self:
        """Return an equal part that shares nothing with this one."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        fields = _options(self)
        usual = {field.name: _default(field) for field in fields}
        changed = {field.name: getattr(self, field.name) for field in fields}
        shown = ", ".join(f"{name}={value!r}" for name, value in changed.items() if value != usual[name])
        return f"{type(self).__name__}({shown})"

    def __sklearn_clone__(self) -> Self:
        return self.clone()

    def to_json(self) -> dict[str, Any]:
        """Return the part as plain JSON values: its axis, its name and its settings."""
        settings = {key: _to_json(value) for key, value in self.get_params(deep=False).items()}
        return {"axis": self.axis, "name": self.name, **settings}

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> Self:
        """Return the part that `to_json` described.

        Raises
        ------
        InvalidParameterError
            If the description names no part of this axis, or an option that the part does not have or allow.
        """
        settings = dict(config)
        if settings.pop("axis", None) != cls.axis:
            raise InvalidParameterError(
                f"The description of a part must have the entry 'axis': '{cls.axis}'. Got {config!r}."
            )
        name = settings.pop("name", None)
        if cls.user_part is not None and name == cls.user_part.name:
            return cls.user_part.from_settings(settings)  # type: ignore[no-any-return]
        part = _look_up(cls, name)
        known = [field.name for field in _options(part)]
        for key in settings:
            if key not in known:
                raise UnknownNameError(f"option of {part.__name__}", key, known)
        return part(**settings)

    def check_savable(self) -> None:
        """Check that a model file can describe the part; all but those with code of users can be described.

        Raises
        ------
        InvalidParameterError
            If it cannot; says what to do.
        """


def split_nested(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the settings of the part itself, and those of the parts inside it by the part's name."""
    whole: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for key, value in params.items():
        outer, separator, inner = key.partition("__")
        if separator:
            nested.setdefault(outer, {})[inner] = value
        else:
            whole[outer] = value
    return whole, nested


AnyPart = TypeVar("AnyPart", bound=Part)


@dataclasses.dataclass(frozen=True)
class OneOf(Constraint):
    """A part of an axis, given as an object, by name, as `Part.to_json` describes it, or as code of a user."""

    part_axis: type[Part]

    def accepts(self, value: object) -> bool:
        user_part = self.part_axis.user_part
        return isinstance(value, (str, dict, self.part_axis)) or (user_part is not None and user_part.stands_for(value))

    def convert(self, value: Any) -> Any:
        return as_part(self.part_axis, value)

    def __str__(self) -> str:
        names = ", ".join(repr(name) for name in sorted(self.part_axis.registry))
        user_part = self.part_axis.user_part
        axis = self.part_axis.axis
        one = f"{'an' if axis[0] in 'aeiou' else 'a'} {axis}"
        values = f"or {one} object" if user_part is None else f"{one} object, or {user_part.code}"
        return f"{one} ({names}, {values})"


def as_part(axis: type[AnyPart], value: AnyPart | str | dict[str, Any]) -> AnyPart:
    """Return the part for a name, a JSON description, code of a user, or the part itself.

    Raises
    ------
    UnknownNameError
        If no part of the axis has that name; the nearest is suggested.
    InvalidParameterError
        If the value is neither a name nor a part of the axis.
    """
    if isinstance(value, axis):
        return value
    if isinstance(value, str):
        return _look_up(axis, value)()
    if isinstance(value, dict):
        return axis.from_json(value)
    if axis.user_part is not None and axis.user_part.stands_for(value):
        return axis.user_part.of(value)  # type: ignore[no-any-return]
    raise InvalidParameterError(f"The {axis.axis} must be {OneOf(axis)}. Got {value!r}.")


def as_optional_part(axis: type[AnyPart], value: AnyPart | str | dict[str, Any] | None) -> AnyPart | None:
    """Return what `as_part` does, or None for None."""
    return None if value is None else as_part(axis, value)


def _look_up(axis: type[AnyPart], name: object) -> type[AnyPart]:
    found = axis.registry.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnknownNameError(axis.axis, str(name), axis.registry)
    return found


def _options(part: Any) -> tuple[dataclasses.Field[Any], ...]:
    """Return the options that a part, or a class of parts, declares."""
    return dataclasses.fields(part)


def _with_options(doc: str, part: Any) -> str:
    """Return the docstring of a part with a section of its options, before the examples."""
    fields = _options(part)
    doc = inspect.cleandoc(doc)
    if not fields or "Parameters\n---" in doc:
        return doc
    described = []
    for field in fields:
        is_needed = field.default is field.default_factory is dataclasses.MISSING
        default = "" if is_needed else f", default {_default(field)!r}"
        described.append(f"{field.name} : {field.metadata['allowed']}{default}")
        meaning = field.metadata["meaning"]
        described.append(textwrap.indent(textwrap.fill(f"{meaning[:1].upper()}{meaning[1:]}.", 110), "    "))
    text = "\n".join(["Parameters", "----------", *described])
    before, heading, examples = doc.partition("\n\nExamples\n---")
    return f"{before}\n\n{text}{heading}{examples}"


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return an option's default as it is stored: a name becomes the part of that name."""
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return field.metadata["allowed"].convert(default)


def _to_json(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_json()
    return [_to_json(one) for one in value] if isinstance(value, tuple) else value
