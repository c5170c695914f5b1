"""Archives of fields restore to what they restored to when they were made, with and without compiled kernels."""

import importlib.util
import json
from pathlib import Path

import pytest

import narrows
from narrows.archive import inspect, verify
from narrows.archive.chunks import chunk_block
from narrows.archive.field_chunks import read_block_values
from narrows.codec.residual.coded import Kind

pytestmark = pytest.mark.usefixtures("loops")

HERE = Path(__file__).parent
HASHES = json.loads((HERE / "fields" / "hashes.json").read_text())


def _make():
    spec = importlib.util.spec_from_file_location("narrows_golden_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


def kinds_of(path):
    with narrows.open_archive(path) as opened:
        metadata, field = opened.metadata, opened.items
        for number in range(field.n_blocks):
            offset, block, _ = chunk_block(opened._source, opened._index, number)
            yield read_block_values(opened._source, offset, block, metadata, field).kind


@pytest.mark.parametrize("name", sorted(HASHES))
def test_fields_restore_to_what_they_did(name):
    path = HERE / "fields" / name
    restored = narrows.restore(path)
    assert list(restored.shape) == HASHES[name]["shape"]
    assert make.sha256(restored) == HASHES[name]["restored"]
    assert verify(path).is_intact
    assert inspect(path).field is not None


def test_every_archive_has_a_hash():
    assert {path.name for path in (HERE / "fields").glob("*.narrows")} == set(HASHES)


def test_there_are_fields_of_several_kinds():
    kinds = {kind for name in HASHES for kind in kinds_of(HERE / "fields" / name)}
    assert Kind.INTERPOLATED in kinds
    assert kinds & {Kind.LINEAR, Kind.EXACT, Kind.PLAIN, Kind.ZSTD}
