"""Make the golden archives of tables of this format version: to be decoded for ever.

They are made once, by hand, as those of `make.py`. Without a flag nothing happens; it makes only what is not there::

    python tests/golden/make_tables.py --add
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from unittest import mock

from narrows.archive import open_archive
from narrows.archive.table_writer import compress_table
from narrows.codec.columns.fitting.lookups import find_lookup
from narrows.codec.columns.packing import take_signed_numbers
from narrows.codec.fields.leb128 import NumberReader
from narrows.data.tables.arrow_table import source_of_arrow
from narrows.data.tables.opening import open_csv
from narrows.records.columns import Texts

FOLDER = Path(__file__).parent / "tables"
HASHES = FOLDER / "hashes.json"
ORDERS = "id,when,country,price,share,note\n" + "".join(
    f"{i:04},2024-03-{i % 28 + 1:02} {i % 24:02}:30,{('Peru', 'Chile', 'NA')[i * i % 3]},"
    f"{'NA' if i % 11 == 5 else f'{i * 37 % 1000 / 100:.2f}'},{i / 7!r},n{i * 79 % 101}\n"
    for i in range(24)
).replace("0007,", "seven,", 1)
TEXT = b'\xef\xbb\xbfwhat;n\r\n"a ""b""";1\r\nPeru;x\r\nPeru;2.5'
"""Stored as a text, and as a long one."""
PACKED = b"n,square\n" + b"".join(b"%d,%d\n" % (i, i * i % 1000) for i in range(60))
"""Stored in columns, of one group, and packed."""
LOOKUP = "place,metres\n" + "".join(f"{i * i % 97},{(i * i % 97) ** 3 * 7919 % 1000003}\n" for i in range(300))
"""The second column is determined by the first: a lookup, in version 2 of the coder."""
LONG = "n,note\n" + "".join(f"{i * 13 % 101},{'much longer ' * (i % 3 > 1)}n{i}\n" for i in range(24))
"""Some texts are beyond a limit, in version 3."""
BOTH = "".join(f"{row},{'much longer ' * (i % 3 > 1)}n{i}\n" for i, row in enumerate(LOOKUP.splitlines()[:80]))
"""Both, in version 4."""
VERSIONS = {"lookup": (LOOKUP, 2), "long": (LONG, 3), "both": (BOTH, 4)}


def free_lookup(*arguments: object) -> object:
    """Return a lookup that is taken, since it takes no bits: small tables have none otherwise."""
    found = find_lookup(*arguments)  # type: ignore[arg-type]
    return found and (found[0], 0)


def coder_version(path: Path) -> int:
    """Return the version of the coder of rows in an archive."""
    with open_archive(path) as archive:
        return take_signed_numbers(NumberReader(archive.table.coder.to_bytes()), 1 << 20)[0]


def hash_of(path: Path) -> str:
    """Return a hash of the columns that are restored, and their exceptions."""
    digest = hashlib.sha256()
    with open_archive(path) as archive:
        for group in archive.groups():
            for one in group.columns:
                column = one.column
                missing = [False] * len(group) if column.missing is None else column.missing.tolist()
                values = column.values if isinstance(column, Texts) else column.values.tolist()
                kept = [None if gone else value for value, gone in zip(values, missing, strict=True)]
                digest.update(repr((kept, one.rows.tolist(), one.texts)).encode())
    return digest.hexdigest()


def arrow() -> object:
    """Return a table of Arrow."""
    import pyarrow as pa

    return pa.table(
        {
            "whole": pa.array([1, None, 3] * 10, pa.int16()),
            "single": pa.array([i / 3 for i in range(30)], pa.float32()),
            "odd": [0.5, -0.0, float("nan")] * 10,
            "word": pa.array(["x", None, "y"] * 10).dictionary_encode(),
            "moment": pa.array(range(30), pa.timestamp("ms")),
        }
    )


def add() -> None:
    """Write those archives that are not there yet, and their hashes."""
    FOLDER.mkdir(exist_ok=True)
    described = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    file = FOLDER / "orders.csv"
    file.write_text(ORDERS)
    with mock.patch("narrows.archive.table_writer._GROUP_BYTES", 16 * 50):
        for name, source in (("orders", open_csv(file, "orders.csv")), ("arrow", source_of_arrow(arrow(), "arrow"))):
            path = FOLDER / f"{name}.narrows"
            if not path.exists():
                compress_table(source, path)
                described[path.name] = hash_of(path)
    for name, data, most in (("text", TEXT, 1 << 15), ("packed", PACKED, 0)):
        path = FOLDER / f"{name}.narrows"
        if not path.exists():
            file.write_bytes(data)
            with mock.patch("narrows.archive.plain_table.MOST_TEXT", most):
                compress_table(open_csv(file, "x.csv"), path)
            described[path.name] = hash_of(path)
    for name, (data, _) in VERSIONS.items():
        path = FOLDER / f"{name}.narrows"
        if not path.exists():
            file.write_text(data)
            long = mock.patch("narrows.codec.columns.texts._LONG", 12)
            pays = mock.patch("narrows.codec.columns.fitting.fit.find_lookup", free_lookup)
            least = mock.patch("narrows.codec.columns.fitting.fit._LEAST_LOOKUP_BITS", 1)
            with mock.patch("narrows.archive.plain_table.MOST_TEXT", 0), long, pays, least:
                compress_table(open_csv(file, "x.csv"), path)
            described[path.name] = hash_of(path)
    path = FOLDER / "long-rows.narrows"
    if not path.exists():
        file.write_bytes(TEXT)
        with mock.patch("narrows.archive.plain_table._MOST_BYTES", 10):
            compress_table(open_csv(file, "x.csv"), path)
        described[path.name] = hash_of(path)
    file.unlink()
    HASHES.write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", action="store_true", help="make the archives that are not there")
    if parser.parse_args().add:
        add()
