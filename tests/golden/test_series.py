"""Archives of series restore to what they restored to when they were made, with and without compiled kernels."""

import importlib.util
import json
from pathlib import Path

import pytest

from narrows.archive import inspect, verify

pytestmark = pytest.mark.usefixtures("loops")

HERE = Path(__file__).parent
HASHES = json.loads((HERE / "series" / "hashes.json").read_text())


def _make():
    spec = importlib.util.spec_from_file_location("narrows_golden_make_series", HERE / "make_series.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


@pytest.mark.parametrize("name", sorted(HASHES))
def test_series_restore_to_what_they_did(name):
    path = HERE / "series" / name
    assert make.hashes_of(path) == HASHES[name]
    assert verify(path).is_intact
    assert ("windows" in inspect(path).metadata) == name.startswith("windows")


def test_every_archive_has_a_hash():
    assert {path.name for path in (HERE / "series").glob("*.narrows")} == set(HASHES)
