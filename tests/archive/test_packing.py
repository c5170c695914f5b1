"""Small archives of series are packed: they take few bytes besides their values, and are read as all others."""

import contextlib
import random

import numpy as np
import pytest

import narrows
from narrows.archive import inspect, open_archive, packing, verify
from narrows.archive.packing import MAGIC, PACKED, pack, unpack
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.sources import source_of
from narrows.errors import ArchiveError, CorruptArchiveError, NarrowsError

VALUES = np.round(np.cumsum(np.random.default_rng(0).normal(size=200)), 2) + 0.0


def write(path, *, n=200):
    values = np.resize(VALUES, n)
    times = Times(np.cumsum(np.random.default_rng(1).integers(1, 9, n)), "s", "when")
    series = WholeSeries(values, (n,), None, ("load",), times, decimals_of(values), {"kind": "csv", "styles": ["repr"]})
    narrows.compress(source_of(series, "s", "csv", window=16, stride=16), path, lossless=True, force=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "s.narrows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.archive.field_writer.MOST_PACKED_BYTES", 0)
        return write(path)


def test_a_small_archive_of_series_is_packed_and_stands_for_a_plain_one(plain, tmp_path):
    data = write(tmp_path / "s.narrows")
    assert data.startswith(PACKED)
    assert plain.startswith(MAGIC + b"\1")
    assert (unpack(data), pack(plain)) == (plain, data)
    assert len(data) < len(plain) - 250


def test_a_packed_archive_is_read_verified_and_described(tmp_path):
    path = tmp_path / "s.narrows"
    data = write(path)
    with open_archive(path) as archive:
        np.testing.assert_array_equal(archive[50:60], VALUES[50:60])
        assert archive.times is not None
    found = inspect(path)
    assert found.n_bytes == len(data)
    assert found.header_bytes + found.records_bytes + found.other_bytes == len(data)
    report = verify(path)
    assert report.is_intact
    assert report.n_bytes == len(data)


def test_large_archives_are_not_packed(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_WORTH", 2)
    assert not write(tmp_path / "s.narrows").startswith(PACKED)


def test_any_flipped_byte_and_any_end_is_an_error(tmp_path):
    path, rng = tmp_path / "s.narrows", random.Random(0)
    data = write(path)
    for at in {*range(8, 24), *(rng.randrange(8, len(data)) for _ in range(30))}:
        path.write_bytes(data[:at] + bytes((data[at] ^ 1 + rng.randrange(255),)) + data[at + 1 :])
        with pytest.raises(ArchiveError):
            narrows.restore(path)
        path.write_bytes(data[:at])
        with pytest.raises(ArchiveError):
            narrows.restore(path)


def test_the_error_of_a_damaged_one_says_so(tmp_path):
    path = tmp_path / "s.narrows"
    data = write(path)
    path.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    with pytest.raises(CorruptArchiveError, match="packed, and damaged"):
        narrows.restore(path)


def test_forged_ones_with_a_right_checksum_give_an_error_by_name(tmp_path):
    rng = random.Random(1)
    rest = write(tmp_path / "s.narrows")[16:]
    for _ in range(150):
        forged = bytearray(rest)
        for _ in range(rng.choice((1, 1, 3))):
            forged[rng.randrange(len(forged))] = rng.randrange(256)
        forged = forged[: rng.choice((len(forged), rng.randrange(1, len(forged))))]
        (tmp_path / "f.narrows").write_bytes(PACKED + packing.zlib.crc32(forged).to_bytes(4, "little") + forged)
        with contextlib.suppress(NarrowsError):
            narrows.restore(tmp_path / "f.narrows")
