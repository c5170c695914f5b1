"""Every part there is, with several settings each: what the checks of an axis run over.

A test that takes ``part`` runs over all parts registered on the axis that its module names as ``AXIS``, so that a part
is tested the day it is imported. Settings are made from what its options allow. A test that takes ``settings`` gets all
parts of a class at once.
"""

import dataclasses
import importlib.util
import inspect
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from narrows.errors import InvalidParameterError
from narrows.parts.options import Boolean, Choice, Integer, Real, SequenceOf
from narrows.parts.part import OneOf


def sibling(name):
    """Return a module that lies beside this file and holds no tests."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)  # by its name pickles find it
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def cuda(request):
    """Provide a CUDA device: a fake one (see fake_device.py) and then, where there is a GPU, that.

    Returns None for a GPU. Tests that take the fixture as an argument ask what was copied: on the fake one only.
    """
    if getattr(request, "param", "fake") == "GPU":
        yield None
        return
    with sibling("fake_device").fake_cuda() as device:
        yield device


def allowed_values(allowed):
    """Return some values that an option may have: its bounds, what lies between, every choice."""
    match allowed:
        case Real(low=low, high=high):
            low, high = max(low, -0.5), min(high, max(low, 0) + 3)
            tried = [low, low + 0.3 * (high - low), low + 0.6 * (high - low), high]
            return [value for value in tried if allowed.accepts(value)]
        case Integer(low=low):
            return [low, low + 1, low + 4]
        case Choice(values=values):
            return list(values) if len(values) <= 5 else [values[0], values[len(values) // 2], values[-1]]
        case Boolean():
            return [False, True]
        case SequenceOf(each=each):
            some = allowed_values(each)
            return [value for value in ((), some[-1:], some[-2:]) if allowed.accepts(tuple(value))]
        case OneOf(part_axis=axis):
            return list(axis.registry)
    return [*allowed_values(allowed.first), *allowed_values(allowed.second)]


def one_change(part):
    """Return the settings of a class of parts that differ from the default in one option, by the option's name."""
    changed = {}
    for field in dataclasses.fields(part):
        for value in allowed_values(field.metadata["allowed"]):
            try:
                variant = part(**{field.name: value})
            except InvalidParameterError:  # an option that goes only with another
                continue
            if variant != part():
                changed.setdefault(field.name, []).append(variant)
    return changed


def numbers_between(part):
    """Return the settings of `one_change` whose number is neither the smallest nor the largest of its option."""
    numbers = {
        field.name for field in dataclasses.fields(part) if isinstance(field.metadata["allowed"], Real | Integer)
    }
    return [variant for name, variants in one_change(part).items() if name in numbers for variant in variants[1:-1]]


def pytest_generate_tests(metafunc):
    if "cuda" in metafunc.fixturenames and torch.cuda.is_available():
        asked = "cuda" in inspect.signature(metafunc.function).parameters
        metafunc.parametrize("cuda", ["fake"] if asked else ["fake", "GPU"], indirect=True)
    axis = getattr(metafunc.module, "AXIS", None)
    if axis is None:
        return
    kinds = list(axis.registry.values())
    if "part" in metafunc.fixturenames:
        parts = [part for kind in kinds for part in [kind(), *chain.from_iterable(one_change(kind).values())]]
        if getattr(metafunc.module, "NUMBERS_ARE_ALIKE", False):
            between = {repr(part) for kind in kinds for part in numbers_between(kind)}
            slow = pytest.mark.slow
            parts = [pytest.param(part, marks=slow) if repr(part) in between else part for part in parts]
        metafunc.parametrize("part", parts, ids=repr)
    if "settings" in metafunc.fixturenames:
        settings = [[kind(), *chain.from_iterable(one_change(kind).values())] for kind in kinds]
        metafunc.parametrize("settings", settings, ids=list(axis.registry))
    if "option" in metafunc.fixturenames:
        options = [(kind, name, variants) for kind in kinds for name, variants in one_change(kind).items()]
        metafunc.parametrize("option", options, ids=[f"{kind.name}-{name}" for kind, name, _ in options])
