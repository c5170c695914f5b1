"""Files that are damaged or made to deceive: right data or an error by name, soon and in little memory."""

import struct
import time
import tracemalloc
import zlib
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from narrows.archive import inspect, layout, open_archive, recover, restore, verify
from narrows.archive.index import pack_index
from narrows.archive.layout import Block, BlockType, Coding, Trailer
from narrows.errors import ArchiveError, CorruptArchiveError, NarrowsError

pytestmark = [
    pytest.mark.filterwarnings("ignore:The end of:narrows.errors.DataWarning"),
    pytest.mark.filterwarnings("ignore:An append to:narrows.errors.DataWarning"),
]


def everything(path, codec, out):
    """Try all that can be done with an archive; return the errors."""
    errors = []
    for attempt in (
        lambda: restore(path, model=codec),
        lambda: inspect(path),
        lambda: verify(path, model=codec),
        lambda: recover(path, out, model=codec, force=True),
    ):
        try:
            attempt()
        except NarrowsError as error:
            errors.append(error)
    return errors


def forged(make, codec, records, fuzz, payloads, declared=None):
    """Return an archive of the header of a true one, and blocks (block, payload) with all checksums right."""
    path = make(records[:10])
    data = path.read_bytes()
    n_header = fuzz.blocks_of(data)[0][0]
    data = data[:n_header]
    for block, payload in payloads:
        data += layout.pack_block(block) + payload + layout.pack_crc(payload)
    path.write_bytes(data + layout.pack_trailer(Trailer(len(data), declared or 10)))
    return path


@pytest.mark.parametrize(("n", "n_seeds"), [(40, 1), pytest.param(100, 4, marks=pytest.mark.slow)])
def test_damaged_files(fuzz, n, n_seeds):
    started = time.perf_counter()
    counts = sum((fuzz.run(n, seed) for seed in range(n_seeds)), start=fuzz.Counter())
    assert counts.total() == n * n_seeds
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError", "ArchiveError"}
    assert time.perf_counter() - started < 120


@pytest.mark.parametrize("n", [60, pytest.param(300, marks=pytest.mark.slow)])  # the first 60 of the 300
def test_damaged_files_with_a_bound(fuzz, n):
    counts = fuzz.run(n, bounded=True)
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError", "ArchiveError"}


@pytest.fixture(scope="module")
def bounded(fuzz, codec, tmp_path_factory):
    """Return an archive that comes back bit for bit by linear prediction, in one chunk with a code."""
    path = tmp_path_factory.mktemp("bounded") / "a.narrows"
    records = fuzz.make_records(200, seed=3)
    keep = fuzz.mock.patch("narrows.archive.chunk_encoding.encode_chunk", fuzz.keep_as(fuzz.Kind.LINEAR, on_code=True))
    about = {"container": {"kind": "array"}, "max_error": 0}
    with keep, fuzz.Writer(path, codec, 0, about) as writer:
        writer.add(records.astype(np.int32), records, records=records + np.uint8(1))
    return path.read_bytes()


def with_residual(data, fuzz, change):
    """Return an archive of one chunk with another residual; all checksums are right."""
    start, stop = fuzz.blocks_of(data)[0]
    payload = data[start + 32 : stop - 4]
    lanes, words, escapes, names = struct.unpack_from("<4I", payload)
    at = 16 + 4 + 4 * lanes + 2 * words + escapes + names
    return fuzz.in_place_of(data, start, stop, payload[:at] + change(payload[at:]))


@pytest.mark.parametrize("n", [0, 1, 2, 256, 257])
@pytest.mark.parametrize("bound", [0, 1.5])
def test_archives_with_a_bound_of_few_records(fuzz, codec, tmp_path, n, bound):
    """None among them."""
    path, decoded = tmp_path / "a.narrows", fuzz.make_records(300, seed=4)[:n]
    given = decoded + np.uint8(1)
    with fuzz.Writer(path, codec, 0, {"container": {"kind": "array"}, "max_error": bound}) as writer:
        writer.add(decoded.astype(np.int32), decoded, records=given)
    with open_archive(path, model=codec) as archive:
        assert archive.shape == (n, 4)
        assert np.abs(archive.read().astype(int) - given).max(initial=0) <= bound
    assert verify(path, model=codec).is_intact


def test_a_rest_of_a_later_kind_is_of_a_newer_version(fuzz, codec, tmp_path, bounded):
    path = tmp_path / "a.narrows"
    path.write_bytes(with_residual(bounded, fuzz, lambda residual: b"\xc8" + residual[1:]))
    with pytest.raises(ArchiveError, match="Upgrade") as raised:
        restore(path, model=codec)
    assert not isinstance(raised.value, CorruptArchiveError)


@pytest.mark.parametrize(
    "change",
    [
        lambda residual: residual[:8] + struct.pack("<d", 1e-9) + residual[16:],
        lambda residual: residual[:8] + struct.pack("<d", float("nan")) + residual[16:],
        lambda residual: residual[:15],
        lambda residual: residual[:16],
        lambda residual: residual + bytes(1),
        lambda residual: residual + bytes(4 * 200),
        lambda residual: b"\4" + residual[1:],
        lambda residual: b"\3" + residual[1:],
        lambda residual: b"\3" + residual[1:16] + b"\x28\xb5\x2f\xfd\xa0" + b"\xff" * 40,
    ],
    ids=["error", "nan", "cut", "empty", "longer", "too-long", "plain", "no-frame", "huge-frame"],
)
def test_rests_that_lie(fuzz, codec, tmp_path, bounded, change):
    path = tmp_path / "a.narrows"
    path.write_bytes(with_residual(bounded, fuzz, change))
    with pytest.raises(CorruptArchiveError):
        restore(path, model=codec)
    assert everything(path, codec, tmp_path / "out")


def test_a_chunk_under_a_network_that_the_model_does_not_have(fuzz, codec, tmp_path, bounded):
    path = tmp_path / "a.narrows"
    path.write_bytes(with_residual(bounded, fuzz, lambda residual: b"\5" + residual[1:]))
    with pytest.raises(CorruptArchiveError, match="network, but the model has none"):
        restore(path, model=codec)
    assert everything(path, codec, tmp_path / "out")


def test_a_chunk_under_a_network_has_no_weights(fuzz, tmp_path):
    images, path = fuzz.TinyImages(b"images" * 10), tmp_path / "a.narrows"
    records = fuzz.make_records(200, seed=3).reshape(-1, 2, 2) // 2
    keep = fuzz.mock.patch("narrows.archive.chunk_encoding.encode_chunk", fuzz.keep_as(fuzz.Kind.CAUSAL, on_code=False))
    with keep, fuzz.Writer(path, images, 0, {"container": {"kind": "array"}, "max_error": 0}) as writer:
        writer.add(records.reshape(-1, 4).astype(np.int32), records, records=records)
    np.testing.assert_array_equal(restore(path, model=images), records)
    data = path.read_bytes()
    (start, stop), packed = fuzz.blocks_of(data)[0], zlib.compress(b"")
    payload = data[start + 32 : stop - 4]
    at = 16 + 4 + 16 + struct.unpack_from("<I", payload, 12)[0]  # behind names and the head of the residual
    sizes = struct.unpack_from("<5I", payload, at)
    residual = struct.pack("<5I", len(packed), *sizes[1:]) + payload[at + 20 : at + 24] + packed + payload[at + 24 :]
    path.write_bytes(fuzz.in_place_of(data, start, stop, payload[:at] + residual))
    with pytest.raises(CorruptArchiveError, match="uses none"):
        restore(path, model=images)


@cache
def of_64_mebibytes():
    return zlib.compress(bytes(64 << 20), 9)


@pytest.mark.parametrize("part", [0, 3, 4], ids=["weights", "escapes", "exceptions"])
def test_parts_of_a_residual_that_inflate_without_bounds(fuzz, codec, tmp_path, bounded, part):
    bomb = of_64_mebibytes()[:700]

    def change(residual):
        sizes = list(struct.unpack_from("<5IB3x", residual, 16))
        ends = np.cumsum([40, sizes[0], 4 * sizes[1] + 2 * sizes[2], sizes[3], sizes[4]])
        pieces = [residual[low:high] for low, high in pairwise(ends)]
        pieces[{0: 0, 3: 2, 4: 3}[part]] = bomb
        sizes[part] = len(bomb)
        return residual[:16] + struct.pack("<5IB3x", *sizes) + b"".join(pieces)

    path = tmp_path / "a.narrows"
    path.write_bytes(with_residual(bounded, fuzz, change))
    tracemalloc.start()
    assert everything(path, codec, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("bound", ["-1", "1e999", "true", '"1"', "[1]", "1" + 400 * "0"])
def test_bounds_in_the_metadata_that_are_none(fuzz, codec, tmp_path, bounded, bound):
    n = struct.unpack_from("<I", bounded, 16)[0]
    text = bounded[20 : 20 + n].replace(b'"max_error":0.0', b'"max_error":' + bound.encode())
    head = bounded[:16] + struct.pack("<I", len(text)) + text
    path = tmp_path / "a.narrows"
    path.write_bytes(head + layout.pack_crc(head) + bounded[24 + n :])
    assert text != bounded[20 : 20 + n]
    with pytest.raises(CorruptArchiveError, match="max_error"):
        restore(path, model=codec)


def test_a_chunk_without_a_rest_where_there_is_a_bound(make, fuzz, codec, records, tmp_path, bounded):
    """And one with a residual where there is none."""
    path = make(records[:200])
    for one, other in ((path.read_bytes(), bounded), (bounded, path.read_bytes())):
        (start, stop), (a, b) = fuzz.blocks_of(one)[0], fuzz.blocks_of(other)[0]
        forged = bytearray(fuzz.in_place_of(one, start, stop, other[a + 32 : b - 4]))
        forged[start + 5] = other[a + 5]
        forged[start + 28 : start + 32] = layout.pack_crc(bytes(forged[start : start + 28]))
        path.write_bytes(forged)
        with pytest.raises(CorruptArchiveError, match="which the metadata of the archive do not allow"):
            restore(path, model=codec)


def test_every_cut_of_a_file(make, codec, records, tmp_path):
    path = make(records[:300], chunk_records=100)
    data = path.read_bytes()
    for n in range(0, len(data), 7):
        path.write_bytes(data[:n])
        try:
            found = restore(path, model=codec)
        except NarrowsError:
            continue
        np.testing.assert_array_equal(found, records[:300])


def test_blocks_within_blocks_end(tmp_path, make, codec, records, fuzz):
    """Headers that all reach to the end of the file, each to be checked for itself."""
    size = 1 << 20
    data = bytearray(size)
    for at in range(0, size - 64, 40):
        data[at : at + 32] = layout.pack_block(Block(2, 1, size - at - 36 + 400, at, 1))
    path = make(records[:10])
    path.write_bytes(path.read_bytes()[: fuzz.blocks_of(path.read_bytes())[0][0]] + bytes(data) + bytes(1000))
    started = time.perf_counter()
    assert everything(path, codec, tmp_path / "out")
    assert time.perf_counter() - started < 20


def test_a_file_of_magics_ends(tmp_path, make, codec, records, fuzz):
    path = make(records[:10])
    header = path.read_bytes()[: fuzz.blocks_of(path.read_bytes())[0][0]]
    path.write_bytes(header + layout.BLOCK_MAGIC * (1 << 16))
    started = time.perf_counter()
    assert everything(path, codec, tmp_path / "out")
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "block",
    [
        Block(BlockType.RECORDS, Coding.CODE, 1 << 61, 0, 10),
        Block(BlockType.RECORDS, Coding.CODE, 64, 1 << 39, 10),
        Block(BlockType.RECORDS, Coding.CODE, 64, 0, 300),
        Block(BlockType.INDEX, 0, 64, 10, 1),
        Block(BlockType.INDEX, 0, 64, 10, (1 << 32) - 1),
        Block(BlockType.MODEL, 0, 64, 0, 0),
        Block(99, 0, 64, 0, 0),
        Block(99, 0, 0, 0, 0),
    ],
)
def test_lone_blocks(make, codec, records, fuzz, tmp_path, block):
    path = forged(make, codec, records, fuzz, [(block, bytes(64))])
    tracemalloc.start()
    assert len(everything(path, codec, tmp_path / "out")) >= 2
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("sizes", [(1, 0, 0, 0), (4096, 0, 0, 0), (0, 0, 0, 0), (1 << 31, 1 << 31, 0, 0)])
def test_payloads_that_lie(make, codec, records, fuzz, tmp_path, sizes):
    payload = struct.pack("<4I", *sizes) + bytes(4 + 4 * min(sizes[0], 4096))
    block = Block(BlockType.RECORDS, Coding.CODE, len(payload), 0, 10)
    index = Block(BlockType.INDEX, 0, 0, 10, 0)
    path = forged(make, codec, records, fuzz, [(block, payload), (index, b"")])
    with pytest.raises(CorruptArchiveError):
        restore(path, model=codec)
    assert everything(path, codec, tmp_path / "out")


def test_an_unknown_coding_is_of_a_newer_version(make, codec, records, fuzz):
    data = bytearray(layout.pack_block(Block(BlockType.RECORDS, 7, 64, 0, 10)))
    with pytest.raises(ArchiveError, match="Upgrade") as raised:
        layout.parse_block(bytes(data))
    assert not isinstance(raised.value, CorruptArchiveError)


def test_an_index_that_inflates_without_bounds(make, codec, records, fuzz, tmp_path):
    copy = of_64_mebibytes()
    payload = struct.pack("<I", len(copy)) + copy
    path = forged(make, codec, records, fuzz, [(Block(BlockType.INDEX, 0, len(payload), 10, 0), payload)])
    tracemalloc.start()
    assert everything(path, codec, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 80 << 20
    tracemalloc.stop()


def test_an_unknown_block_is_passed_over(make, codec, records, fuzz, tmp_path):
    """A later minor version may put blocks between the others, and the index need not name them."""
    path = make(records)
    data = path.read_bytes()
    first = fuzz.blocks_of(data)[0][0]
    extra = layout.pack_block(Block(50, 0, 3, 0, 0)) + b"abc" + layout.pack_crc(b"abc")
    path.write_bytes(data[:first] + extra + data[first:])
    np.testing.assert_array_equal(restore(path, model=codec), records)


def newer(data, fuzz, *, listed):
    """Return an archive as a later version may write it: blocks of an unknown type among the others, in the index."""
    *blocks, (index, _) = fuzz.blocks_of(data)
    extra = layout.pack_block(Block(50, 7, 3, 9, 9)) + b"abc" + layout.pack_crc(b"abc")
    made, entries = data[: blocks[0][0]], []
    for start, end in blocks:
        block = layout.parse_block(data[start : start + 32])
        if listed:
            entries.append((len(made), 9, 9, int.from_bytes(layout.pack_crc(b"abc"), "little"), 50))
        made += extra
        crc = int.from_bytes(data[end - 4 : end], "little")
        entries.append((len(made), block.first, block.n_records, crc, block.type))
        made += data[start:end]
    payload = pack_index(data[: blocks[0][0]], entries)
    n_records = layout.parse_block(data[index : index + 32]).first
    block = Block(BlockType.INDEX, 0, len(payload), n_records, len(entries))
    trailer = layout.pack_trailer(Trailer(len(made), n_records))
    return made + layout.pack_block(block) + payload + layout.pack_crc(payload) + trailer


@pytest.mark.parametrize("listed", [False, True])
def test_an_archive_of_a_later_version_is_opened_by_its_index(
    make, codec, records, fuzz, tmp_path, listed, monkeypatch
):
    """Also if the index names blocks of types that there were not yet."""
    path = make(records, embed_model=True)
    path.write_bytes(newer(path.read_bytes(), fuzz, listed=listed))
    with monkeypatch.context() as patch:
        patch.setattr("narrows.archive.header.walk_index", lambda *_: pytest.fail("it was scanned"))
        np.testing.assert_array_equal(restore(path, model=codec), records)
        assert inspect(path).n_records == 1000
        assert inspect(path).has_model
    assert verify(path, model=codec).is_intact
    recover(path, tmp_path / "out", model=codec)
    np.testing.assert_array_equal(restore(tmp_path / "out", model=codec), records)
    make(records[:50], append=True)
    np.testing.assert_array_equal(restore(path, model=codec)[1000:], records[:50])
    assert verify(path, model=codec).is_intact
    data = path.read_bytes()
    (index, _) = fuzz.blocks_of(data)[-1]
    for n in (len(data) - 1, index + 40):  # and from block to block, where the index is lost
        path.write_bytes(data[:n])
        assert len(restore(path, model=codec)) == 1050


def test_an_index_does_not_name_an_index(make, codec, records, fuzz):
    path = make(records)
    data = path.read_bytes()
    path.write_bytes(newer(data, fuzz, listed=True).replace(b"\x32\0\0\0", b"\x03\0\0\0"))
    data = path.read_bytes()
    (start, stop) = fuzz.blocks_of(data)[-1]
    path.write_bytes(data[: stop - 4] + layout.pack_crc(data[start + 32 : stop - 4]) + data[stop:])
    with open_archive(path, model=codec) as archive:  # made anew from the blocks
        np.testing.assert_array_equal(archive.read(), records)
    assert not verify(path, model=codec).is_intact


def test_a_pipe_does_not_keep_us_waiting(tmp_path, codec):
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes with names here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="not a regular file"):
        open_archive(tmp_path / "pipe", model=codec)


def test_paths_that_cannot_be(codec):
    with pytest.raises(NarrowsError):
        open_archive("a\0b", model=codec)


def test_a_forged_trailer_does_not_hide_records(make, codec, records, fuzz):
    """An end that counts no records, and a first block that cannot be read: not an empty archive."""
    path = make(records)
    data = bytearray(path.read_bytes())
    data[fuzz.blocks_of(bytes(data))[0][0]] ^= 1
    for offset in (0, len(data) - 100):
        path.write_bytes(bytes(data[:-28]) + layout.pack_trailer(Trailer(offset, 0)))
        with pytest.raises(CorruptArchiveError):
            open_archive(path, model=codec)


def test_a_chunk_that_poses_as_an_index_does_not_hide_records(make, codec, records, fuzz):
    path = make(records)
    data = path.read_bytes()
    for number in range(4):
        start, stop = fuzz.blocks_of(data)[number]
        block = layout.parse_block(data[start : start + 32])
        posing = layout.pack_block(Block(BlockType.INDEX, 0, block.n_payload_bytes, block.first, block.n_records))
        for end in (start + 32, stop, len(data) - 1):
            path.write_bytes(data[:start] + posing + data[start + 32 : end])
            with pytest.raises(CorruptArchiveError):
                open_archive(path, model=codec)
