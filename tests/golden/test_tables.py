"""Archives of tables restore to what they restored to when they were made, with and without compiled kernels."""

import importlib.util
import json
from pathlib import Path

import pytest

import narrows
from narrows.archive import open_archive, verify

HERE = Path(__file__).parent
HASHES = json.loads((HERE / "tables" / "hashes.json").read_text())


def _make():
    spec = importlib.util.spec_from_file_location("narrows_golden_make_tables", HERE / "make_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("name", sorted(HASHES))
def test_tables_restore_to_what_they_did(name):
    path = HERE / "tables" / name
    assert make.hash_of(path) == HASHES[name]


def test_the_same_file_and_the_same_table_come_back(tmp_path):
    assert verify(HERE / "tables" / "orders.narrows").is_intact
    out = narrows.restore(HERE / "tables" / "orders.narrows", out=tmp_path / "x.csv")
    assert out.read_text() == make.ORDERS
    files = {"text": make.TEXT, "packed": make.PACKED, "long-rows": make.TEXT}
    files |= {name: text.encode() for name, (text, _) in make.VERSIONS.items()}
    for name, data in files.items():
        out = narrows.restore(HERE / "tables" / f"{name}.narrows", out=tmp_path / "x.csv", force=True)
        assert out.read_bytes() == data
    pytest.importorskip("pyarrow")
    with open_archive(HERE / "tables" / "arrow.narrows") as archive:
        assert archive.to_arrow().drop(["odd"]).equals(make.arrow().drop(["odd"]))


def test_there_are_archives_of_every_version_of_the_coder():
    versions = {name: make.coder_version(HERE / "tables" / f"{name}.narrows") for name in ("orders", *make.VERSIONS)}
    with open_archive(HERE / "tables" / "long-rows.narrows") as archive:
        assert archive.metadata.more["long_rows"]
    assert versions == {"orders": 1, "lookup": 2, "long": 3, "both": 4}


def test_every_archive_has_a_hash():
    assert {path.name for path in (HERE / "tables").glob("*.narrows")} == set(HASHES)
