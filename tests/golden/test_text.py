"""Archives of texts restore to what they restored to when they were made, with and without compiled kernels."""

import importlib.util
import json
from pathlib import Path

import pytest

import narrows
from narrows.archive import inspect, verify

pytestmark = pytest.mark.usefixtures("loops")

HERE = Path(__file__).parent
HASHES = json.loads((HERE / "text" / "hashes.json").read_text())


def _make():
    spec = importlib.util.spec_from_file_location("narrows_golden_make_text", HERE / "make_text.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


@pytest.mark.parametrize("name", sorted(HASHES))
def test_texts_restore_to_what_they_did(name, loops):
    path = HERE / "text" / name
    texts = narrows.restore(path)
    assert make.hash_of_texts(texts) == HASHES[name]
    if loops == "compiled":  # what is said of the file does not depend on the loops
        assert verify(path).is_intact
    assert ("texts" in inspect(path).metadata["text"]) == name.startswith("lines")
    if "exact" in name:
        assert texts == make.ARCHIVES[path.stem][0]


def test_every_archive_has_a_hash():
    assert {path.name for path in (HERE / "text").glob("*.narrows")} == set(HASHES)
