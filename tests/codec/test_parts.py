"""A codec in parts: each part is named by its content, and whole numbers take few bytes."""

import contextlib
import hashlib

import numpy as np
import pytest

from narrows.codec.parts.byte_reader import ByteReader, pack_number
from narrows.codec.parts.coded_numbers import bits_of, decode_numbers, encode_numbers
from narrows.codec.parts.needs import ALL, Needs
from narrows.codec.parts.part import Part, PartKind
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.parts.tensors import WAYS, pack_tensor, unpack_tensor
from narrows.errors import ArchiveError, CorruptArchiveError, ModelFileError, NarrowsError

rng = np.random.default_rng(0)
MATRICES = {
    "normal": np.rint(rng.normal(size=(40, 32)) * 5),
    "one row": np.rint(rng.normal(size=(1, 90)) * 50),
    "one column": np.rint(rng.normal(size=(50, 1)) * 3),
    "one number": np.array([[-7]]),
    "wide": np.rint(rng.normal(size=(4, 60)) * 1e9),
    "rows of other widths": np.rint(rng.normal(size=(60, 64)) * np.geomspace(0.3, 30, 60)[:, None]),
    "some far away": np.where(rng.random((40, 30)) < 0.01, 9_999_999, rng.integers(-3, 4, (40, 30))),
}
TENSORS = {
    "weights": np.rint(rng.laplace(size=(30, 20)) * 4).astype(np.int16) * np.int16(12),
    "kernels": rng.integers(-9, 9, (5, 4, 3, 3)).astype(np.int16),
    "curve": (np.tanh(np.linspace(-4, 4, 257)) * 32_000).astype(np.int16),
    "biases": (rng.normal(size=70) * 1e12).astype(np.int64),
    "far": np.array([-(1 << 62), 1 << 62, 0]),
    "zeros": np.zeros((64, 64), np.int64),
    "none": np.zeros((0, 3), np.int32),
    "scalar": np.array(5, np.int64),
    "frequencies": rng.integers(1, 4000, 300).astype(np.uint16),
    "floats": rng.normal(size=12),
    "halves": np.arange(9) / 2,
}


@pytest.mark.parametrize("name", MATRICES)
def test_numbers_come_back(name):
    matrix = MATRICES[name].astype(np.int64)
    np.testing.assert_array_equal(decode_numbers(encode_numbers(matrix), matrix.size), matrix)


def test_numbers_take_hardly_more_than_their_entropy():
    matrix = MATRICES["normal"].astype(np.int64)
    shares = np.unique(matrix, return_counts=True)[1] / matrix.size
    entropy = -(shares * np.log2(shares)).sum() * matrix.size
    assert 8 * len(encode_numbers(matrix)) < 1.06 * entropy + 200
    assert bits_of(matrix) == pytest.approx(8 * len(encode_numbers(matrix)), rel=0.05)


def test_rows_of_other_widths_take_less_than_with_one_table():
    matrix = MATRICES["rows of other widths"].astype(np.int64)
    shares = np.unique(matrix, return_counts=True)[1] / matrix.size
    assert 8 * len(encode_numbers(matrix)) < -(shares * np.log2(shares)).sum() * matrix.size


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_back_with_their_dtype(name):
    tensor = TENSORS[name]
    way, data = pack_tensor(tensor)
    found = unpack_tensor(tensor.dtype.name, tensor.shape, way, data)
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    np.testing.assert_array_equal(found, tensor)
    assert len(data) <= tensor.nbytes


def test_whole_numbers_take_the_fewest_bytes_that_hold_them():
    assert pack_tensor(np.array([3, 250, 7]))[0] == "u1"
    assert pack_tensor(np.array([-3, 250, 7]))[0] == "i2"
    assert pack_tensor(np.arange(9) / 2)[0] in {"f4", "zlib f4"}
    way, data = pack_tensor(TENSORS["weights"])
    assert way == "coded"
    assert len(data) < 0.32 * TENSORS["weights"].nbytes
    assert len(pack_tensor(TENSORS["curve"])[1]) < 220


@pytest.mark.parametrize(
    ("dtype", "shape", "way"),
    [
        ("int64", (1 << 26, 8), "coded"),
        ("int64", (1 << 20,), "coded"),
        ("int64", (1 << 26,), "zlib i8"),
        ("int64", (7,), "f8"),
        ("float64", (7,), "coded"),
        ("object", (7,), "u1"),
        ("int16", (7,) * 9, "u1"),
    ],
)
def test_tensors_that_lie_are_refused_before_memory_is_taken(dtype, shape, way):
    with pytest.raises(ModelFileError):
        unpack_tensor(dtype, shape, way, pack_tensor(TENSORS["weights"])[1])


def test_numbers_that_a_dtype_does_not_hold_are_refused():
    way, data = pack_tensor(np.array([0, 70_000, 5]))
    with pytest.raises(ModelFileError, match="int16 does not hold"):
        unpack_tensor("int16", (3,), way, data)


@pytest.mark.parametrize("name", TENSORS)
def test_damaged_tensors_are_refused_or_are_other_numbers(name):
    tensor = TENSORS[name]
    way, data = pack_tensor(tensor)
    damages = np.random.default_rng(1)
    for _ in range(60 if data else 0):
        damaged = bytearray(data)
        damaged[damages.integers(len(data))] ^= 1 << int(damages.integers(8))
        kept = bytes(damaged[: damages.integers(len(data) + 1) or None])
        with contextlib.suppress(NarrowsError):
            unpack_tensor(tensor.dtype.name, tensor.shape, way, kept)


def test_numbers_in_base_128():
    for number in (0, 1, 127, 128, 300, (1 << 62) + 5):
        reader = ByteReader(pack_number(number), "It")
        assert reader.number(0, 1 << 63) == number
        reader.finish()
    with pytest.raises(ModelFileError, match="more than 9 bytes"):
        ByteReader(b"\xff" * 12, "It").number(0, 1)
    with pytest.raises(ModelFileError, match="declares 4 bytes and has 3"):
        ByteReader(b"abc", "It").take(4)


def test_a_part_is_named_by_its_content_and_not_by_how_it_is_written():
    part = Part(PartKind.NETWORK, {"reach": 2}, {"a": TENSORS["weights"], "b": TENSORS["curve"]})
    again = Part.unpack(PartKind.NETWORK, part.packed)
    assert again.name == part.name
    assert again.settings == {"reach": 2}
    np.testing.assert_array_equal(again.tensors["b"], TENSORS["curve"])
    for other in (
        Part(PartKind.DECODER, part.settings, part.tensors),
        Part(PartKind.NETWORK, {"reach": 3}, part.tensors),
        Part(PartKind.NETWORK, part.settings, {**part.tensors, "b": -TENSORS["curve"]}),
        Part(PartKind.NETWORK, part.settings, {**part.tensors, "b": TENSORS["curve"].astype(np.int64)}),
    ):
        assert other.name != part.name


def test_the_ways_keep_their_numbers():
    assert hashlib.sha256(" ".join(WAYS).encode()).hexdigest()[:8] == "a36f8b92"


def read(codec, blobs):
    """Return the codec of blobs, as a reader of archives makes it."""
    made = PartedCodec(codec.names, codec.shape, codec.dtype, codec.n_symbols)
    for blob in blobs:
        made.take(blob)
    return made


@pytest.mark.parametrize("name", ["codec_model", "map_model", "ladder_model", "table_model"])
def test_parts_decode_to_what_the_codec_decodes(request, name):
    codec = request.getfixturevalue(name).codec_
    for quality in (0, len(codec.qualities) - 1):
        parted = PartedCodec.of(codec, quality)
        found = read(parted, [parted.pack(Needs.CODE)])
        symbols = np.random.default_rng(0).integers(-30, 30, (20, codec.n_symbols)).astype(np.int32)
        np.testing.assert_array_equal(found.decode(symbols), codec.decode(symbols, quality))
        assert found.digest == parted.digest
        assert found.qualities[0].psnr_db == codec.qualities[quality].psnr_db
        assert len(found.blob) < len(codec.only(quality).blob)


def test_qualities_have_names_of_their_own_and_share_the_decoder(ladder_model):
    codec = ladder_model.codec_
    names = [PartedCodec.of(codec, quality).names for quality in range(len(codec.qualities))]
    assert len({decoder for decoder, _, _ in names}) == 1
    assert len({quality for _, quality, _ in names}) == len(names)


def test_a_part_that_is_not_there_is_missed_when_it_is_needed(ladder_model):
    parted = PartedCodec.of(ladder_model.codec_, 0)
    empty = read(parted, [])
    assert empty.holds == Needs.NOTHING
    assert empty.causal is None
    with pytest.raises(ArchiveError, match="needs a part of its model"):
        empty.decode(np.zeros((1, empty.n_symbols), np.int32))
    assert read(parted, [parted.pack(Needs.CODE)]).holds == Needs.CODE
    assert ALL == Needs.CODE | Needs.NETWORK


def test_damaged_parts_are_refused_or_do_the_same(ladder_model):
    parted = PartedCodec.of(ladder_model.codec_, 0)
    blob, damages = parted.pack(Needs.CODE), np.random.default_rng(2)
    symbols = np.zeros((1, parted.n_symbols), np.int32)
    for _ in range(80):
        damaged = bytearray(blob)
        damaged[damages.integers(len(blob))] ^= 1 << int(damages.integers(8))
        try:
            restored = read(parted, [bytes(damaged)]).decode(symbols)
        except ArchiveError:
            continue
        np.testing.assert_array_equal(restored, parted.decode(symbols))


def test_parts_of_another_model_are_refused(ladder_model, codec_model):
    parted, other = PartedCodec.of(ladder_model.codec_, 0), PartedCodec.of(codec_model.codec_, 0)
    with pytest.raises(CorruptArchiveError, match="parts of another model"):
        read(parted, [other.pack(Needs.CODE)])
