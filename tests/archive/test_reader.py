"""Reading: as an array, and no more of the file than is asked for."""

import subprocess
import sys
import time

import numpy as np
import pytest

from narrows.archive import Archive, inspect, open_archive
from narrows.archive.byte_file import ByteFile
from narrows.archive.layouts import Whole
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataNotFoundError,
    DataWarning,
    InvalidParameterError,
    ModelFileError,
    NotFreezableError,
    WrongModelError,
)


@pytest.fixture
def archive(make, codec, records):
    with open_archive(make(records), model=codec) as archive:
        yield archive


def test_what_it_is(archive):
    assert isinstance(archive, Archive)
    assert (len(archive), archive.shape, archive.dtype) == (1000, (1000, 4), np.uint8)
    assert repr(archive).endswith("(1000, 4) uint8>")


@pytest.mark.parametrize("index", [True, np.True_, [1, 2], None, 1.5])
def test_what_is_no_index_is_refused_with_how_to_read_several(archive, index):
    with pytest.raises(TypeError, match=r"integer or a slice; archive\.read\(\[1, 5\]\) returns a list"):
        archive[index]


def test_a_closed_archive_says_so(make, codec, records):
    with open_archive(make(records), model=codec) as archive:
        pass
    with pytest.raises(ArchiveError, match=r"is closed\. Open it again"):
        archive[1]


@pytest.mark.parametrize("index", [0, 5, 255, 256, 299, 300, 999, -1, -1000, np.int64(7)])
def test_one_record(archive, records, index):
    np.testing.assert_array_equal(archive[index], records[index])


def test_one_record_is_a_copy(archive, records):
    archive[5][:] = 0
    np.testing.assert_array_equal(archive[5], records[5])


@pytest.mark.parametrize(
    "chosen",
    [
        *(slice(100, 200), slice(250, 650), slice(None), slice(5, 5), slice(-10, None), slice(299, 301)),
        *(slice(None, None, 7), slice(None, None, 301), slice(None, None, -1), slice(700, 3, -150), slice(2, 900, 299)),
    ],
)
def test_slices(archive, records, chosen):
    found = archive[chosen]
    np.testing.assert_array_equal(found, records[chosen])
    assert (found.dtype, found.shape) == (records.dtype, records[chosen].shape)


def test_iteration(archive, records):
    np.testing.assert_array_equal(np.stack(list(archive)), records)
    pieces = list(archive.pieces())
    assert [len(piece) for piece in pieces] == [300, 300, 300, 100]
    np.testing.assert_array_equal(np.concatenate(pieces), records)


@pytest.mark.parametrize("index", [1000, -1001, 1 << 70])
def test_there_is_no_such_record(archive, index):
    with pytest.raises(IndexError, match="1,000 items"):
        archive[index]


@pytest.mark.parametrize("items", [range(990, 1001), range(-5, 0), range(-5, 3), range(3, -6, -4)])
def test_there_are_no_such_records(archive, items):
    for asked in (archive.read, archive.names, lambda items: list(archive.pieces(items))):
        with pytest.raises(IndexError, match="1,000 items"):
            asked(items)


@pytest.mark.parametrize("index", ["5", 5.0, None, (1, 2)])
def test_what_is_no_index(archive, index):
    with pytest.raises(TypeError, match="integer or a slice"):
        archive[index]


def test_only_what_is_needed_is_read_and_decoded(make, codec, records, monkeypatch):
    path = make(np.tile(records, (5, 1)), chunk_records=1000)
    reads, decoded = [], []
    read, decode = ByteFile.read, codec.decode
    monkeypatch.setattr(ByteFile, "read", lambda self, offset, n: (reads.append(n), read(self, offset, n))[1])
    monkeypatch.setattr(
        codec, "decode", lambda symbols, quality: (decoded.append(len(symbols)), decode(symbols, quality))[1]
    )
    with open_archive(path, model=codec) as archive:
        assert sum(reads) < 1000
        reads.clear()
        np.testing.assert_array_equal(archive[3300], records[300])
        assert sum(reads) < path.stat().st_size / 4
        assert decoded == [256]
        reads.clear()
        np.testing.assert_array_equal(archive[3400], records[400])
        assert (reads, decoded) == ([], [256])
        np.testing.assert_array_equal(archive[3500:3600], records[500:600])
        assert (reads, decoded) == ([], [256, 512])


@pytest.mark.parametrize("group_records", [16, 64])
def test_of_small_groups_one_is_decoded(make, codec, records, monkeypatch, group_records):
    path = make(records, chunk_records=1000, group_records=group_records)
    decoded, decode = [], codec.decode
    monkeypatch.setattr(
        codec, "decode", lambda symbols, quality: (decoded.append(len(symbols)), decode(symbols, quality))[1]
    )
    with open_archive(path, model=codec) as archive:
        np.testing.assert_array_equal(archive[500], records[500])
        np.testing.assert_array_equal(archive[500 - 500 % group_records], records[500 - 500 % group_records])
        assert decoded == [group_records]
        np.testing.assert_array_equal(archive[999], records[999])
        assert decoded == [group_records, 1000 % group_records]
        decoded.clear()
        np.testing.assert_array_equal(archive[-1::-70], records[-1::-70])
        assert len(decoded) == 15
        assert set(decoded) == {group_records, 1000 % group_records}


def test_damage_in_one_chunk_leaves_the_others(make, codec, records, fuzz):
    path = make(records)
    data = bytearray(path.read_bytes())
    start, stop = fuzz.blocks_of(bytes(data))[1]
    data[(start + stop) // 2] ^= 1
    path.write_bytes(data)
    with open_archive(path, model=codec) as archive:
        np.testing.assert_array_equal(archive[:300], records[:300])
        np.testing.assert_array_equal(archive[600:], records[600:])
        with pytest.raises(CorruptArchiveError, match="records 300 to 599 is damaged"):
            archive[450]
        with pytest.raises(CorruptArchiveError, match=str(path)):
            archive.read()


def test_names(make, codec, records):
    names = [f"f{i % 3}/{i}.png" for i in range(400)]
    path = make(records[:400], names=names)
    make(records[400:], append=True)
    with open_archive(path, model=codec) as archive:
        assert archive.names() == names + [""] * 600
        assert archive.names(range(398, 402)) == [*names[398:], "", ""]
        assert archive.names(range(10, 0, -5)) == [names[10], names[5]]


def test_items_of_several_records(make, codec, records, monkeypatch):
    class Pairs(Whole):
        n_records = 2

        def assemble(self, records):
            return records.reshape(-1, *self.shape)

    monkeypatch.setattr("narrows.archive.reader.layout_of", lambda _: Pairs((8,)))
    pairs = records.reshape(500, 8)
    with open_archive(make(records, chunk_records=301), model=codec) as archive:
        assert archive.shape == (500, 8)
        np.testing.assert_array_equal(archive[:], pairs)
        np.testing.assert_array_equal(archive[150], pairs[150])
        np.testing.assert_array_equal(archive[300:100:-7], pairs[300:100:-7])
        np.testing.assert_array_equal(np.stack(list(archive)), pairs)
    with pytest.raises(CorruptArchiveError, match="not a multiple of the 2 of an image"):
        open_archive(make(records[:7], name="odd"), model=codec)


# ---------------------------------------------------------------------------------------------------------- opening


def test_the_index_is_made_anew(make, codec, records, fuzz):
    path = make(records, embed_model=True)
    make(records[:50], append=True)
    data, expected = path.read_bytes(), np.concatenate([records, records[:50]])
    (start, _) = fuzz.blocks_of(data)[-1]
    for damaged in (
        data[:-1],  # the trailer cut
        data[:-28],  # the trailer missing
        data[: start + 40],  # the index cut
        data[:start] + bytes(40) + data[start + 40 :],  # the index overwritten
        data[: start + 60] + b"\xff" + data[start + 61 :],  # one of its bytes
    ):
        path.write_bytes(damaged)
        with pytest.warns(DataWarning, match=r"The end of .* confirm 1,050 records.*recover"):
            archive = open_archive(path, model=codec)
        with archive:
            np.testing.assert_array_equal(archive.read(), expected)
        with pytest.warns(DataWarning, match="The end of"):
            assert inspect(path).n_records == 1050


def test_a_file_cut_between_chunks_is_never_taken_for_a_whole_one(make, codec, records, fuzz):
    path = make(records)
    data = path.read_bytes()
    for start, stop in fuzz.blocks_of(data)[:-1]:
        for at in (start, stop, stop - 1):
            path.write_bytes(data[:at])
            with pytest.raises(CorruptArchiveError, match="recover"):
                open_archive(path, model=codec)


def test_opening_what_is_no_archive(tmp_path, codec):
    with pytest.raises(DataNotFoundError, match=r"no file .*none"):
        open_archive(tmp_path / "none", model=codec)
    with pytest.raises(ArchiveError, match="folder"):
        open_archive(tmp_path, model=codec)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + bytes(100))
    with pytest.raises(ArchiveError, match=r"a\.npy cannot be used: it is a \.npy file, not an archive\."):
        open_archive(tmp_path / "a.npy", model=codec)
    (tmp_path / "empty").touch()
    with pytest.raises(ArchiveError, match="empty"):
        open_archive(tmp_path / "empty", model=codec)


def test_models(make, codec, fuzz, records, embedded):
    bare, whole = make(records, name="bare"), make(records, name="whole", embed_model=True)
    assert (inspect(bare).has_model, inspect(whole).has_model) == (False, True)

    class Fitted:
        codec_ = codec

    class Unfrozen:
        @property
        def codec_(self):
            raise NotFreezableError("its pooling remembers where.")

    for path, model in ((bare, codec), (bare, Fitted()), (whole, None), (whole, codec)):
        with open_archive(path, model=model) as archive:
            np.testing.assert_array_equal(archive.read(), records)
    other = fuzz.TinyCodec(b"another")
    with pytest.raises(ArchiveError, match=rf"does not contain its model.*{codec.digest[:12]}"):
        open_archive(bare)
    with pytest.raises(WrongModelError, match=f"{codec.digest[:12]}.*{other.digest[:12]}.*training again"):
        open_archive(bare, model=other)
    with pytest.raises(WrongModelError, match="contains its model"):
        open_archive(whole, model=other)
    with pytest.raises(NotFreezableError, match="pooling"):
        open_archive(bare, model=Unfrozen())
    with pytest.raises(InvalidParameterError, match="Got list"):
        open_archive(bare, model=[1])


def test_a_model_inside_that_is_none(make, records, monkeypatch):
    path = make(records, embed_model=True)
    with pytest.raises(CorruptArchiveError, match="its model"):
        open_archive(path)


def test_the_model_inside_must_be_the_one_named(make, codec, records, fuzz, embedded):
    path = make(records, embed_model=True)
    data = bytearray(path.read_bytes())
    start, _ = fuzz.blocks_of(bytes(data))[0]
    data[start + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptArchiveError, match="its model is damaged"):
        open_archive(path)
    with open_archive(path, model=codec) as archive:
        np.testing.assert_array_equal(archive.read(), records)


def test_a_model_file_is_read_by_its_path(make, codec, records, monkeypatch, tmp_path):
    monkeypatch.setattr("narrows.codec.model_file.read_codec", lambda path: codec)
    with open_archive(make(records), model=tmp_path / "m.safetensors") as archive:
        np.testing.assert_array_equal(archive[7], records[7])
    monkeypatch.undo()
    with pytest.raises((ModelFileError, DataNotFoundError)):
        open_archive(make(records, name="b"), model=tmp_path / "m.safetensors")


def test_inspect(make, codec, records):
    path = make(records, embed_model=True)
    found = inspect(path)
    assert (found.n_bytes, found.n_records, found.n_chunks) == (path.stat().st_size, 1000, 4)
    assert found.restored_bytes == 4000
    assert found.model_bytes == len(codec.blob) + 36
    make(records, append=True)
    found = inspect(path)
    parts = (found.header_bytes, found.model_bytes, found.records_bytes, found.index_bytes, found.other_bytes)
    assert sum(parts) == found.n_bytes == path.stat().st_size
    assert found.other_bytes > 0
    assert found.bytes_per_record == found.n_bytes / 2000
    assert found.to_json()["metadata"]["record_shape"] == [4]


def test_one_of_five_million_is_there_at_once(tmp_path, codec, fuzz):
    rows = np.tile(fuzz.make_records(1 << 14, seed=3), (306, 1))[:5_000_000]
    path = fuzz.make_archive(tmp_path / "a", codec, rows, chunk_records=1 << 14, portion=1 << 14)
    taken = []
    for i in (4_999_999, 2_345_678, 0):
        started = time.perf_counter()
        with open_archive(path, model=codec) as archive:
            np.testing.assert_array_equal(archive[i], rows[i])
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.1


def test_reading_needs_no_torch():
    code = "import sys, narrows.archive; assert not {'torch', 'sklearn', 'PIL', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
