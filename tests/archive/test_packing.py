"""Small archives of series and texts are packed: they take few bytes besides values, and are read as all others."""

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
        patch.setattr("narrows.archive.packing.MOST_PACKED_BYTES", 0)
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
    with pytest.raises(CorruptArchiveError, match="it is packed, and its checksum is wrong"):
        narrows.restore(path)


TEXTS = [f"{k % 9}:{k % 4} zoë" for k in range(40)]


@pytest.fixture(scope="module")
def byte_model():
    return narrows.ByteModel().fit(TEXTS)


@pytest.mark.parametrize("how", ["none", "model", "inside"])
def test_small_archives_of_texts_are_packed_and_stand_for_plain_ones(how, byte_model, tmp_path):
    path, settings = (
        tmp_path / "t.narrows",
        {} if how == "none" else {"model": byte_model, "embed_model": how == "inside"},
    )
    narrows.compress(TEXTS, path, **settings)
    data = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.archive.packing.MOST_PACKED_BYTES", 0)
        narrows.compress(TEXTS, path, force=True, **settings)
    plain = path.read_bytes()
    assert (unpack(data), pack(plain)) == (plain, data)
    assert len(data) < len(plain) - 350
    path.write_bytes(data)
    found, model = inspect(path), byte_model if how == "model" else None
    assert (
        found.header_bytes + found.model_bytes + found.records_bytes + found.other_bytes == found.n_bytes == len(data)
    )
    assert narrows.restore(path, model=model) == TEXTS
    with open_archive(path, model=model) as archive:
        assert archive[5] == TEXTS[5]
    assert verify(path, model=model).is_intact


def test_texts_of_several_chunks_are_not_packed(byte_model, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.byte_model_writer.text_chunk_records", lambda *_: 16)
    narrows.compress(TEXTS, tmp_path / "t.narrows", model=byte_model, chunk_records=16)
    assert not (tmp_path / "t.narrows").read_bytes().startswith(PACKED)


def test_a_packed_archive_can_be_appended_to(byte_model, tmp_path):
    path = tmp_path / "t.narrows"
    narrows.compress(TEXTS, path, model=byte_model)
    assert path.read_bytes().startswith(PACKED)
    narrows.compress(TEXTS[:3], path, model=byte_model, append=True)
    assert narrows.restore(path, model=byte_model) == [*TEXTS, *TEXTS[:3]]
    assert verify(path, model=byte_model).is_intact


def test_forged_ones_with_a_right_checksum_give_an_error_by_name(byte_model, tmp_path):
    rng = random.Random(1)
    narrows.compress(TEXTS, tmp_path / "t.narrows", model=byte_model, embed_model=True)
    of_series, of_texts = write(tmp_path / "s.narrows")[16:], (tmp_path / "t.narrows").read_bytes()[16:]
    for k in range(150):
        rest = of_texts if k % 3 == 0 else of_series
        forged = bytearray(rest)
        for _ in range(rng.choice((1, 1, 3))):
            forged[rng.randrange(len(forged))] = rng.randrange(256)
        forged = forged[: rng.choice((len(forged), rng.randrange(1, len(forged))))]
        (tmp_path / "f.narrows").write_bytes(PACKED + packing.zlib.crc32(forged).to_bytes(4, "little") + forged)
        with contextlib.suppress(NarrowsError):
            narrows.restore(tmp_path / "f.narrows")
