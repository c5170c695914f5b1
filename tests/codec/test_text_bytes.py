"""The model of bytes: the same bytes back, from C and from Python, for any records and any coded bytes."""

import gc
import weakref
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec import kernels
from narrows.codec.text.frozen import FrozenBytes
from narrows.codec.text.tables import SQUASH, STRETCH
from narrows.errors import CorruptArchiveError, NarrowsError

needs_kernels = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")

LOG = [b"Dec %02d 10:%02d:07 node-%d app[%d]: state=%s" % (k // 8 + 1, k * 7 % 60, k % 3, k * 37 % 900, state)
       for k, state in enumerate([b"up", b"down", b"up", b"idle"] * 20)]  # fmt: skip
CRC_OF_TABLES = 1960792332, 1656489195
CRCS = {
    1: [256709138, 1891338120, 2473863266],
    2: [256709138, 3098278532, 2473863266],
    3: [2575865086, 237772026, 455579291],
    4: [2575865086, 2498114136, 455579291],
}
TINY = [b"a1=22:4", b"a\n", b"", b"\xff\x00 a1=22"]


@pytest.fixture(scope="module")
def model() -> FrozenBytes:
    return FrozenBytes.of(LOG[:64])


def n_bytes(records: list[bytes]) -> int:
    return sum(map(len, records))


@needs_kernels
@pytest.mark.parametrize("group", [1, 7, 64])
@given(records=st.lists(st.binary(max_size=30), max_size=20))
@settings(max_examples=20, deadline=None)
def test_any_records_come_back(model: FrozenBytes, group: int, records: list[bytes]) -> None:
    assert model.decode(model.encode(records, group), len(records), n_bytes(records), group) == records


@pytest.mark.parametrize("version", [2, 4])
def test_kernels_code_as_python_does(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for compiled in [None, kernels.compiled]:
        monkeypatch.setattr(kernels, "compiled", compiled)
        learnt = FrozenBytes.of(TINY, version=version)
        read = FrozenBytes(learnt.coded, learnt.n_bytes, learnt.n_records, learnt.bits, version)
        alone, grouped = read.encode(TINY[::2]), read.encode(TINY[1:], 3)
        assert read.decode(alone, 2, n_bytes(TINY)) == TINY[::2]
        found.append((learnt.coded, alone, grouped))
    assert found[0] == found[1]


@needs_kernels
@pytest.mark.parametrize("version", CRCS)
def test_the_model_never_changes(version: int, model: FrozenBytes) -> None:
    assert (zlib.crc32(STRETCH.astype("<i2").tobytes()), zlib.crc32(SQUASH.astype("<u2").tobytes())) == CRC_OF_TABLES
    model = replace(model, version=version) if version < 3 else FrozenBytes.of(LOG[:64], version=version)
    coded = b"".join(model.encode(LOG[64:])), b"".join(model.encode(LOG[64:], 16))
    assert [zlib.crc32(one) for one in (model.coded, *coded)] == CRCS[version]
    assert FrozenBytes.from_tensors(*model.to_tensors()).version == version


@needs_kernels
def test_reading_the_coded_sample_gives_the_same_model(model: FrozenBytes) -> None:
    read = FrozenBytes(model.coded, model.n_bytes, model.n_records, model.bits)
    assert read.sample() == LOG[:64]
    assert read.encode(LOG[64:]) == model.encode(LOG[64:])
    assert read.encode(LOG[64:], 4) == model.encode(LOG[64:], 4)


@needs_kernels
def test_each_record_and_each_group_can_be_read_alone(model: FrozenBytes) -> None:
    alone, grouped = model.encode(LOG[64:]), model.encode(LOG[64:], 4)
    assert model.decode(alone[5:6], 1, 100) == LOG[69:70]
    assert model.decode(grouped[1:2], 4, 400, 4) == LOG[68:72]


@needs_kernels
def test_similar_records_take_few_bytes(model: FrozenBytes) -> None:
    records = LOG[64:]
    sizes = (
        len(zlib.compress(b"\n".join(records), 9)),
        n_bytes(model.encode(records)),
        n_bytes(model.encode(records, 16)),
    )
    assert sizes[0] > sizes[1] > sizes[2]


@needs_kernels
def test_a_model_without_a_sample_codes_records() -> None:
    empty = FrozenBytes.of([])
    assert empty.coded == b""
    assert empty.decode(empty.encode(TINY), 4, n_bytes(TINY)) == TINY


@needs_kernels
def test_random_bytes_take_hardly_more_than_themselves() -> None:
    record = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes()
    empty = FrozenBytes.of([])
    coded = empty.encode([record])
    assert len(coded[0]) < 1.1 * len(record)
    assert empty.decode(coded, 1, len(record)) == [record]


@needs_kernels
@given(coded=st.lists(st.binary(max_size=40), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_any_coded_bytes_give_records_or_an_error(model: FrozenBytes, coded: list[bytes]) -> None:
    try:
        records = model.decode(coded, 3, 1000)
    except NarrowsError:
        return
    assert len(records) == 3
    assert n_bytes(records) <= 1000


def test_wrong_sizes_are_refused(model: FrozenBytes) -> None:
    with pytest.raises(CorruptArchiveError, match="at most"):
        FrozenBytes(b"", 1 << 40, 1, 10)
    with pytest.raises(CorruptArchiveError, match="groups"):
        model.decode([b""], 3, 10)
    with pytest.raises(CorruptArchiveError, match="more than 10 bytes"):
        model.decode(model.encode(LOG[:1]), 1, 10)
    with pytest.raises(CorruptArchiveError, match="sample"):
        FrozenBytes(model.coded, model.n_bytes - 1, model.n_records, model.bits).sample()


@needs_kernels
def test_kernel_refuses_inconsistent_sizes(model: FrozenBytes) -> None:
    with model._groups.one() as state:
        tables, learnt = state.tables.arrays(), state.learnt
    arrays = [*tables, learnt, learnt[:0], state.history, STRETCH, SQUASH, np.zeros(251, np.int32)]
    coded = [np.zeros(3, np.uint8), np.array([9]), np.zeros(9, np.uint8), np.zeros(1, np.int64)]
    with pytest.raises(ValueError, match="inconsistent sizes"):
        kernels.compiled.text_records(*arrays, *coded, (0, 1, 1, False, False, 18, 5))


def test_a_model_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        model = FrozenBytes.of([b"some text", b"some more"])
        read = FrozenBytes(model.coded, model.n_bytes, model.n_records, model.bits)
        assert read.decode(model.encode([b"text"]), 1, 4) == [b"text"]
        gone = weakref.ref(read)
        del read
        assert gone() is None
    finally:
        gc.enable()
