"""The module of a user, imported for one test; what it registers is forgotten afterwards."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from narrows.parts import user_code


@pytest.fixture
def mine(monkeypatch):
    monkeypatch.setattr(user_code, "_REGISTERED", {})
    spec = importlib.util.spec_from_file_location("mine", Path(__file__).with_name("user_code.py"))
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mine", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(60, 6, 5)).astype(np.float32)
