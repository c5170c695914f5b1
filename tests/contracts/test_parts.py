"""What holds of every part on every axis: a part is a value."""

import copy
import dataclasses
import json
from typing import ClassVar

import pytest
from sklearn.base import clone

from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.model.axes import AXES
from narrows.parts.part import as_part


class EveryAxis:
    registry: ClassVar = {f"{axis.axis}-{name}": part for axis in AXES.values() for name, part in axis.registry.items()}


AXIS = EveryAxis


def check_part(part):
    kind = type(part)
    described = part.to_json()
    assert kind.from_json(json.loads(json.dumps(described, allow_nan=False))) == part
    assert as_part(kind, described) == part
    names = {one.__name__: one for one in EveryAxis.registry.values()}
    assert eval(repr(part), names | {kind.__name__: kind}) == part  # two axes have a Gaussian

    params = part.get_params(deep=False)
    assert kind(**params) == part
    assert kind().set_params(**params) == part
    assert kind().set_params(**dict(reversed(part.get_params().items()))) == part

    for twin in (part.clone(), clone(part), copy.deepcopy(part)):
        assert twin == part
        assert type(twin) is kind
        assert twin is not part
        for mine, its in zip(part.get_params(deep=False).values(), twin.get_params(deep=False).values(), strict=True):
            assert mine is not its or not hasattr(mine, "get_params"), "a part inside is shared"

    assert part.name == kind.name
    assert kind.registry[kind.name] is kind
    assert part != "something else"
    for field in dataclasses.fields(kind):
        assert field.metadata["meaning"]
        assert str(field.metadata["allowed"])


def test_part(part):
    check_part(part)


def test_an_unknown_option_is_refused_and_the_nearest_suggested(settings):
    for part in settings:
        known = list(part.get_params(deep=False))
        before = part.clone()
        with pytest.raises(UnknownNameError, match=f"Unknown option of {type(part).__name__}: 'nonsense'"):
            part.set_params(nonsense=1)
        with pytest.raises(UnknownNameError, match="'nonsense'"):
            type(part).from_json({**part.to_json(), "nonsense": 1})
        for name in known:
            with pytest.raises(UnknownNameError, match=f"Did you mean '{name}'\\?"):
                part.set_params(**{f"{name}x": 1})
        assert part == before


def test_a_bad_value_changes_nothing_and_the_error_says_what_is_allowed(option):
    kind, name, variants = option
    part, before = variants[0].clone(), variants[0].clone()
    allowed = {field.name: field.metadata["allowed"] for field in dataclasses.fields(kind)}
    with pytest.raises(InvalidParameterError) as caught:
        part.set_params(**{**kind().get_params(deep=False), name: object})
    assert str(caught.value) == f"The '{name}' of {kind.__name__} must be {allowed[name]}. Got {object!r}."
    assert part == before


def test_another_axis_is_not_taken_for_this_one(settings):
    for part in settings:
        other = "network" if part.axis != "network" else "corruption"
        with pytest.raises(InvalidParameterError, match=f"must have the entry 'axis': '{part.axis}'"):
            type(part).from_json({**part.to_json(), "axis": other})
        with pytest.raises(InvalidParameterError, match=f"The {part.axis} must be an? {part.axis}"):
            as_part(type(part), 3)
