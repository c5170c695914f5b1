"""The independent reader of tables, written from docs/format.md alone, reads what narrows writes."""

import importlib.util
import sys
from pathlib import Path

import pytest

import narrows
from narrows.archive.table_codec import table_in_file
from narrows.archive.table_training import train_table
from narrows.data.tables.opening import open_csv


def load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


load("bytes_decoder")
load("columns_decoder")
decoder = load("table_decoder")

PLAIN = b"n,price,word,when,note\r\n" + b"".join(
    b"%d,%d.%02d,%s,2024-01-%02dT05:%02d:00Z,text %d\r\n"
    % (i * 5, i % 7, i * 3 % 100, b"ab"[i % 2 :][:1], i + 1, i, i * 97)
    for i in range(20)
)
ODD = (
    b'\xef\xbb\xbf"id";"f";"d"\n'
    + b"".join(b'"%04d";%a;NA\n' % (i * 7, i / 7) for i in range(8))
    + b'"12";1e-05;31.12.2023\n"0013";;01.01.2024'
)


@pytest.mark.parametrize("data", [PLAIN, ODD], ids=["plain", "odd"])
def test_a_second_reader_gives_the_same_file(data, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.plain_table.MOST_TEXT", 0)
    (tmp_path / "x.csv").write_bytes(data)
    narrows.compress(tmp_path / "x.csv", tmp_path / "x.narrows")
    assert decoder.read(tmp_path / "x.narrows") == data


@pytest.mark.parametrize("data", [b"a,b\n1,2", PLAIN[: PLAIN.index(b"\r\n", 150)]], ids=["stored", "coded"])
def test_it_reads_tables_as_a_text(data, tmp_path):
    (tmp_path / "x.csv").write_bytes(data)
    narrows.compress(tmp_path / "x.csv", tmp_path / "x.narrows")
    assert decoder.read(tmp_path / "x.narrows") == data


def test_it_reads_long_texts(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.plain_table._MOST_BYTES", 60)
    data = PLAIN[: PLAIN.index(b"\r\n", 150)]
    (tmp_path / "x.csv").write_bytes(data)
    narrows.compress(tmp_path / "x.csv", tmp_path / "x.narrows")
    assert decoder.unpacked((tmp_path / "x.narrows").read_bytes())[0] == 1 << 12 | 1 << 15 | 1 << 19
    assert decoder.read(tmp_path / "x.narrows") == data


@pytest.mark.parametrize("name", ["lookup", "long", "both", "long-rows"])
def test_it_reads_every_version_of_the_coder(name, tmp_path):
    path = Path(__file__).parents[1] / "golden" / "tables" / f"{name}.narrows"
    assert decoder.read(path) == narrows.restore(path, out=tmp_path / "x.csv").read_bytes()


def test_it_reads_archives_of_another_tables_model(tmp_path):
    (tmp_path / "x.csv").write_bytes(PLAIN)
    train_table(open_csv(tmp_path / "x.csv"), tmp_path / "x.safetensors")
    other = b"word,n,note,when,price\nzz,7,new,2025-01-01T00:00:00Z,1.5\na,x,text 0,never,12.25\n"
    (tmp_path / "y.csv").write_bytes(other)
    narrows.compress(tmp_path / "y.csv", tmp_path / "y.narrows", model=tmp_path / "x.safetensors")
    assert decoder.read(tmp_path / "y.narrows", table_in_file(tmp_path / "x.safetensors").blob) == other
