"""The bytes of an archive: inverse pairs, pinned bytes, and everything that is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.archive import layout, records
from narrows.archive.chunk_sizes import default_chunk_records, default_group_records
from narrows.archive.index import ENTRY, index_of, pack_index, parse_index
from narrows.archive.layout import Block, BlockType, Coding, Trailer
from narrows.archive.metadata import Metadata
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.rans import Message
from narrows.errors import ArchiveError, CorruptArchiveError, InvalidParameterError

METADATA = {
    "record_shape": [28, 28],
    "dtype": "uint8",
    "model": "0a" * 32,
    "quality": 0,
    "n_symbols": 32,
    "chunk_records": 16384,
    "group_records": 256,
    "container": {"kind": "idx"},
    "tiling": None,
    "narrows": "0.2.0",
}


def with_crc(data):
    return data + layout.pack_crc(data)


def test_the_bytes_stay_what_they_are():
    assert layout.pack_header({"a": 1}).hex(" ") == (
        "89 4e 52 57 0d 0a 1a 0a 01 00 00 00 00 00 00 00 07 00 00 00 7b 22 61 22 3a 31 7d 3a cb 70 79"
    )
    assert layout.pack_block(Block(BlockType.RECORDS, Coding.CODE, 5, 300, 7)).hex(" ") == (
        "b7 4e 52 42 02 01 00 00 05 00 00 00 00 00 00 00 2c 01 00 00 00 00 00 00 07 00 00 00 46 15 36 d7"
    )
    assert layout.pack_trailer(Trailer(1000, 700)).hex(" ") == (
        "e8 03 00 00 00 00 00 00 bc 02 00 00 00 00 00 00 d1 0c af fd b7 4e 52 57 65 6e 64 0a"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # as st.text(), which takes seconds to ask for UTF-8


@given(st.dictionaries(TEXT, st.none() | st.integers() | TEXT | st.lists(st.booleans())))
def test_header_and_back(metadata):
    data = layout.pack_header(metadata)
    assert layout.size_of_header(data[:20], len(data)) == len(data)
    assert layout.parse_header(data) == metadata


@given(st.sampled_from([1, 2, 3, 77]), st.integers(0, 1 << 61), st.integers(0, 1 << 39), st.integers(1, 1 << 16))
def test_block_and_back(kind, n_bytes, first, n):
    block = Block(kind, 1 if kind == 2 else 0, n_bytes, first, n)
    assert layout.parse_block(layout.pack_block(block)) == block


@given(st.integers(0, 1 << 61), st.integers(0, 1 << 40))
def test_trailer_and_back(offset, n):
    data = layout.pack_trailer(Trailer(offset, n))
    assert len(data) == layout.TRAILER_BYTES
    assert layout.parse_trailer(data) == (offset, n)


@pytest.mark.parametrize("at", range(32))
def test_every_byte_of_a_block_header_is_checked(at):
    data = bytearray(layout.pack_block(Block(2, 1, 100, 0, 5)))
    data[at] ^= 1
    with pytest.raises(ArchiveError):
        layout.parse_block(bytes(data))


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (b"", ArchiveError, "starts with"),
        (b"GARBAGE." + bytes(12), ArchiveError, "starts with '47 41 52 42"),
        (b"PK\3\4" + bytes(16), ArchiveError, "it is a .zip or .npz file, not an archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(12), ArchiveError, "it is a PNG image, not an archive"),
        (b"\x40\1" + bytes(6) + b'{"__metadata', ArchiveError, "it is a .safetensors file, the format of models, not"),
        (b"\x89NRW\n\x1a\n" + bytes(13), CorruptArchiveError, "line endings"),
        (layout.MAGIC + b"\1", CorruptArchiveError, "truncated"),
        (layout.MAGIC + struct.pack("<HHII", 3, 0, 0, 9), ArchiveError, r"format 3\.0.*Upgrade"),
        (layout.MAGIC + struct.pack("<HHII", 1, 0, 0, 99), CorruptArchiveError, "more than"),
        (layout.MAGIC + struct.pack("<HHII", 1, 0, 0, 1 << 31), CorruptArchiveError, "more than"),
    ],
)
def test_what_is_no_header_is_refused(start, error, words):
    with pytest.raises(error, match=words) as raised:
        layout.size_of_header(start, 100)
    assert type(raised.value) is error


def test_a_later_minor_version_is_read():
    data = bytearray(layout.pack_header(METADATA)[:-4])
    data[10] = 9
    assert layout.parse_header(with_crc(bytes(data))) == METADATA


@pytest.mark.parametrize("text", [b"[" * 100_000, b"[1]", b"\xff", b"{", b"9" * 5000])
def test_metadata_that_are_no_json_object_are_refused(text):
    data = with_crc(struct.pack("<8sHHII", layout.MAGIC, 1, 0, 0, len(text)) + text)
    with pytest.raises(CorruptArchiveError):
        layout.parse_header(data)


def test_metadata_and_back():
    metadata = Metadata.from_json({**METADATA, "of the future": [1]})
    assert metadata.record_shape == (28, 28)
    assert metadata.record_bytes == 784
    assert metadata.to_json() == {**METADATA, "of the future": [1]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("record_shape", value)
            for value in ([], [0], [-1], [1.0], [True], "28", None, [1 << 20, 1 << 20], [1] * 40)
        ),
        *(("dtype", value) for value in ("object", "<U4", "complex64", None, 8, ["uint8"])),
        *(("model", value) for value in ("0A" * 32, "0a", None)),
        *(("quality", value) for value in (-1, 256, 0.0, True)),
        *(("chunk_records", value) for value in (0, 1 << 17, 65536 * 2, "9")),
        *(("n_symbols", value) for value in (0, 1 << 27, 1 << 20)),
        *(("group_records", value) for value in (0, 3, 8, 96, 512, -64, True, "64", 64.0, None, [64])),
        *(("container", value) for value in (None, "idx")),
        *(("tiling", value) for value in ("none", 3)),
    ],
)
def test_metadata_that_cannot_be_are_refused(name, value):
    with pytest.raises(CorruptArchiveError):
        Metadata.from_json({**METADATA, name: value})


@pytest.mark.parametrize("n", [16, 32, 64, 128, 256])
def test_groups_have_16_to_256_records(n):
    metadata = Metadata.from_json({**METADATA, "group_records": n})
    assert metadata.to_json()["group_records"] == n
    assert [metadata.n_groups(of) for of in (1, n, n + 1, 65536)] == [1, 1, 2, 65536 // n]


@pytest.mark.parametrize(("n_symbols", "n"), [(1, 256), (127, 256), (128, 64), (1 << 26, 64)])
def test_records_of_many_symbols_have_small_groups(n_symbols, n):
    assert default_group_records(n_symbols) == n


@pytest.mark.parametrize("name", METADATA)
def test_missing_metadata_are_refused(name):
    given = {**METADATA}
    del given[name]
    if name == "tiling":
        assert Metadata.from_json(given).tiling is None
    else:
        with pytest.raises(CorruptArchiveError, match=name):
            Metadata.from_json(given)


@pytest.mark.parametrize(("record_bytes", "n_symbols"), [(1, 1), (784, 32), (1 << 26, 1), (1 << 30, 1 << 26)])
def test_default_chunks_are_allowed(record_bytes, n_symbols):
    n = default_chunk_records(record_bytes, n_symbols)
    shape = {"record_shape": [record_bytes], "n_symbols": n_symbols, "chunk_records": n}
    assert Metadata.from_json({**METADATA, **shape}).chunk_records == n


# ----------------------------------------------------------------------------------------------------------- chunks


FOUR_SYMBOLS = Metadata.from_json({**METADATA, "n_symbols": 4})


def payload(n_lanes=3, n_words=5, escapes=b"abc", names=b""):
    message = Message(np.arange(n_lanes, dtype=np.uint32) + (1 << 16), np.arange(n_words, dtype=np.uint16))
    return records.Payload(np.array([7, 8], np.uint32), Coded(message, escapes), names)


def test_chunk_and_back():
    data = records.pack_records(payload(names=records.pack_names(["a/b.png"] * 300)))
    back = records.parse_records(data, 300, FOUR_SYMBOLS)
    assert back.checksums.tolist() == [7, 8]
    assert back.coded.message.states.tolist() == [65536, 65537, 65538]
    assert back.coded.message.words.tolist() == [0, 1, 2, 3, 4]
    assert back.coded.escapes == b"abc"
    assert records.parse_names(back.names, 300) == ["a/b.png"] * 300


@pytest.mark.parametrize("n", [1, 256, 513])
def test_a_chunk_of_another_number_of_records_is_refused(n):
    with pytest.raises(CorruptArchiveError):
        records.parse_records(records.pack_records(payload()), n, FOUR_SYMBOLS)


@pytest.mark.parametrize(("n", "group"), [(33, 32), (64, 32), (129, 128), (20, 16)])
def test_there_is_a_checksum_for_each_group(n, group):
    metadata = Metadata.from_json({**METADATA, "n_symbols": 4, "group_records": group})
    assert records.parse_records(records.pack_records(payload()), n, metadata).checksums.tolist() == [7, 8]
    for other in {16, 32, 64, 128, 256} - {group}:
        declared = Metadata.from_json({**METADATA, "n_symbols": 4, "group_records": other})
        if declared.n_groups(n) != 2:
            with pytest.raises(CorruptArchiveError):
                records.parse_records(records.pack_records(payload()), n, declared)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("value", [0, 1 << 12, (1 << 32) - 1])
def test_sizes_that_lie_are_refused(at, value):
    data = bytearray(records.pack_records(payload(names=b"x")))
    struct.pack_into("<I", data, 4 * at, value)
    with pytest.raises(CorruptArchiveError):
        records.parse_records(bytes(data), 300, FOUR_SYMBOLS)


def test_more_words_than_symbols_are_refused():
    with pytest.raises(CorruptArchiveError, match="more bytes than"):
        records.parse_records(records.pack_records(payload(n_words=1201)), 300, FOUR_SYMBOLS)
    with pytest.raises(CorruptArchiveError, match="more bytes than"):
        records.parse_records(records.pack_records(payload(n_lanes=5000)), 300, FOUR_SYMBOLS)


@given(st.lists(st.text(st.characters(exclude_characters="\0\\/:", exclude_categories=["Cs"])), min_size=1, max_size=9))
def test_names_and_back(names):
    names = [f"x{name}" if name.strip(".") != name else name for name in names]
    assert records.parse_names(records.pack_names(names), len(names)) == names


def test_a_name_that_is_no_unicode_comes_back():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert records.parse_names(records.pack_names([name]), 1) == [name]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "c:x", "a\\b", "a/", ".", "a\0b", "x" * 5000])
def test_names_that_lead_out_of_a_folder_are_refused(name):
    with pytest.raises(InvalidParameterError, match="relative path"):
        records.check_names([name])
    with pytest.raises(CorruptArchiveError):
        records.parse_names(records.pack_names([name]), 1)


def test_names_that_inflate_beyond_bounds_are_refused():
    import zlib

    with pytest.raises(CorruptArchiveError):
        records.parse_names(zlib.compress(bytes(1 << 20)), 3)
    with pytest.raises(CorruptArchiveError):
        records.parse_names(zlib.compress(b"a\0b") + b"more", 2)
    with pytest.raises(CorruptArchiveError):
        records.parse_names(b"no zlib", 2)


# ------------------------------------------------------------------------------------------------------------ index


def entries(*rows):
    return np.array(list(rows), ENTRY)


def test_index_and_back():
    header, rows = b"header", [(100, 0, 0, 9, 1), (200, 0, 50, 8, 2), (300, 50, 20, 7, 2)]
    packed = pack_index(header, rows)
    assert [packed[-28 * i :][25:28] for i in (1, 2, 3)] == [bytes(3)] * 3
    copy, found = parse_index(packed, 3)
    assert copy == header
    index = index_of(found, 100, 400, 64)
    assert (index.n_records, index.model) == (70, 100)
    assert [index.chunk_of(record) for record in (0, 49, 50, 69)] == [0, 0, 1, 1]
    assert (index.range_of(1), index.ends.tolist(), index.crcs.tolist()) == (range(50, 70), [300, 400], [8, 7])


@pytest.mark.parametrize(
    "rows",
    [
        [(90, 0, 5, 0, 2)],  # within the header
        [(380, 0, 5, 0, 2)],  # reaches into the index
        [(200, 0, 5, 0, 2), (210, 5, 5, 0, 2)],  # overlap
        [(200, 0, 5, 0, 2), (200, 5, 5, 0, 2)],  # the same twice
        [(300, 0, 5, 0, 2), (200, 5, 5, 0, 2)],  # backwards
        [(200, 0, 5, 0, 2), (300, 6, 5, 0, 2)],  # a record missing
        [(200, 0, 5, 0, 2), (300, 4, 5, 0, 2)],  # a record twice
        [(200, 1, 5, 0, 2)],  # the first missing
        [(200, 0, 0, 0, 2)],  # no records
        [(200, 0, 65, 0, 2)],  # too many
        [(200, 0, 5, 0, 3)],  # an index
        [(100, 0, 0, 0, 1), (200, 0, 0, 0, 1)],  # two models
        [((1 << 64) - 1, 0, 5, 0, 2)],
        [(1 << 63, 0, 5, 0, 2), ((1 << 63) + 100, 5, 5, 0, 2)],
        [(200, (1 << 64) - 5, 5, 0, 2), (300, 0, 5, 0, 2)],
    ],
)
def test_an_index_that_lies_is_refused(rows):
    with pytest.raises(CorruptArchiveError):
        index_of(entries(*rows), 100, 400, 64)


def test_an_empty_index():
    index = index_of(entries(), 100, 100, 64)
    assert (index.n_records, index.model) == (0, None)


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff\xff", b"\2\0\0\0ab" + bytes(28), b"\0\0\0\0" + bytes(27)])
def test_an_index_of_another_length_is_refused(data):
    with pytest.raises(CorruptArchiveError):
        parse_index(data, 1)
