"""A codec so small that archives of it can be made by the thousand; the fuzzer has it. And the fuzzer of models."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest


def _load(name):
    spec = importlib.util.spec_from_file_location(f"narrows_archive_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fuzz():
    """Return the module `fuzz.py`."""
    return _load("fuzz")


@pytest.fixture(scope="session")
def fuzz_models():
    """Return the module `fuzz_models.py`."""
    return _load("fuzz_models")


@pytest.fixture(scope="session")
def codec(fuzz):
    """Return a codec of records (4,) uint8 whose symbols are their values."""
    return fuzz.TinyCodec()


@pytest.fixture
def embedded(fuzz, codec, monkeypatch):
    """Let archives that carry `codec` be opened without a model."""
    monkeypatch.setattr("narrows.archive.models._parse", lambda blob: codec if blob == codec.blob else None)


@pytest.fixture(scope="session")
def records(fuzz):
    """Return 1,000 records that differ."""
    return fuzz.make_records(1000, seed=1)


@pytest.fixture
def make(tmp_path, fuzz, codec):
    """Return a function that writes an archive and returns its path."""

    def make(records, name="a.narrows", **options):
        return fuzz.make_archive(tmp_path / name, codec, np.asarray(records), **options)

    return make


@pytest.fixture(autouse=True)
def archives_of_codes(code_by_default):
    """Let `compress` store codes by default."""
