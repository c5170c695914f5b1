"""Writing: the same records make the same bytes, a file appears or grows whole or not at all."""

import errno
import os

import numpy as np
import pytest

from narrows.archive import Writer, inspect, open_archive, recover, verify
from narrows.archive import blocks as blocks_module
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataNotFoundError,
    InvalidParameterError,
    OutputError,
    OutputExistsError,
    ShapeMismatchError,
    WrongModelError,
)


def read(path, codec):
    with open_archive(path, model=codec) as archive:
        return archive.read()


def test_what_is_written_is_read(make, codec, records):
    path = make(records)
    np.testing.assert_array_equal(read(path, codec), records)
    assert verify(path, model=codec).is_intact
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("group_records", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 255, 256, 257, 300, 301])
def test_any_number_of_records_in_groups_of_any_size(make, codec, records, n, group_records):
    path = make(records[:n], group_records=group_records)
    assert inspect(path).metadata["group_records"] == group_records
    np.testing.assert_array_equal(read(path, codec), records[:n])
    assert verify(path, model=codec).is_intact


@pytest.mark.parametrize("group_records", [16, 256])
def test_portions_leave_no_trace(make, records, group_records):
    files = [
        make(records, name=f"{portion}.narrows", portion=portion, group_records=group_records)
        for portion in (1000, 301, 7)
    ]
    assert len({file.read_bytes() for file in files}) == 1


def test_the_caller_may_reuse_its_arrays(tmp_path, codec, records):
    symbols, restored = records[:10].astype(np.int32), records[:10].copy()
    with Writer(tmp_path / "a", codec, 0) as writer:
        writer.add(symbols, restored)
        symbols[:], restored[:] = 0, 0
    np.testing.assert_array_equal(read(tmp_path / "a", codec), records[:10])


def test_totals(tmp_path, codec, records, make):
    with Writer(tmp_path / "b", codec, 0) as writer:
        writer.add(records.astype(np.int32), records)
    assert (writer.n_records, writer.n_added, writer.n_bytes) == (1000, 1000, (tmp_path / "b").stat().st_size)
    with Writer(tmp_path / "b", codec, 0, append=True) as writer:
        writer.add(records[:5].astype(np.int32), records[:5])
    assert (writer.n_records, writer.n_added, writer.n_bytes) == (1005, 5, (tmp_path / "b").stat().st_size)


def test_metadata(tmp_path, codec):
    with Writer(tmp_path / "a", codec, 1, {"container": {"kind": "idx"}, "note": "ours"}):
        pass
    metadata = inspect(tmp_path / "a").metadata
    assert metadata["container"] == {"kind": "idx"}
    assert (metadata["note"], metadata["quality"], metadata["model"]) == ("ours", 1, codec.digest)


def test_an_exception_leaves_nothing(tmp_path, codec, records):
    def fail():
        with Writer(tmp_path / "a", codec, 0) as writer:
            writer.add(records.astype(np.int32), records)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_abort_leaves_nothing(tmp_path, codec, records):
    writer = Writer(tmp_path / "a", codec, 0, chunk_records=10)
    writer.add(records.astype(np.int32), records)
    writer.abort()
    writer.abort()
    writer.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidParameterError, match="closed"):
        writer.add(records.astype(np.int32), records)


def test_nothing_is_overwritten_unasked(make, codec, records):
    path = make(records[:10])
    with pytest.raises(OutputExistsError):
        make(records[:20])
    make(records[:20], force=True)
    assert len(read(path, codec)) == 20


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, codec, records, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(blocks_module.BlockWriter, "finish", full)
    with pytest.raises(OutputError, match="No space left"), Writer(tmp_path / "a", codec, 0) as writer:
        writer.add(records.astype(np.int32), records)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"symbols": np.zeros((3, 5), np.int32)}, ShapeMismatchError),
        ({"symbols": np.zeros((3, 4))}, ShapeMismatchError),
        ({"symbols": np.full((3, 4), 40_000)}, InvalidParameterError),
        *(
            ({"symbols": np.full((3, 4), far, np.int64)}, InvalidParameterError)
            for far in (32_768, -32_768, (1 << 32) + 5, -(1 << 32), (1 << 63) - 1, -(1 << 63))
        ),
        ({"symbols": np.full((3, 4), (1 << 64) - 1, np.uint64)}, InvalidParameterError),
        ({"restored": np.zeros((3, 5), np.uint8)}, ShapeMismatchError),
        ({"restored": np.zeros((3, 4), np.int8)}, ShapeMismatchError),
        ({"restored": np.zeros((2, 4), np.uint8)}, ShapeMismatchError),
        ({"names": ["a"]}, ShapeMismatchError),
        ({"names": ["a", "b", "../c"]}, InvalidParameterError),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, codec, change, error):
    good = {"symbols": np.zeros((3, 4), np.int32), "restored": np.zeros((3, 4), np.uint8)}
    with pytest.raises(error), Writer(tmp_path / "a", codec, 0) as writer:
        writer.add(**{**good, **change})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("far", [32_768, -32_768, (1 << 32) + 5, -(1 << 32)])
def test_symbols_beyond_what_can_be_coded_are_named(tmp_path, codec, far):
    symbols = np.zeros((3, 4), np.int64)
    symbols[1, 2] = far
    with Writer(tmp_path / "a", codec, 0) as writer:
        with pytest.raises(InvalidParameterError, match=rf"symbols must be within ±32,767\. Got .*{far:,}"):
            writer.add(symbols, np.zeros((3, 4), np.uint8))
        writer.add(symbols % 100, (symbols % 100).astype(np.uint8))
    assert len(read(tmp_path / "a", codec)) == 3


@pytest.mark.parametrize("group_records", [0, 3, 512, True, "64"])
def test_groups_of_other_sizes_are_refused(tmp_path, codec, group_records):
    with pytest.raises(CorruptArchiveError, match="'group_records' in its metadata is missing or not valid"):
        Writer(tmp_path / "a", codec, 0, group_records=group_records)
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_such_a_quality(tmp_path, codec):
    with pytest.raises(InvalidParameterError, match=r"'quality' must be from 0 to 1\. Got 2"):
        Writer(tmp_path / "a", codec, 2)


# -------------------------------------------------------------------------------------------------------- appending


def test_append(make, codec, records):
    path = make(records[:400], embed_model=True)
    before = path.read_bytes()
    make(records[400:], append=True)
    make(records[:7], append=True)
    assert path.read_bytes().startswith(before)
    np.testing.assert_array_equal(read(path, codec), np.concatenate([records, records[:7]]))
    report = verify(path, model=codec)
    assert report.is_intact
    assert report.n_records == 1007
    assert inspect(path).has_model


@pytest.mark.parametrize("group_records", [16, 64, 256])
def test_appending_keeps_the_size_of_groups(make, codec, records, group_records):
    path = make(records[:400], group_records=group_records)
    make(records[400:], append=True)
    assert inspect(path).metadata["group_records"] == group_records
    np.testing.assert_array_equal(read(path, codec), records)
    assert verify(path, model=codec).is_intact


def test_appending_nothing(make, codec, records):
    path = make(records[:400])
    make(records[:0], append=True)
    assert verify(path, model=codec).is_intact
    assert len(read(path, codec)) == 400


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_failed_append_leaves_what_was_there(make, codec, records, error):
    path = make(records[:400])
    before = path.read_bytes()

    def fail():
        with Writer(path, codec, 0, append=True) as writer:
            writer.add(records.astype(np.int32), records)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == before


def test_an_append_that_fails_at_the_end_leaves_what_was_there(make, codec, records, monkeypatch):
    path = make(records[:400])
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "no disk")))
    with pytest.raises(OutputError, match="no disk"), Writer(path, codec, 0, append=True) as writer:
        writer.add(records.astype(np.int32), records)
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_only_what_belongs_there_is_appended(make, codec, fuzz, records, tmp_path):
    path = make(records[:400])
    before = path.read_bytes()
    other = fuzz.TinyCodec(b"another")
    with pytest.raises(WrongModelError, match=f"{codec.digest[:12]}.*{other.digest[:12]}"):
        Writer(path, other, 0, append=True)
    with pytest.raises(ArchiveError, match=r"quality 0.*quality 1"):
        Writer(path, codec, 1, append=True)
    with pytest.raises(ArchiveError, match="does not contain its model"):
        Writer(path, codec, 0, append=True, embed_model=True)
    with pytest.raises(ArchiveError, match="'tiling' in its metadata is not valid"):
        Writer(path, codec, 0, {"tiling": {"tile": (2, 2)}}, append=True)
    with pytest.raises(DataNotFoundError):
        Writer(tmp_path / "none", codec, 0, append=True)
    with pytest.raises(ArchiveError, match="folder"):
        Writer(tmp_path, codec, 0, append=True)
    assert path.read_bytes() == before


def test_a_damaged_archive_is_not_appended_to(make, codec, records):
    path = make(records[:400])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArchiveError):
        Writer(path, codec, 0, append=True)


def test_one_at_a_time(make, codec, records):
    pytest.importorskip("fcntl")
    path = make(records[:400])
    with (
        Writer(path, codec, 0, append=True),
        pytest.raises(ArchiveError, match="Another process"),
        Writer(path, codec, 0, append=True),
    ):
        pass
    assert verify(path, model=codec).is_intact


@pytest.mark.filterwarnings("ignore:The end of:narrows.errors.DataWarning")
def test_an_append_cut_off_anywhere(make, codec, fuzz, records, tmp_path):
    """What a copy that ends too early leaves: the old archive, one that asks to be recovered, or the new one."""
    path = make(records[:400], chunk_records=100)
    n_old = path.stat().st_size
    make(records[400:], append=True)
    data = path.read_bytes()
    chunks = fuzz.blocks_of(data)[6:-1]  # after the four old ones, their INDEX block and the APPEND block
    index = fuzz.blocks_of(data)[-1][0]
    edges = {edge + near for block in [*chunks, (index, index + 32)] for edge in block for near in (-1, 0, 1)}
    for at in sorted(edges | {n_old, n_old + 1, (index + len(data)) // 2, len(data) - 1, len(data)}):
        path.write_bytes(data[:at])
        n_whole = 400 + 100 * sum(stop <= at for _, stop in chunks)
        if at <= n_old or at >= index + 32:
            expected = records[:400] if at <= n_old else records
            np.testing.assert_array_equal(read(path, codec), expected)
            if at in (n_old, len(data)):
                assert verify(path, model=codec).is_intact
                continue
        else:
            with pytest.raises(CorruptArchiveError, match=r"400 records was probably interrupted.*narrows recover"):
                open_archive(path, model=codec)
        with pytest.raises(CorruptArchiveError, match=r"no records can be appended.*narrows recover"):
            Writer(path, codec, 0, append=True)
        assert recover(path, tmp_path / "saved", model=codec, force=True).n_records == n_whole
        np.testing.assert_array_equal(read(tmp_path / "saved", codec), records[:n_whole])
        with Writer(tmp_path / "saved", codec, 0, append=True) as writer:
            writer.add(records[n_whole:].astype(np.int32), records[n_whole:])
        np.testing.assert_array_equal(read(tmp_path / "saved", codec), records)


def test_images_of_tiles_are_kept_in_one_chunk(tmp_path, codec):
    with Writer(tmp_path / "a", codec, 0) as writer:
        assert writer.metadata.chunk_records == 16384

    class Thirds:
        n_records = 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.archive.new_metadata.layout_of", lambda _: Thirds())
        with Writer(tmp_path / "b", codec, 0) as writer:
            assert writer.metadata.chunk_records == 16383
